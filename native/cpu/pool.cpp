#include "cpu/pool.h"

#include <system_error>
#include <utility>

#include "core/error.h"
#include "cpu/gemm.h"
#include "unifiedrl.h"

namespace unifiedrl::cpu {

namespace {
// A worker polls this often before it sleeps: phases of a step follow each other within microseconds, and waking a thread costs tens of them.
constexpr int kPolls = 20000;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}
}  // namespace

Pool::Pool(int32_t threads) : threads_(threads) {
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (int32_t worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this, worker] { loop(worker); });
    }
  } catch (const std::system_error& error) {
    stop();
    throw Error(UNIFIEDRL_UNAVAILABLE, format("could start only %d of %d threads (%s): ask for fewer, or raise the limit on processes",
                                              static_cast<int>(workers_.size()) + 1, threads, error.what()));
  } catch (...) {
    stop();
    throw;
  }
}

Pool::~Pool() { stop(); }

void Pool::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void Pool::take(int64_t item, int32_t worker) {
  try {
    call_(work_, item, worker);
  } catch (...) {
    std::lock_guard<std::mutex> lock(failure_mutex_);
    if (failure_ == nullptr || item < failed_item_) {
      failure_ = std::current_exception();
      failed_item_ = item;
    }
  }
}

void Pool::take_items(int32_t worker) {
  for (int64_t item = next_.fetch_add(1); item < items_; item = next_.fetch_add(1)) {
    take(item, worker);
  }
}

void Pool::run_erased(int64_t items, Call call, const void* work) {
  items_ = items;
  call_ = call;
  work_ = work;
  if (threads_ == 1 || items == 1) {
    for (int64_t item = 0; item < items; ++item) {
      take(item, 0);
    }
    rethrow();
    return;
  }
  next_.store(0);
  busy_.store(threads_ - 1);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    round_.fetch_add(1);
  }
  wake_.notify_all();
  take_items(0);
  for (int poll = 0; busy_.load() != 0; ++poll) {
    if (poll < kPolls) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
  rethrow();
}

void Pool::rethrow() {
  if (failure_ != nullptr) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

void Pool::loop(int32_t worker) {
  SingleThreadedGemm single;
  uint64_t seen = 0;
  for (;;) {
    for (int poll = 0; poll < kPolls && round_.load() == seen && !stop_.load(); ++poll) {
      relax();
    }
    if (round_.load() == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return round_.load() != seen || stop_.load(); });
    }
    if (stop_.load()) {
      return;
    }
    seen = round_.load();
    take_items(worker);
    busy_.fetch_sub(1);
  }
}

}  // namespace unifiedrl::cpu
