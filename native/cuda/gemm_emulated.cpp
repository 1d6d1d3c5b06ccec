// Matrix products of the emulated device: plain loops, sums in float. UNIFIEDRL_EMULATED_EPILOGUES=0 takes the fused epilogues away, so that what
// callers do without them can be tested; with "promised" they are only missing when it comes to it.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cuda/gemm.h"
#include "cuda/tile.h"
#include "unifiedrl.h"

namespace unifiedrl::cuda {

namespace {

int64_t element_size(Type type) { return type == Type::kBf16 ? 2 : 4; }

float read(const void* from, Type type, int64_t i) {
  return type == Type::kBf16 ? to_float(static_cast<const bf16*>(from)[i]) : static_cast<const float*>(from)[i];
}

void write(void* to, Type type, int64_t i, float x) {
  if (type == Type::kBf16) {
    static_cast<bf16*>(to)[i] = to_bf16(x);
  } else {
    static_cast<float*>(to)[i] = x;
  }
}

template <typename T>
T* advance(T* pointer, int64_t bytes) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return pointer == nullptr ? nullptr : reinterpret_cast<Byte*>(pointer) + bytes;
}

// op(from)[rows, columns] in float, dense.
void fetch(const void* from, Type type, bool transpose, int64_t ld, int64_t rows, int64_t columns, std::vector<float>& to) {
  to.resize(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      to[static_cast<size_t>(r * columns + c)] = read(from, type, transpose ? c * ld + r : r * ld + c);
    }
  }
}

void round_to_tf32(std::vector<float>& x) {
  for (float& value : x) {
    value = as_float(to_tf32(value));
  }
}

// sum += x y. Where nearly all of the time goes, in memory that is this file's own.
__attribute__((no_sanitize("address", "undefined"))) void add_multiple(float* sum, float x, const float* y, size_t count) {
  for (size_t j = 0; j < count; ++j) {
    sum[j] += x * y[j];
  }
}

// One of the batch. The bit of element (r, c) of a mask is bit c % 8 of byte (r * mask_ld + c) / 8.
void multiply(const GemmShape& s, const void* a, const void* b, void* c, const void* bias, uint8_t* mask, void* bias_gradient) {
  static thread_local std::vector<float> left, right, row, sums;
  fetch(a, s.in, s.transpose_a, s.lda, s.rows, s.inner, left);
  fetch(b, s.in, s.transpose_b, s.ldb, s.inner, s.columns, right);
  size_t columns = static_cast<size_t>(s.columns);
  if (s.epilogue == Epilogue::kBiasGradient || s.epilogue == Epilogue::kReluGradientBiasGradient) {
    sums.assign(columns, 0.0f);
  }
  if (s.epilogue == Epilogue::kBiasGradient) {
    for (size_t k = 0; k < static_cast<size_t>(s.inner); ++k) {
      for (size_t j = 0; j < columns; ++j) {
        sums[j] += right[k * columns + j];
      }
    }
  }
  if (s.in == Type::kTf32) {
    round_to_tf32(left);
    round_to_tf32(right);
  }
  for (int64_t r = 0; r < s.rows; ++r) {
    row.assign(columns, 0.0f);
    for (size_t k = 0; k < static_cast<size_t>(s.inner); ++k) {
      add_multiple(row.data(), left[static_cast<size_t>(r * s.inner) + k], right.data() + k * columns, columns);
    }
    for (size_t j = 0; j < columns; ++j) {
      float z = row[j];
      int64_t bit = r * s.mask_ld + static_cast<int64_t>(j);
      switch (s.epilogue) {
        case Epilogue::kNone:
        case Epilogue::kBiasGradient:
          break;
        case Epilogue::kBias:
          z += read(bias, s.out, static_cast<int64_t>(j));
          break;
        case Epilogue::kBiasRelu:
        case Epilogue::kBiasReluMask: {
          z += read(bias, s.out, static_cast<int64_t>(j));
          bool on = !(z <= 0);  // NaN must reach the finite check
          if (s.epilogue == Epilogue::kBiasReluMask) {
            uint8_t one = static_cast<uint8_t>(1u << (bit % 8));
            mask[bit / 8] = static_cast<uint8_t>(on ? mask[bit / 8] | one : mask[bit / 8] & ~one);
          }
          z = on ? z : 0.0f;
          break;
        }
        case Epilogue::kReluGradient:
        case Epilogue::kReluGradientBiasGradient:
          z = (mask[bit / 8] >> (bit % 8) & 1) != 0 ? z : 0.0f;
          if (s.epilogue == Epilogue::kReluGradientBiasGradient) {
            sums[j] += z;
          }
          break;
      }
      write(c, s.out, r * s.ldc + static_cast<int64_t>(j), z);
    }
  }
  if (s.epilogue == Epilogue::kBiasGradient || s.epilogue == Epilogue::kReluGradientBiasGradient) {
    for (size_t j = 0; j < columns; ++j) {
      write(bias_gradient, s.out, static_cast<int64_t>(j), sums[j]);
    }
  }
}

}  // namespace

struct GemmContext::State {};
struct Gemm::State {};

GemmContext::GemmContext(size_t) : state_(std::make_unique<State>()) {}
GemmContext::~GemmContext() = default;

static bool epilogues_are(const char* what) {
  const char* value = std::getenv("UNIFIEDRL_EMULATED_EPILOGUES");
  return value != nullptr && std::strcmp(value, what) == 0;
}

bool Gemm::supports(const GemmShape& shape, const GemmContext&) {
  check_shape(shape);
  return shape.epilogue == Epilogue::kNone || !epilogues_are("0");
}

Gemm::Gemm(const GemmShape& shape, Stream&, const GemmContext& context) : shape_(shape) {
  if (!supports(shape, context) || (shape.epilogue != Epilogue::kNone && epilogues_are("promised"))) {
    throw Error(UNIFIEDRL_INTERNAL, "matrix product: the library has no algorithm with the epilogue");
  }
}
Gemm::~Gemm() = default;

void Gemm::run(const void* a, const void* b, void* c, const void* bias, void* mask_or_bias_gradient, Stream& stream, void* bias_gradient) const {
  check_operands(shape_, a, b, c, bias, mask_or_bias_gradient, bias_gradient);
  void* mask = shape_.epilogue == Epilogue::kBiasGradient ? nullptr : mask_or_bias_gradient;
  void* sums = shape_.epilogue == Epilogue::kBiasGradient ? mask_or_bias_gradient : bias_gradient;
  emulated::submit(stream, [=, s = shape_] {
    int64_t in = element_size(s.in), out = element_size(s.out);
    for (int64_t i = 0; i < s.batch; ++i) {
      multiply(s, advance(a, i * s.stride_a * in), advance(b, i * s.stride_b * in), advance(c, i * s.stride_c * out),
               advance(bias, i * s.bias_stride * out), static_cast<uint8_t*>(advance(mask, i * s.mask_stride / 8)),
               advance(sums, i * s.bias_stride * out));
    }
  });
}

std::string gemm_library() { return "emulated products"; }

}  // namespace unifiedrl::cuda
