// Vectorised loops of the CPU back end. kernels.cpp is compiled once for each instruction set; the best table is chosen at run time.
// Matrices are row-major; ld is the distance between rows in elements. No function allocates.
#pragma once

#include <cstdint>

#include "ops/random.h"
#include "ops/updates.h"

namespace unifiedrl::cpu {

struct Kernels {
  const char* name;

  // C[M,N] = A B (+ C if accumulate). A is element (m,k) at a[m * row_a + k * column_a], so a transposed A needs no copy. For products too
  // small, or called too seldom, to pay for oneDNN's set-up.
  void (*gemm)(int64_t m, int64_t n, int64_t k, const float* a, int64_t row_a, int64_t column_a, const float* b, int64_t ldb, bool accumulate,
               float* c, int64_t ldc);

  // z = max(z + bias, 0); signs, if given, receives one bit an element, rows padded to 16.
  void (*bias_relu)(int64_t rows, int64_t n, const float* bias, float* z, uint16_t* signs);
  // z += bias
  void (*bias)(int64_t rows, int64_t n, const float* bias, float* z);
  // dz = h > 0 ? dz : 0, db += column sums of dz (db may be null)
  void (*relu_backward)(int64_t rows, int64_t n, const float* h, float* dz, float* db);
  void (*relu_backward_signs)(int64_t rows, int64_t n, const uint16_t* signs, float* dz);
  // db += column sums of dz
  void (*column_sums)(int64_t rows, int64_t n, const float* dz, float* db);

  // A last layer with one output: y = h w + bias.
  void (*dot_rows)(int64_t rows, int64_t n, const float* h, const float* w, float bias, float* y);
  // Its backward pass fused with the ReLU below: dz = (h > 0) dy w, dw += h^T dy, db += column sums of dz.
  void (*outer_backward)(int64_t rows, int64_t n, const float* dy, const float* w, const float* h, float* dz, float* dw, float* db);
  void (*outer_backward_signs)(int64_t rows, int64_t n, const float* dy, const float* w, const uint16_t* signs, float* dz);

  double (*sum_of_squares)(int64_t n, const float* x);
  void (*adam)(int64_t n, const AdamStep<float>& step, float scale, const float* gradient, float* parameter, float* moment1, float* moment2);
  void (*soft_update)(int64_t n, float w, const float* source, float* target);
  // rows[b] = sample_row(seed, step, stream, b, count) for b < n
  void (*sample)(uint64_t seed, int64_t step, int64_t stream, int64_t count, int64_t n, int64_t* rows);
  // out = (x - shift) * scale, either may be null
  void (*normalise)(int64_t n, const float* x, const float* shift, const float* scale, float* out);
};

// Words of one row of signs. Internal linkage: kernels.cpp is built for several instruction sets.
static inline int64_t sign_words(int64_t n) { return (n + 15) / 16; }

// isa as in unifiedrl_options; null when this processor lacks it.
const Kernels* kernels(int32_t isa);

}  // namespace unifiedrl::cpu
