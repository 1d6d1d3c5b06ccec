#include "cpu/pool.h"

#include "cpu/gemm.h"

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
  for (int32_t worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { loop(worker); });
  }
}

Pool::~Pool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void Pool::take_items(int32_t worker) {
  for (int64_t item = next_.fetch_add(1); item < items_; item = next_.fetch_add(1)) {
    call_(work_, item, worker);
  }
}

void Pool::run_erased(int64_t items, Call call, const void* work) {
  if (threads_ == 1 || items == 1) {
    for (int64_t item = 0; item < items; ++item) {
      call(work, item, 0);
    }
    return;
  }
  items_ = items;
  call_ = call;
  work_ = work;
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
