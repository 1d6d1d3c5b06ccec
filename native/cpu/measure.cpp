// The machine's own limits, measured in the same process as the work that is judged by them.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/handles.h"
#include "core/memory.h"
#include "cpu/executor.h"
#include "ops/random.h"
#include "unifiedrl.h"

using unifiedrl::cpu::Buffer;

namespace {
double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
}  // namespace

extern "C" int32_t unifiedrl_measure_sgemm(int64_t n, int32_t threads, int32_t repeats, double* gflops) {
  return unifiedrl::guarded("measure_sgemm", [&] {
    if (n < 1 || n > 16384 || threads < 1 || threads > 1024 || repeats < 1 || gflops == nullptr) {
      unifiedrl::fail_argument("n must be 1 to 16384, threads 1 to 1024, repeats at least 1");
    }
    unifiedrl::check_memory(3 * threads * Buffer::bytes(n * n), "measure_sgemm");
    unifiedrl::cpu::SingleThreadedGemm single;
    unifiedrl::cpu::Pool pool(threads);
    const unifiedrl::cpu::Kernels& k = *unifiedrl::cpu::kernels(0);
    std::vector<Buffer> a, b, c;
    for (int32_t t = 0; t < threads; ++t) {
      a.emplace_back(n * n, "sgemm operands");
      b.emplace_back(n * n, "sgemm operands");
      c.emplace_back(n * n, "sgemm operands");
      std::fill_n(a.back().data(), n * n, 0.5f);
      std::fill_n(b.back().data(), n * n, 0.25f);
    }
    // Each thread multiplies its own matrices, often enough for one measurement to last about 20 ms.
    int64_t inner = std::max<int64_t>(1, static_cast<int64_t>(1.5e9 / static_cast<double>(n * n * n)));
    double best = 1e300;
    for (int32_t repeat = 0; repeat <= repeats; ++repeat) {  // the first warms up
      double start = seconds();
      pool.run(threads, [&](int64_t item, int32_t) {
        size_t t = static_cast<size_t>(item);
        for (int64_t i = 0; i < inner; ++i) {
          unifiedrl::cpu::gemm(k, false, false, n, n, n, a[t].data(), n, b[t].data(), n, false, c[t].data(), n);
        }
      });
      if (repeat > 0) {
        best = std::min(best, seconds() - start);
      }
    }
    double work = 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
    *gflops = work * static_cast<double>(inner) * threads / best * 1e-9;
  });
}

extern "C" int32_t unifiedrl_measure_gather(const unifiedrl_replay* replay, int32_t column, int64_t rows, int32_t repeats, uint64_t seed, double* gather,
                                            double* copy) {
  return unifiedrl::guarded("measure_gather", [&] {
    unifiedrl::check_handle(replay, unifiedrl::Handle::kReplay);
    const unifiedrl::Replay& store = *reinterpret_cast<const unifiedrl::Replay*>(replay);
    if (column < 0 || static_cast<size_t>(column) >= store.widths().size() || rows < 1 || repeats < 1 || gather == nullptr || copy == nullptr) {
      unifiedrl::fail_argument("column must be one of the replay's %zu, rows and repeats at least 1", store.widths().size());
    }
    int64_t width = store.widths()[static_cast<size_t>(column)];
    unifiedrl::Program program;
    int32_t drawn = program.add_tensor("rows", UNIFIEDRL_TENSOR_ROWS, 1, rows, 1);
    int32_t out = program.add_tensor("out", UNIFIEDRL_TENSOR_WORK, 1, rows, width);
    program.add_op({"sample", UNIFIEDRL_OP_SAMPLE, {drawn}, {}, {}, {0}});
    program.add_op({"gather", UNIFIEDRL_OP_GATHER, {drawn, UNIFIEDRL_NONE, UNIFIEDRL_NONE, out}, {}, {}, {column, 0}});
    program.check_replay(&store);
    unifiedrl::check_memory(2 * Buffer::bytes(rows * width), "measure_gather");
    unifiedrl_options options = {};
    options.threads = 1;
    unifiedrl::cpu::CpuExecutor executor(program, &store, options);
    Buffer from(rows * width, "copy source"), to(rows * width, "copy destination");
    double best_gather = 1e300, best_copy = 1e300;
    size_t bytes = static_cast<size_t>(rows * width) * sizeof(float);
    for (int32_t repeat = 0; repeat <= repeats; ++repeat) {
      unifiedrl::Run draw{repeat + 1, 1, seed, nullptr, nullptr, 0, 1}, copying{repeat + 1, 1, seed, nullptr, nullptr, 1, 2};
      executor.run(draw);
      double start = seconds();
      executor.run(copying);
      double middle = seconds();
      std::memcpy(to.data(), from.data(), bytes);
      double end = seconds();
      if (repeat > 0) {
        best_gather = std::min(best_gather, middle - start);
        best_copy = std::min(best_copy, end - middle);
      }
    }
    *gather = static_cast<double>(bytes) / best_gather;
    *copy = static_cast<double>(bytes) / best_copy;
  });
}
