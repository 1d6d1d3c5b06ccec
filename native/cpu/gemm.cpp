#include "cpu/gemm.h"

#include <dnnl.h>

#include <string>

#include "core/error.h"
#include "unifiedrl.h"

// From the OpenMP run time that oneDNN brings along; its header would need the compiler's own run time.
extern "C" void omp_set_num_threads(int);
extern "C" int omp_get_max_threads(void);

namespace unifiedrl::cpu {

namespace {
// Below about 40,000 multiply-adds oneDNN's set-up costs more than the product.
constexpr int64_t kSmallProduct = 40000;
}  // namespace

SingleThreadedGemm::SingleThreadedGemm() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
SingleThreadedGemm::~SingleThreadedGemm() { omp_set_num_threads(before_); }

void gemm(const Kernels& kernels, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
          int64_t ldb, bool accumulate, float* c, int64_t ldc) {
  if (!transpose_b && m * n * k < kSmallProduct) {
    kernels.gemm(m, n, k, a, transpose_a ? 1 : lda, transpose_a ? lda : 1, b, ldb, accumulate, c, ldc);
    return;
  }
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
