// Measuring functions: what they refuse, and that what they measure is a number.
#include "engine.h"

using namespace test;

namespace {

bool has_cpu() {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    if (std::string(unifiedrl_backend_name(i)) == "cpu") {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST(sgemm_is_measured) {
  double gflops = 0;
  int32_t status = unifiedrl_measure_sgemm(64, 2, 1, &gflops);
  if (!has_cpu()) {
    CHECK(status == UNIFIEDRL_UNAVAILABLE);
    CHECK_CONTAINS(unifiedrl_error(), "without the CPU back end");
    return;
  }
  CHECK(status == UNIFIEDRL_OK);
  CHECK(gflops > 0);
  for (int32_t refused : {unifiedrl_measure_sgemm(0, 1, 1, &gflops), unifiedrl_measure_sgemm(16385, 1, 1, &gflops),
                          unifiedrl_measure_sgemm(64, 0, 1, &gflops), unifiedrl_measure_sgemm(64, 1025, 1, &gflops),
                          unifiedrl_measure_sgemm(64, 1, 0, &gflops), unifiedrl_measure_sgemm(64, 1, 1, nullptr)}) {
    CHECK(refused == UNIFIEDRL_INVALID_ARGUMENT);
  }
  CHECK(unifiedrl_measure_sgemm(16384, 1024, 1, &gflops) == UNIFIEDRL_OUT_OF_MEMORY);  // 3 TiB
  CHECK_CONTAINS(unifiedrl_error(), "3072.0 GiB");
}

TEST(gather_is_measured) {
  Store store(33, 4, 1, {300, 200});
  double gather = 0, copy = 0;
  int32_t status = unifiedrl_measure_gather(store.handle, 0, 100, 2, 7, &gather, &copy);
  if (!has_cpu()) {
    CHECK(status == UNIFIEDRL_UNAVAILABLE);
    return;
  }
  CHECK(status == UNIFIEDRL_OK);
  CHECK(gather > 0 && copy > 0);
  CHECK(unifiedrl_measure_gather(store.handle, 5, 100, 2, 7, &gather, &copy) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(unifiedrl_measure_gather(store.handle, -2, 100, 2, 7, &gather, &copy) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(unifiedrl_measure_gather(store.handle, 0, 0, 2, 7, &gather, &copy) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(unifiedrl_measure_gather(store.handle, 0, int64_t{1} << 62, 2, 7, &gather, &copy) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(unifiedrl_measure_gather(store.handle, 0, 100, 0, 7, &gather, &copy) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(unifiedrl_measure_gather(nullptr, 0, 100, 2, 7, &gather, &copy) == UNIFIEDRL_INVALID_ARGUMENT);
}

TEST(gather_from_an_empty_replay_is_refused) {
  if (!has_cpu()) {
    return;
  }
  int64_t width = 8;
  unifiedrl_replay* replay = nullptr;
  CHECK_OK(unifiedrl_replay_create(&width, 1, &replay));
  double gather = 0, copy = 0;
  CHECK(unifiedrl_measure_gather(replay, 0, 100, 2, 7, &gather, &copy) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK_CONTAINS(unifiedrl_error(), "an empty one");
  unifiedrl_replay_close(replay);
}

int main(int argc, char** argv) { return test::main(argc, argv); }
