#include "cpu/gemm.h"

#include <dnnl.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "unifiedrl.h"

// From the OpenMP run time that oneDNN brings along; its header would need the compiler's own run time.
extern "C" void omp_set_num_threads(int);
extern "C" int omp_get_max_threads(void);

namespace unifiedrl::cpu {

namespace {
// Below about 40,000 multiply-adds oneDNN's set-up costs more than the product.
constexpr int64_t kSmallProduct = 40000;

// When the process exits, oneDNN frees the code that it generated, whoever still runs it. So products under way are waited for first, and threads
// that come with another one wait for the end.
std::atomic<int32_t> products{0};
std::atomic<bool> leaving{false};

void leave() {
  leaving = true;
  while (products != 0) {
    std::this_thread::yield();
  }
}

// What is registered last is called first, and oneDNN registers code before it generates it: at the first product of some kind. Which kinds there
// are is its own affair, so `leave` is registered again after the first product of each shape; prepare_gemm sees to nearly all of them.
void register_again(uint64_t shape) {
  constexpr uint64_t kShapes = 1024;  // shapes that fall together are of no account
  static std::atomic<bool> seen[kShapes];
  std::atomic<bool>& mine = seen[(shape * 0x9E3779B97F4A7C15u) >> 54];
  if (!mine.load(std::memory_order_relaxed) && !mine.exchange(true)) {
    std::atexit(leave);
  }
}

class Product {
 public:
  explicit Product(uint64_t shape) : shape_(shape) {
    ++products;
    if (leaving) {
      --products;
      for (;;) {
        pause();
      }
    }
  }
  ~Product() {
    register_again(shape_);
    --products;
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

 private:
  uint64_t shape_;
};

// Every kind of code that oneDNN is known to generate comes of one of these products.
void generate() {
  constexpr dnnl_dim_t kShapes[][3] = {{48, 48, 48}, {2, 128, 128}};
  constexpr size_t kLargest = 128 * 128;
  std::vector<float> a(kLargest), b(kLargest), c(kLargest);
  SingleThreadedGemm single;
  for (const auto& [m, n, k] : kShapes) {
    for (int kind = 0; kind < 8; ++kind) {
      bool transpose_a = (kind & 1) != 0, transpose_b = (kind & 2) != 0;
      // A failure shows again at the product that somebody wants.
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a.data(), transpose_a ? m : k, b.data(), transpose_b ? k : n,
                 (kind & 4) != 0 ? 1.0f : 0.0f, c.data(), n);
    }
  }
  std::atexit(leave);
}

}  // namespace

void prepare_gemm() {
  static std::once_flag once;
  std::call_once(once, generate);
}

SingleThreadedGemm::SingleThreadedGemm() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
SingleThreadedGemm::~SingleThreadedGemm() { omp_set_num_threads(before_); }

void gemm(const Kernels& kernels, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
          int64_t ldb, bool accumulate, float* c, int64_t ldc) {
  if (!transpose_b && m * n * k < kSmallProduct) {
    kernels.gemm(m, n, k, a, transpose_a ? 1 : lda, transpose_a ? lda : 1, b, ldb, accumulate, c, ldc);
    return;
  }
  prepare_gemm();
  uint64_t kind = (transpose_a ? 1u : 0u) + (transpose_b ? 2u : 0u) + (accumulate ? 4u : 0u);
  Product product(((static_cast<uint64_t>(m) * 31 + static_cast<uint64_t>(n)) * 31 + static_cast<uint64_t>(k)) * 8 + kind);
  dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b, ldb, accumulate ? 1.0f : 0.0f, c, ldc);
  if (status != dnnl_success) {
    // Arguments were checked when the program was; what remains is memory.
    throw Error(status == dnnl_out_of_memory ? UNIFIEDRL_OUT_OF_MEMORY : UNIFIEDRL_INTERNAL,
                format("oneDNN sgemm of %lld x %lld x %lld failed with status %d", static_cast<long long>(m), static_cast<long long>(n),
                       static_cast<long long>(k), static_cast<int>(status)));
  }
}

const char* gemm_library() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return format("oneDNN %d.%d.%d", v->major, v->minor, v->patch);
  }();
  return text.c_str();
}

}  // namespace unifiedrl::cpu
