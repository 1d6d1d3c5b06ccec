// 64-byte aligned memory of floats.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace unifiedrl::cpu {

// Zeroed; throws Error(UNIFIEDRL_OUT_OF_MEMORY). Whoever makes several asks check_memory() for their sum first.
class Buffer {
 public:
  Buffer() = default;
  Buffer(int64_t floats, const char* what);
  float* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  // What a buffer of so many floats takes.
  static int64_t bytes(int64_t floats) { return ((floats < 1 ? 1 : floats) * 4 + 63) / 64 * 64; }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  int64_t size_ = 0;
};

}  // namespace unifiedrl::cpu
