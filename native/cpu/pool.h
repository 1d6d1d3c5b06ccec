// A fixed set of worker threads for one engine; the calling thread is worker 0. Work items are handed out one at a time, and results do
// not depend on which worker takes which. Nothing that an item throws ends a thread: run() throws it again when all items are done.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace unifiedrl::cpu {

class Pool {
 public:
  // Throws Error(UNIFIEDRL_UNAVAILABLE) when the system starts fewer threads.
  explicit Pool(int32_t threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int32_t threads() const { return threads_; }

  // Calls work(item, worker) for every item in [0, items) and returns when all are done. Of the exceptions that items throw, that of the
  // lowest item is thrown again.
  template <typename Work>
  void run(int64_t items, const Work& work) {
    run_erased(items, [](const void* w, int64_t item, int32_t worker) { (*static_cast<const Work*>(w))(item, worker); }, &work);
  }

 private:
  using Call = void (*)(const void*, int64_t, int32_t);
  void run_erased(int64_t items, Call call, const void* work);
  void stop();
  void take_items(int32_t worker);
  void take(int64_t item, int32_t worker);
  void rethrow();
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
  std::mutex failure_mutex_;
  int64_t failed_item_ = 0;
  std::exception_ptr failure_;  // of the job being worked on
};

}  // namespace unifiedrl::cpu
