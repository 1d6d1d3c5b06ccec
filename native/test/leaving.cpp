// A process may exit while engines run: a service that is told to stop does. What libraries free then must not be in use.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "engine.h"

using namespace test;

namespace {

constexpr int kExits = 20;
constexpr int kStatus = 7;
constexpr int64_t kRows = 256, kWidth = 128;

// Steps of products that are large enough for a library to do, until the process ends.
void start_forever() {
  Program p;
  int32_t net = p.network("net", 4, {kWidth, kWidth, kWidth});
  int32_t x = p.constant("x", 1, kRows, kWidth), y = p.tensor("y", 4, kRows, kWidth);
  p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, UNIFIEDRL_NONE}, {net});
  unifiedrl_options options = {};
  options.threads = 1;
  static std::vector<std::unique_ptr<Engine>>& engines = *new std::vector<std::unique_ptr<Engine>>;  // the process ends before its threads do
  engines.push_back(std::make_unique<Engine>(p, "cpu", options));
  std::thread([engine = engines.back().get()] { engine->run(int64_t{1} << 30); }).detach();
}

}  // namespace

TEST(a_process_exits_while_engines_run) {
  for (int k = 0; k < kExits; ++k) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      for (int thread = 0; thread < 2; ++thread) {
        start_forever();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(k));  // among the first steps, and beyond them
      std::exit(kStatus);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == kStatus);
  }
}

int main(int argc, char** argv) { return test::main(argc, argv); }
