// The CUDA back end as the library's one back end.
#include "core/backend.h"
#include "core/error.h"
#include "core/plugin.h"
#include "cuda/device.h"
#include "cuda/executor.h"
#include "cuda/gemm.h"

namespace unifiedrl::cuda {
namespace {

// Before the CPU back end's 100.
int32_t score() { return device_count() > 0 ? 1000 : 0; }

std::string description() {
  int count = device_count();
  if (count == 0) {
    return device_problem();
  }
  std::string text = gemm_library();
  for (int index = 0; index < count; ++index) {
    DeviceProperties p = properties(index);
    text += format("; device %d: %s, compute capability %d.%d, %.1f GiB, CUDA %d.%d (driver %d.%d)", index, p.name.c_str(), p.compute_major,
                   p.compute_minor, static_cast<double>(p.memory_total) / (1 << 30), p.runtime / 1000,
                   p.runtime % 1000 / 10, p.driver / 1000, p.driver % 1000 / 10);
  }
  return text;
}

bool supports(int32_t op) { return op >= UNIFIEDRL_OP_SAMPLE && op <= UNIFIEDRL_LAST_OP; }

std::unique_ptr<Executor> create(const Program& program, const Replay* replay, const unifiedrl_options& options) {
  return std::make_unique<CudaExecutor>(program, replay, options);
}

#if defined(UNIFIEDRL_CUDA_EMULATION)
constexpr bool kAutomatic = false;  // a thousand times slower than the host itself: only by name
#else
constexpr bool kAutomatic = true;
#endif

const Backend kBackend = {UNIFIEDRL_ABI_VERSION, "cuda", score, description, supports, nullptr, kAutomatic, create};

}  // namespace
}  // namespace unifiedrl::cuda

const unifiedrl_backend_table* unifiedrl_backend(int32_t) { return unifiedrl::export_backend(unifiedrl::cuda::kBackend); }
