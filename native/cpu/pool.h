// A fixed set of worker threads for one engine; the calling thread is worker 0. Work items are handed out one at a time, and results do
// not depend on which worker takes which.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace unifiedrl::cpu {

class Pool {
 public:
  explicit Pool(int32_t threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int32_t threads() const { return threads_; }

  // Calls work(item, worker) for every item in [0, items) and returns when all are done. `work` must not throw.
  template <typename Work>
  void run(int64_t items, const Work& work) {
    run_erased(items, [](const void* w, int64_t item, int32_t worker) { (*static_cast<const Work*>(w))(item, worker); }, &work);
  }

 private:
  using Call = void (*)(const void*, int64_t, int32_t);
  void run_erased(int64_t items, Call call, const void* work);
  void take_items(int32_t worker);
  void loop(int32_t worker);

  int32_t threads_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> round_{0};    // number of the job being worked on
  std::atomic<int32_t> busy_{0};      // workers that have not finished it
  std::atomic<int64_t> next_{0};
  std::atomic<bool> stop_{false};
  int64_t items_ = 0;
  Call call_ = nullptr;
  const void* work_ = nullptr;
};

}  // namespace unifiedrl::cpu
