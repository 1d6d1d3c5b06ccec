// The thread pool of the CPU back end: failures of items and of the system arrive at the caller.
#include "cpu/pool.h"

#include <cerrno>
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "check.h"
#include "core/error.h"
#include "unifiedrl.h"

using unifiedrl::cpu::Pool;

namespace {
std::atomic<int> threads_left{1 << 20};  // that the system lets start
}

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) noexcept {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static Create create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return threads_left.fetch_sub(1) > 0 ? create(thread, attributes, start, argument) : EAGAIN;
}

TEST(every_item_is_worked_on_once) {
  for (int32_t threads : {1, 2, 5}) {
    Pool pool(threads);
    for (int64_t items : {0, 1, 7, 100}) {
      std::vector<std::atomic<int>> times(static_cast<size_t>(items));
      pool.run(items, [&](int64_t item, int32_t worker) {
        CHECK(worker >= 0 && worker < threads);
        ++times[static_cast<size_t>(item)];
      });
      for (const std::atomic<int>& t : times) {
        CHECK(t == 1);
      }
    }
  }
}

TEST(the_first_failing_item_is_reported_and_the_pool_goes_on) {
  for (int32_t threads : {1, 2, 4}) {
    Pool pool(threads);
    for (int round = 0; round < 50; ++round) {
      std::atomic<int> done{0};
      std::string text;
      try {
        pool.run(20, [&](int64_t item, int32_t) {
          ++done;
          if (item % 5 == 3) {
            throw std::runtime_error("item " + std::to_string(item));
          }
        });
      } catch (const std::exception& error) {
        text = error.what();
      }
      CHECK(text == "item 3");
      CHECK(done == 20);
    }
    pool.run(20, [](int64_t, int32_t) {});  // nothing is left of the failure
  }
}

TEST(running_out_of_memory_in_a_worker_is_no_end_of_the_process) {
  Pool pool(3);
  bool caught = false;
  std::atomic<bool> threw{false};
  try {
    pool.run(30, [&](int64_t, int32_t worker) {
      if (worker > 0) {
        threw = true;
        throw std::bad_alloc();
      }
      for (int ms = 0; ms < 10000 && !threw; ++ms) {  // so that the others get items
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  } catch (const std::bad_alloc&) {
    caught = true;
  }
  CHECK(caught);
}

TEST(threads_that_do_not_start_are_a_status) {
  threads_left = 2;
  int32_t status = 0;
  std::string text;
  try {
    Pool pool(6);
  } catch (const unifiedrl::Error& error) {
    status = error.status();
    text = error.text();
  }
  threads_left = 1 << 20;
  CHECK(status == UNIFIEDRL_UNAVAILABLE);
  CHECK_CONTAINS(text, "could start only 3 of 6 threads");
}

int main(int argc, char** argv) { return check::main(argc, argv); }
