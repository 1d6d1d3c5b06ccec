// Matrix products: oneDNN where they are large enough to pay for it, our own loops below that. Always on the calling thread.
#pragma once

#include <cstdint>

#include "cpu/kernels.h"

namespace unifiedrl::cpu {

// While one lives, oneDNN works on the thread that made it alone; the thread's former setting comes back at the end.
class SingleThreadedGemm {
 public:
  SingleThreadedGemm();
  ~SingleThreadedGemm();
  SingleThreadedGemm(const SingleThreadedGemm&) = delete;
  SingleThreadedGemm& operator=(const SingleThreadedGemm&) = delete;

 private:
  int before_;
};

// Has oneDNN generate its code, about 0.1 s once in a process; the first product does else. An exit of the process meanwhile, from another thread, may
// crash, since oneDNN frees the code before it is complete; so it is best done before threads run.
void prepare_gemm();

// C[M,N] = A B (+ C), with A stored [M,K] row-major, or [K,M] when transpose_a; B stored [K,N], or [N,K] when transpose_b.
void gemm(const Kernels& kernels, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
          int64_t ldb, bool accumulate, float* c, int64_t ldc);

// The library's version, for people.
const char* gemm_library();

}  // namespace unifiedrl::cpu
