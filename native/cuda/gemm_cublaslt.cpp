// Matrix products by cuBLASLt, which is column-major. A row-major matrix is the transpose of the column-major one in the same memory, so what is
// asked for is C^T = op(B)^T op(A)^T: the library's A is our B and its B our A, its rows m are our columns, its columns n our rows, and an operand
// is transposed for it just where it is for us:
//   ours              stored as [r, c], row-major     the library's, column-major    operation
//   B, plain          [inner, columns]                A: columns x inner             N
//   B, transposed     [columns, inner]                A: inner x columns             T
//   A, plain          [rows, inner]                   B: inner x rows                N
//   A, transposed     [inner, rows]                   B: rows x inner                T
// Its bias runs along m: along our columns, one for each. The bias gradient of dW = H^T dZ is the sums of dZ, our B, over `inner`: those of the
// library's A over k, which is BGRADA. That of dZ = (dZ' W^T) * mask is the sums of the result over our rows, its n: DRELU_BGRAD. Mask bits run
// along m with a leading dimension of mask_ld: once more our rows, mask_ld bits apart.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <vector>

#include "cuda/gemm.h"
#include "unifiedrl.h"

namespace unifiedrl::cuda {

namespace {

std::string version_text(size_t version) { return format("%zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100); }

void check_library(cublasStatus_t status, const char* what) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return;
    case CUBLAS_STATUS_ALLOC_FAILED:
      throw Error(UNIFIEDRL_OUT_OF_MEMORY, format("cuBLASLt: no memory while %s; lower the batch or the hidden sizes", what));
    case CUBLAS_STATUS_NOT_INITIALIZED:
    case CUBLAS_STATUS_ARCH_MISMATCH:
      throw Error(UNIFIEDRL_UNAVAILABLE, format("cuBLASLt %s cannot work on this device, while %s: %s",
                                                version_text(cublasLtGetVersion()).c_str(), what, cublasLtGetStatusString(status)));
    default:
      throw Error(UNIFIEDRL_INTERNAL, format("cuBLASLt, while %s: %s", what, cublasLtGetStatusString(status)));
  }
}

// Owners of the library's objects.
template <typename T, cublasStatus_t (*destroy)(T)>
struct Owner {
  Owner() = default;
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner() {
    if (object != nullptr) {
      destroy(object);
    }
  }
  T object = nullptr;
};
using Handle = Owner<cublasLtHandle_t, cublasLtDestroy>;
using Product = Owner<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owner<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <typename T>
void set(const Product& product, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check_library(cublasLtMatmulDescSetAttribute(product.object, attribute, &value, sizeof value), "describing a product");
}
template <typename T>
void set(const Layout& layout, cublasLtMatrixLayoutAttribute_t attribute, const T& value) {
  check_library(cublasLtMatrixLayoutSetAttribute(layout.object, attribute, &value, sizeof value), "describing a matrix");
}
template <typename T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  check_library(cublasLtMatmulPreferenceSetAttribute(preference.object, attribute, &value, sizeof value), "describing what algorithms may do");
}

cudaDataType_t data_type(Type type) { return type == Type::kBf16 ? CUDA_R_16BF : CUDA_R_32F; }
int64_t element_size(Type type) { return type == Type::kBf16 ? 2 : 4; }

cublasLtEpilogue_t library_epilogue(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::kBias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::kBiasRelu:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
    case Epilogue::kBiasReluMask:
      return CUBLASLT_EPILOGUE_RELU_AUX_BIAS;
    case Epilogue::kReluGradient:
      return CUBLASLT_EPILOGUE_DRELU;
    case Epilogue::kReluGradientBiasGradient:
      return CUBLASLT_EPILOGUE_DRELU_BGRAD;
    case Epilogue::kBiasGradient:
      return CUBLASLT_EPILOGUE_BGRADA;
    case Epilogue::kNone:
      break;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

// The largest power of 2 up to `limit` that all of a batch's pointers are multiples of, where the first is of `limit`.
int64_t batch_alignment(const GemmShape& s, int64_t stride, Type type) {
  int64_t bytes = s.batch > 1 ? stride * element_size(type) : 0;
  return bytes == 0 ? s.alignment : std::min(s.alignment, bytes & -bytes);
}

bool has_mask(Epilogue e) { return e == Epilogue::kBiasReluMask || e == Epilogue::kReluGradient || e == Epilogue::kReluGradientBiasGradient; }
bool has_bias(Epilogue e) { return e != Epilogue::kNone && e != Epilogue::kReluGradient; }  // or a bias gradient, which goes where a bias would be

// A shape, the device and the workspace: what a choice of algorithm hangs on.
using Key = std::array<int64_t, 21>;

Key key_of(const GemmShape& s, size_t workspace) {
  int device = 0;
  check(cudaGetDevice(&device), "asking for the selected device");
  return Key{device,       static_cast<int64_t>(workspace),
             s.batch,      s.rows,
             s.columns,    s.inner,
             s.transpose_a, s.transpose_b,
             s.lda,        s.ldb,
             s.ldc,        s.stride_a,
             s.stride_b,   s.stride_c,
             s.mask_ld,    s.mask_stride,
             s.bias_stride, s.alignment,
             static_cast<int64_t>(s.in), static_cast<int64_t>(s.out), static_cast<int64_t>(s.epilogue)};
}

std::mutex choices_mutex;
std::map<Key, cublasLtMatmulAlgo_t> choices;  // of this process

}  // namespace

struct GemmContext::State {
  Handle handle;
  DeviceBuffer workspace;
};

struct Gemm::State {
  State(const GemmShape& s, const GemmContext::State& context)
      : handle(context.handle.object), workspace(context.workspace.data()), workspace_bytes(context.workspace.size()) {
    // FP32 without "FAST" never rounds operands to tf32.
    cublasComputeType_t compute = s.in == Type::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check_library(cublasLtMatmulDescCreate(&product.object, compute, CUDA_R_32F), "describing a product");
    set(product, CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(product, CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(product, CUBLASLT_MATMUL_DESC_EPILOGUE, library_epilogue(s.epilogue));
    // The choice of an algorithm looks at how pointers are aligned, not at what is there.
    auto somewhere = [](int64_t alignment) { return reinterpret_cast<void*>(static_cast<uintptr_t>(alignment)); };
    if (has_bias(s.epilogue)) {
      set(product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<int32_t>(data_type(s.out)));
      set(product, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, s.bias_stride);
      set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, somewhere(batch_alignment(s, s.bias_stride, s.out)));
    }
    if (has_mask(s.epilogue)) {
      set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, s.mask_ld);
      set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, s.mask_stride);
      set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, somewhere(16));
    }
    describe(a, s.in, s.transpose_b ? s.inner : s.columns, s.transpose_b ? s.columns : s.inner, s.ldb, s.batch, s.stride_b);
    describe(b, s.in, s.transpose_a ? s.rows : s.inner, s.transpose_a ? s.inner : s.rows, s.lda, s.batch, s.stride_a);
    describe(c, s.out, s.columns, s.rows, s.ldc, s.batch, s.stride_c);
  }

  static void describe(Layout& layout, Type type, int64_t rows, int64_t columns, int64_t ld, int64_t batch, int64_t stride) {
    check_library(cublasLtMatrixLayoutCreate(&layout.object, data_type(type), static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), ld),
          "describing a matrix");
    set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(batch));
    set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }

  // What the library's heuristic offers, best first; none where it has no algorithm.
  std::vector<cublasLtMatmulAlgo_t> algorithms(const GemmShape& s) const {
    Preference preference;
    check_library(cublasLtMatmulPreferenceCreate(&preference.object), "describing what algorithms may do");
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(workspace_bytes));
    // Sums split over blocks are added up in float, in a fixed order, in the workspace: results do not hang on who comes first.
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<uint32_t>(batch_alignment(s, s.stride_b, s.in)));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(batch_alignment(s, s.stride_a, s.in)));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(batch_alignment(s, s.stride_c, s.out)));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(batch_alignment(s, s.stride_c, s.out)));
    constexpr int kMost = 12;
    cublasLtMatmulHeuristicResult_t results[kMost];
    int found = 0;
    cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle, product.object, a.object, b.object, c.object, c.object, preference.object, kMost,
                                                           results, &found);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) {
      return {};
    }
    check_library(status, "looking for an algorithm");
    std::vector<cublasLtMatmulAlgo_t> algorithms;
    for (int i = 0; i < found; ++i) {
      if (results[i].state == CUBLAS_STATUS_SUCCESS) {
        algorithms.push_back(results[i].algo);
      }
    }
    return algorithms;
  }

  void point(const GemmShape& s, const void* bias, void* mask_or_bias_gradient, void* bias_gradient) const {
    if (has_mask(s.epilogue)) {
      set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, mask_or_bias_gradient);
    }
    if (s.epilogue == Epilogue::kBiasGradient) {
      set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, mask_or_bias_gradient);
    } else if (s.epilogue == Epilogue::kReluGradientBiasGradient) {
      set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias_gradient);
    } else if (has_bias(s.epilogue)) {
      set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }
  }

  cublasStatus_t multiply(const cublasLtMatmulAlgo_t& which, const void* our_a, const void* our_b, void* our_c, const Stream& stream) const {
    const float one = 1, zero = 0;
    return cublasLtMatmul(handle, product.object, &one, our_b, a.object, our_a, b.object, &zero, our_c, c.object, our_c, c.object, &which, workspace,
                          workspace_bytes, static_cast<cudaStream_t>(stream.handle()));
  }

  // The fastest on scratch operands. Of those within a twentieth of it the heuristic's favourite, so that noise seldom changes the choice.
  cublasLtMatmulAlgo_t measure(const std::vector<cublasLtMatmulAlgo_t>& algorithms, const GemmShape& s, Stream& stream) const {
    auto bytes = [&](int64_t rows, int64_t columns, int64_t ld, int64_t stride, Type type) {
      return static_cast<size_t>(((s.batch - 1) * stride + (rows - 1) * ld + columns) * element_size(type));
    };
    size_t a_bytes = bytes(s.transpose_a ? s.inner : s.rows, s.transpose_a ? s.rows : s.inner, s.lda, s.stride_a, s.in);
    size_t b_bytes = bytes(s.transpose_b ? s.columns : s.inner, s.transpose_b ? s.inner : s.columns, s.ldb, s.stride_b, s.in);
    DeviceBuffer scratch_a(a_bytes, "operand of a measurement"), scratch_b(b_bytes, "operand of a measurement");
    DeviceBuffer scratch_c(bytes(s.rows, s.columns, s.ldc, s.stride_c, s.out), "result of a measurement");
    DeviceBuffer bias(static_cast<size_t>(((s.batch - 1) * s.bias_stride + s.columns) * 4), "bias of a measurement");
    DeviceBuffer mask(static_cast<size_t>(((s.batch - 1) * s.mask_stride + s.rows * s.mask_ld) / 8 + 16), "mask of a measurement");
    cudaStream_t raw = static_cast<cudaStream_t>(stream.handle());
    // A number like 0.01 in both types: zeros would draw less power, and run faster, than what trains.
    check(cudaMemsetAsync(scratch_a.data(), 0x3c, a_bytes, raw), "filling memory");
    check(cudaMemsetAsync(scratch_b.data(), 0x3c, b_bytes, raw), "filling memory");
    point(s, bias.data(), s.epilogue == Epilogue::kBiasGradient ? bias.data() : mask.data(), bias.data());
    std::vector<float> times;
    Event before(true), after(true);
    for (const cublasLtMatmulAlgo_t& algorithm : algorithms) {
      float best = -1;
      for (int round = 0; round < 6; ++round) {
        before.record(stream);
        if (multiply(algorithm, scratch_a.data(), scratch_b.data(), scratch_c.data(), stream) != CUBLAS_STATUS_SUCCESS) {
          best = -1;
          break;
        }
        after.record(stream);
        after.synchronise();
        float time = after.milliseconds_since(before);
        best = round < 2 ? -1 : best < 0 ? time : std::min(best, time);  // the first rounds load code and fill caches
      }
      times.push_back(best);
    }
    stream.synchronise();
    float fastest = -1;
    for (float time : times) {
      fastest = time >= 0 && (fastest < 0 || time < fastest) ? time : fastest;
    }
    for (size_t i = 0; i < times.size(); ++i) {
      if (times[i] >= 0 && times[i] <= fastest * 1.05f) {
        return algorithms[i];
      }
    }
    throw Error(UNIFIEDRL_INTERNAL, "cuBLASLt: none of the algorithms that its heuristic offers runs");
  }

  cublasLtHandle_t handle;
  void* workspace;
  size_t workspace_bytes;
  Product product;
  Layout a, b, c;  // the library's
  cublasLtMatmulAlgo_t algorithm{};
};

GemmContext::GemmContext(size_t workspace_bytes) : state_(std::make_unique<State>()) {
  size_t found = cublasLtGetVersion(), wanted = CUBLAS_VER_MAJOR * 10000 + CUBLAS_VER_MINOR * 100;
  if (found < wanted || found / 10000 != CUBLAS_VER_MAJOR) {
    throw Error(UNIFIEDRL_UNAVAILABLE,
                format("cuBLASLt %s was found (libcublasLt.so.%d), but %s or a later %d.x is wanted: put it beside this library, or its folder in "
                       "LD_LIBRARY_PATH before others",
                       version_text(found).c_str(), CUBLAS_VER_MAJOR, version_text(wanted).c_str(), CUBLAS_VER_MAJOR));
  }
  check_library(cublasLtCreate(&state_->handle.object), "starting the library");
  state_->workspace.allocate(workspace_bytes, "workspace of matrix products");
}
GemmContext::~GemmContext() = default;

bool Gemm::supports(const GemmShape& shape, const GemmContext& context) {
  check_shape(shape);
  return !State(shape, context.state()).algorithms(shape).empty();
}

Gemm::Gemm(const GemmShape& shape, Stream& stream, const GemmContext& context) : shape_(shape) {
  check_shape(shape);
  state_ = std::make_unique<State>(shape, context.state());
  Key key = key_of(shape, state_->workspace_bytes);
  {
    std::lock_guard<std::mutex> lock(choices_mutex);
    auto known = choices.find(key);
    if (known != choices.end()) {
      state_->algorithm = known->second;
      return;
    }
  }
  std::vector<cublasLtMatmulAlgo_t> algorithms = state_->algorithms(shape);
  if (algorithms.empty()) {
    throw Error(UNIFIEDRL_INTERNAL, format("cuBLASLt %s has no algorithm for a product of %lld x [%lld, %lld, %lld] with epilogue %d",
                                           version_text(cublasLtGetVersion()).c_str(), static_cast<long long>(shape.batch),
                                           static_cast<long long>(shape.rows), static_cast<long long>(shape.columns),
                                           static_cast<long long>(shape.inner), static_cast<int>(shape.epilogue)));
  }
  state_->algorithm = algorithms[0];
  if (algorithms.size() > 1) {
    try {
      state_->algorithm = state_->measure(algorithms, shape, stream);
    } catch (const Error& error) {
      if (error.status() != UNIFIEDRL_OUT_OF_MEMORY) {
        throw;
      }
      return;  // no room for scratch operands: the heuristic's favourite, until there is
    }
  }
  std::lock_guard<std::mutex> lock(choices_mutex);
  state_->algorithm = choices.emplace(key, state_->algorithm).first->second;
}
Gemm::~Gemm() = default;

void Gemm::run(const void* a, const void* b, void* c, const void* bias, void* mask_or_bias_gradient, Stream& stream, void* bias_gradient) const {
  check_operands(shape_, a, b, c, bias, mask_or_bias_gradient, bias_gradient);
  state_->point(shape_, bias, mask_or_bias_gradient, bias_gradient);
  check_library(state_->multiply(state_->algorithm, a, b, c, stream), "multiplying");
}

std::string gemm_library() { return "cuBLASLt " + version_text(cublasLtGetVersion()); }

}  // namespace unifiedrl::cuda
