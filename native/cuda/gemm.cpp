// The parts of gemm.h that the library and its emulation have in common.
#include "cuda/gemm.h"

namespace unifiedrl::cuda {

void check_shape(const GemmShape& s) {
  auto name = [](int64_t x) { return static_cast<long long>(x); };
  if (s.batch < 1 || s.rows < 1 || s.columns < 1 || s.inner < 1) {
    fail_argument("matrix product: batch %lld, rows %lld, columns %lld, inner %lld must all be at least 1", name(s.batch), name(s.rows),
                  name(s.columns), name(s.inner));
  }
  if (s.out == Type::kTf32 || (s.in != Type::kBf16 && s.out != Type::kFloat32)) {
    fail_argument("matrix product: float inputs give float, bf16 ones float or bf16");
  }
  int64_t least_a = s.transpose_a ? s.rows : s.inner, least_b = s.transpose_b ? s.inner : s.columns;
  if (s.lda < least_a || s.ldb < least_b || s.ldc < s.columns) {
    fail_argument("matrix product: lda %lld, ldb %lld, ldc %lld must be at least %lld, %lld, %lld", name(s.lda), name(s.ldb), name(s.ldc),
                  name(least_a), name(least_b), name(s.columns));
  }
  if (s.batch > 1 && s.stride_c < (s.rows - 1) * s.ldc + s.columns) {
    fail_argument("matrix product: stride_c %lld lets results of the batch overlap", name(s.stride_c));
  }
  if (s.stride_a < 0 || s.stride_b < 0 || s.bias_stride < 0) {
    fail_argument("matrix product: a stride is negative");
  }
  bool mask = s.epilogue == Epilogue::kBiasReluMask || s.epilogue == Epilogue::kReluGradient || s.epilogue == Epilogue::kReluGradientBiasGradient;
  if (mask && (s.mask_ld < s.columns || s.mask_ld % 128 != 0 || s.mask_stride % 128 != 0 || (s.batch > 1 && s.mask_stride < s.rows * s.mask_ld))) {
    fail_argument("matrix product: mask_ld %lld and mask_stride %lld must be multiples of 128 that hold %lld columns and %lld rows", name(s.mask_ld),
                  name(s.mask_stride), name(s.columns), name(s.rows));
  }
  bool gradient = s.epilogue == Epilogue::kBiasGradient || s.epilogue == Epilogue::kReluGradientBiasGradient;
  if (gradient && s.batch > 1 && s.bias_stride < s.columns) {
    fail_argument("matrix product: bias_stride %lld lets bias gradients of the batch overlap", name(s.bias_stride));
  }
  int64_t element = s.in == Type::kBf16 || s.out == Type::kBf16 ? 2 : 4;
  if (s.alignment < element || s.alignment > 256 || (s.alignment & (s.alignment - 1)) != 0) {
    fail_argument("matrix product: alignment %lld must be a power of 2 from the size of an element to 256", name(s.alignment));
  }
}

void check_operands(const GemmShape& s, const void* a, const void* b, const void* c, const void* bias, const void* mask_or_bias_gradient,
                    const void* bias_gradient) {
  bool mask = s.epilogue == Epilogue::kBiasReluMask || s.epilogue == Epilogue::kReluGradient || s.epilogue == Epilogue::kReluGradientBiasGradient;
  bool wants_bias = s.epilogue == Epilogue::kBias || s.epilogue == Epilogue::kBiasRelu || s.epilogue == Epilogue::kBiasReluMask;
  const struct {
    const char* name;
    const void* pointer;
    bool needed;
    int64_t alignment;
  } operands[] = {{"a", a, true, s.alignment},
                  {"b", b, true, s.alignment},
                  {"c", c, true, s.alignment},
                  {"bias", bias, wants_bias, s.alignment},
                  {"mask", mask_or_bias_gradient, mask, 16},
                  {"bias gradient", mask_or_bias_gradient, s.epilogue == Epilogue::kBiasGradient, s.alignment},
                  {"bias gradient", bias_gradient, s.epilogue == Epilogue::kReluGradientBiasGradient, s.alignment}};
  for (const auto& operand : operands) {
    auto address = reinterpret_cast<uintptr_t>(operand.pointer);
    if (operand.needed && (address == 0 || address % static_cast<uintptr_t>(operand.alignment) != 0)) {
      fail_argument("matrix product: %s at %p must be there and aligned to %lld bytes", operand.name, operand.pointer,
                    static_cast<long long>(operand.alignment));
    }
  }
}

}  // namespace unifiedrl::cuda
