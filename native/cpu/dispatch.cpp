// Which set of vectorised loops this processor can run.
#include "cpu/kernels.h"

namespace unifiedrl::cpu {

extern const Kernels kernels_baseline;
#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

const Kernels* kernels(int32_t isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512bw");
  switch (isa) {
    case 0: return avx512 ? &kernels_avx512 : avx2 ? &kernels_avx2 : &kernels_baseline;
    case 1: return &kernels_baseline;
    case 2: return avx2 ? &kernels_avx2 : nullptr;
    case 3: return avx512 ? &kernels_avx512 : nullptr;
    default: return nullptr;
  }
#else
  return isa <= 1 ? &kernels_baseline : nullptr;
#endif
}

}  // namespace unifiedrl::cpu
