// Strided-batched matrix products of the device, row-major, with what comes before or after a product fused into it.
#pragma once

#include "cuda/device.h"

namespace unifiedrl::cuda {

enum class Type : int32_t {
  kFloat32,
  kTf32,  // float in memory, rounded to tf32 by the product
  kBf16,
};

// Biases and bias gradients are vectors of `columns` elements of the output's type. A mask has a bit for each element of C, in a layout of the
// library's: only Gemm reads or writes masks, and one that was written with some rows, columns, mask_ld is read with the same.
enum class Epilogue : int32_t {
  kNone,
  kBias,                      // C = op(A) op(B) + bias
  kBiasRelu,                  // C = max(op(A) op(B) + bias, 0)
  kBiasReluMask,              // and writes where it was above 0
  kReluGradient,              // C = op(A) op(B) where the mask is set, else 0
  kReluGradientBiasGradient,  // and writes the sums of C over its rows
  kBiasGradient,              // C = op(A) op(B), and writes the sums of op(B) over `inner`
};

// C[rows, columns] = op(A)[rows, inner] op(B)[inner, columns] for each of `batch`.
struct GemmShape {
  int64_t batch = 1, rows = 0, columns = 0, inner = 0;
  Type in = Type::kFloat32, out = Type::kFloat32;         // float inputs give float; bf16 ones float or bf16; sums are in float
  bool transpose_a = false, transpose_b = false;          // A is stored [inner, rows], B [columns, inner]
  int64_t lda = 0, ldb = 0, ldc = 0;                      // elements from row to row as stored
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;       // elements from one of the batch to the next; 0 for A and B: all share it
  Epilogue epilogue = Epilogue::kNone;
  int64_t bias_stride = 0;                                // elements; also of a bias gradient
  int64_t mask_ld = 0, mask_stride = 0;                   // bits, multiples of 128
  int64_t alignment = 16;                                 // bytes, of every pointer given to run(); masks have 16
};

// Bytes of a mask whose rows are mask_ld(columns) bits apart.
constexpr int64_t mask_ld(int64_t columns) { return (columns + 127) / 128 * 128; }
constexpr int64_t mask_bytes(int64_t rows, int64_t columns) { return rows * mask_ld(columns) / 8; }

// The library and the memory that its products work in. Products that share one must not run at the same time: one for each stream.
class GemmContext {
 public:
  static constexpr size_t kWorkspace = size_t{32} << 20;
  explicit GemmContext(size_t workspace_bytes = kWorkspace);
  GemmContext(const GemmContext&) = delete;
  GemmContext& operator=(const GemmContext&) = delete;
  ~GemmContext();

  struct State;
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

class Gemm {
 public:
  // Whether the library has the product with this epilogue; without one (kNone) it always has.
  static bool supports(const GemmShape& shape, const GemmContext& context);
  // Chooses an algorithm by measurement on `stream`, once per shape and device in this process. Fails for a shape that is not supported.
  Gemm(const GemmShape& shape, Stream& stream, const GemmContext& context);
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;
  ~Gemm();
  // `bias` is for kBias, kBiasRelu and kBiasReluMask; `mask_or_bias_gradient` is the mask of those that have one, else the bias gradient; where there
  // are both (kReluGradientBiasGradient), the gradient goes to `bias_gradient`. Allocates nothing.
  void run(const void* a, const void* b, void* c, const void* bias, void* mask_or_bias_gradient, Stream& stream, void* bias_gradient = nullptr) const;
  const GemmShape& shape() const { return shape_; }

  struct State;

 private:
  GemmShape shape_;
  std::unique_ptr<State> state_;
};

// The library with its version, for people.
std::string gemm_library();

// For the two implementations: throw INVALID_ARGUMENT for a shape that no library could have, and for operands that its epilogue lacks.
void check_shape(const GemmShape& shape);
void check_operands(const GemmShape& shape, const void* a, const void* b, const void* c, const void* bias, const void* mask_or_bias_gradient,
                    const void* bias_gradient);

}  // namespace unifiedrl::cuda
