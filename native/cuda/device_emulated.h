// The kernel side of device.h on the host. The threads of a block take turns as fibers on the thread that launches; blocks run one after
// another. Every access to shared memory is checked for bounds, alignment, bytes that were never written, and races: two threads touch the
// same bytes, at least one of them writing, with no barrier of the block between, nor one of the warp where it is the same. A barrier that
// not all threads reach is an error too. launch() throws INTERNAL errors that name kernel, block, threads and bytes.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#define UNIFIEDRL_KERNEL
#define UNIFIEDRL_DEVICE inline
#define UNIFIEDRL_UNROLL
#define UNIFIEDRL_PARAMETER const
#define __launch_bounds__(...)

namespace unifiedrl::cuda {

struct Index {
  unsigned x, y, z;
};
// __thread, since thread_local would ask on each use whether they are initialised.
#define UNIFIEDRL_EMULATED_LOCAL extern __thread __attribute__((tls_model("initial-exec")))
UNIFIEDRL_EMULATED_LOCAL Index threadIdx;
UNIFIEDRL_EMULATED_LOCAL Index blockIdx;
UNIFIEDRL_EMULATED_LOCAL Index blockDim;
UNIFIEDRL_EMULATED_LOCAL Index gridDim;

namespace emulated {

struct Location {
  const char* function;
  const char* file;
  int line;
  // As the default of a parameter: where that function is called.
  static constexpr Location here(const char* function = __builtin_FUNCTION(), const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return Location{function, file, line};
  }
};

// What is known of two bytes of shared memory. Times are a clock that each barrier moves on; see Machine in device_emulated.cpp.
constexpr int kCellBytes = 2;
struct Cell {
  uint32_t written, read;    // when last
  uint16_t writer, reader;  // by which thread, and a flag
};
constexpr uint16_t kThread = 0x0fff;
constexpr uint16_t kPending = 0x8000;    // writer: an asynchronous copy that was not waited for
constexpr uint16_t kManyWarps = 0x8000;  // reader: threads of several warps since the block's last barrier
constexpr uint16_t kManyLanes = 0x4000;  // reader: several threads of one warp since its last barrier

// What an access needs of the block that runs.
struct Block {
  unsigned char* memory;
  Cell* cells;
  int64_t bytes;
  uint32_t start;    // times of: the block's start,
  uint32_t barrier;  // its last barrier,
  uint32_t now;      // and the last barrier of the running thread's warp
  uint16_t thread;   // that runs
};
UNIFIEDRL_EMULATED_LOCAL Block* block;

// Ends the launch with what is wrong with an access that may_read() or may_write() refused; sizes of 16 and more want an alignment of 16.
[[noreturn]] void fail_access(int64_t position, int64_t size, int64_t begin, int64_t end, bool write, const Location& made);
void open_view(int64_t offset, int64_t count, int64_t size, const Location& made);

// Unordered: neither ended before the other began.
inline bool unordered(const Block& b, uint16_t other, uint32_t time) {
  uint16_t thread = other & kThread;
  return time >= b.barrier && thread != b.thread && ((thread ^ b.thread) >= kWarp || time == b.now);
}

// The checks of one access; false where something is wrong. [begin, end) is the view's part of shared memory.
__attribute__((no_sanitize("address", "undefined"))) inline bool may_read(int64_t position, int64_t size, int64_t align, int64_t begin, int64_t end) {
  Block& b = *block;
  if (position < begin || position + size > end || position % align != 0) {
    return false;
  }
  for (Cell *c = b.cells + position / kCellBytes, *last = c + size / kCellBytes; c < last; ++c) {
    if (c->written < b.start || (c->writer & kPending) != 0 || unordered(b, c->writer, c->written)) {
      return false;
    }
    if (c->read < b.barrier) {
      c->read = b.now;
      c->reader = b.thread;
    } else if ((c->reader & kManyWarps) == 0) {
      if (((c->reader & kThread) ^ b.thread) >= kWarp) {
        c->reader |= kManyWarps;
      } else if (c->read != b.now) {
        c->read = b.now;
        c->reader = b.thread;
      } else if ((c->reader & kThread) != b.thread) {
        c->reader |= kManyLanes;
      }
    }
  }
  return true;
}

__attribute__((no_sanitize("address", "undefined"))) inline bool may_write(int64_t position, int64_t size, int64_t align, int64_t begin, int64_t end,
                                                                           uint16_t flag = 0) {
  Block& b = *block;
  if (position < begin || position + size > end || position % align != 0) {
    return false;
  }
  for (Cell *c = b.cells + position / kCellBytes, *last = c + size / kCellBytes; c < last; ++c) {
    if (c->written >= b.start && ((c->writer & kPending) != 0 || unordered(b, c->writer, c->written))) {
      return false;
    }
    if (c->read >= b.barrier && ((c->reader & kManyWarps) != 0 || unordered(b, c->reader, c->read) ||
                                 ((c->reader & kManyLanes) != 0 && c->read == b.now))) {
      return false;
    }
    c->written = b.now;
    c->writer = b.thread | flag;
    c->read = 0;
  }
  return true;
}

void block_barrier(const Location& where);
// Every lane of the warp gives `lane`; the last to arrive calls combine for all, and the warp goes on.
void warp_barrier(const Location& where, void* lane, void (*combine)(void* const lanes[kWarp]));

void copy_async(int64_t position, int64_t begin, int64_t end, const void* global, int valid, const Location& made);
void copy_async_commit();
void copy_async_wait(int groups);

}  // namespace emulated

template <typename T>
class Shared;

// What s[i] gives.
template <typename T>
class Reference {
 public:
  using Value = std::remove_const_t<T>;
  Reference(const Reference&) = default;
  operator Value() const {
    if (!emulated::may_read(position_, sizeof(T), alignof(T), view_.begin_, view_.end_)) {
      emulated::fail_access(position_, sizeof(T), view_.begin_, view_.end_, false, view_.made_);
    }
    Value value;
    std::memcpy(&value, emulated::block->memory + position_, sizeof value);
    return value;
  }
  Reference& operator=(Value value) {
    static_assert(!std::is_const_v<T>, "the view is read-only");
    if (!emulated::may_write(position_, sizeof(T), alignof(T), view_.begin_, view_.end_)) {
      emulated::fail_access(position_, sizeof(T), view_.begin_, view_.end_, true, view_.made_);
    }
    std::memcpy(emulated::block->memory + position_, &value, sizeof value);
    return *this;
  }
  Reference& operator=(const Reference& other) { return *this = static_cast<Value>(other); }
  Reference& operator+=(Value value) { return *this = static_cast<Value>(static_cast<Value>(*this) + value); }
  Reference& operator-=(Value value) { return *this = static_cast<Value>(static_cast<Value>(*this) - value); }
  Reference& operator*=(Value value) { return *this = static_cast<Value>(static_cast<Value>(*this) * value); }

 private:
  friend class Shared<T>;
  Reference(const Shared<T>& view, int64_t position) : view_(view), position_(position) {}
  Shared<T> view_;
  int64_t position_;
};

template <typename T>
class Shared {
 public:
  static_assert(sizeof(T) % emulated::kCellBytes == 0, "shared memory is checked two bytes at a time");
  static_assert(std::is_trivially_copyable_v<T>, "plain data");
  Shared() = default;
  Shared(int64_t position, int64_t begin, int64_t end, const emulated::Location& made) : position_(position), begin_(begin), end_(end), made_(made) {}
  operator Shared<const T>() const { return Shared<const T>(position_, begin_, end_, made_); }
  Reference<T> operator[](int64_t i) const { return Reference<T>(*this, position_ + i * static_cast<int64_t>(sizeof(T))); }
  Reference<T> operator*() const { return (*this)[0]; }
  Shared operator+(int64_t n) const { return Shared(position_ + n * static_cast<int64_t>(sizeof(T)), begin_, end_, made_); }
  Shared operator-(int64_t n) const { return *this + -n; }
  Shared& operator+=(int64_t n) { return *this = *this + n; }

  int64_t position_ = 0, begin_ = 0, end_ = 0;  // bytes
  emulated::Location made_ = {"", "", 0};
};

template <typename T>
Shared<T> shared(size_t byte_offset, size_t count, emulated::Location made = emulated::Location::here()) {
  int64_t offset = static_cast<int64_t>(byte_offset), size = sizeof(T);
  emulated::open_view(offset, static_cast<int64_t>(count), size, made);
  return Shared<T>(offset, offset, offset + static_cast<int64_t>(count) * size, made);
}

template <typename U, typename T>
Shared<U> as(const Shared<T>& view) {
  return Shared<U>(view.position_, view.begin_, view.end_, view.made_);
}

inline void __syncthreads(emulated::Location where = emulated::Location::here()) { emulated::block_barrier(where); }
inline void warp_sync(emulated::Location where = emulated::Location::here()) {
  emulated::warp_barrier(where, nullptr, [](void* const*) {});
}

namespace emulated {
template <typename T>
struct Exchange {
  T in, out;
  int from;  // lane
};
template <typename T>
T exchange(const Location& where, T value, int from) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "4 or 8 bytes");
  Exchange<T> lane{value, value, from};
  warp_barrier(where, &lane, [](void* const* lanes) {
    for (int i = 0; i < kWarp; ++i) {
      Exchange<T>& to = *static_cast<Exchange<T>*>(lanes[i]);
      to.out = static_cast<Exchange<T>*>(lanes[to.from])->in;
    }
  });
  return lane.out;
}
}  // namespace emulated

inline int lane_index() { return emulated::block->thread % kWarp; }

template <typename T>
T shuffle(T value, int lane, emulated::Location where = emulated::Location::here()) {
  return emulated::exchange(where, value, lane & (kWarp - 1));
}
template <typename T>
T shuffle_xor(T value, int lane_mask, emulated::Location where = emulated::Location::here()) {
  return emulated::exchange(where, value, (lane_index() ^ lane_mask) & (kWarp - 1));
}
// Lanes past the end give the caller's own value, as on a device.
template <typename T>
T shuffle_down(T value, int delta, emulated::Location where = emulated::Location::here()) {
  int lane = lane_index(), from = lane + delta;
  return emulated::exchange(where, value, from < kWarp ? from : lane);
}
inline uint32_t warp_ballot(bool value, emulated::Location where = emulated::Location::here()) {
  emulated::Exchange<uint32_t> lane{value ? 1u : 0u, 0, 0};
  emulated::warp_barrier(where, &lane, [](void* const* lanes) {
    uint32_t bits = 0;
    for (int i = 0; i < kWarp; ++i) {
      bits |= static_cast<emulated::Exchange<uint32_t>*>(lanes[i])->in << i;
    }
    for (int i = 0; i < kWarp; ++i) {
      static_cast<emulated::Exchange<uint32_t>*>(lanes[i])->out = bits;
    }
  });
  return lane.out;
}

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline uint32_t as_uint(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float as_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// The upper half of a float.
struct bf16 {
  uint16_t bits;
};
inline float to_float(bf16 x) { return as_float(static_cast<uint32_t>(x.bits) << 16); }
// To nearest, ties to even; every NaN becomes the one that a device gives.
inline bf16 to_bf16(float x) {
  uint32_t bits = as_uint(x);
  return x != x ? bf16{0x7fff} : bf16{static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

inline float load_as_float(const float* p) { return *p; }
inline float load_as_float(const bf16* p) { return to_float(*p); }
inline void store_from_float(float* p, float x) { *p = x; }
inline void store_from_float(bf16* p, float x) { *p = to_bf16(x); }
inline float load_as_float(const Shared<float>& p) { return *p; }
inline float load_as_float(const Shared<const float>& p) { return *p; }
inline float load_as_float(const Shared<bf16>& p) { return to_float(*p); }
inline float load_as_float(const Shared<const bf16>& p) { return to_float(*p); }
inline void store_from_float(const Shared<float>& p, float x) { *p = x; }
inline void store_from_float(const Shared<bf16>& p, float x) { *p = to_bf16(x); }

// Threads take turns, so what they do to global memory is atomic as it is.
inline unsigned atomicAdd(unsigned* p, unsigned value) {
  unsigned before = *p;
  *p = before + value;
  return before;
}
inline void __threadfence() {}

template <typename T>
void copy_async16(const Shared<T>& view, int64_t index, const void* global, int valid = 16) {
  emulated::copy_async(view.position_ + index * static_cast<int64_t>(sizeof(T)), view.begin_, view.end_, global, valid, view.made_);
}
inline void copy_async_commit() { emulated::copy_async_commit(); }
template <int N>
void copy_async_wait() {
  emulated::copy_async_wait(N);
}

namespace emulated {
// Does `work` now, or records it where the stream is being recorded.
void submit(Stream& stream, std::function<void()> work);
void run_grid(const void* kernel, Dim grid, Dim block, size_t shared_bytes, const std::function<void()>& thread);
void check_launch(const void* kernel, Dim grid, Dim block, size_t shared_bytes);
}  // namespace emulated

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), Dim grid, Dim block, size_t shared_bytes, Stream& stream, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "as many arguments as the kernel has parameters");
  const void* address = reinterpret_cast<const void*>(kernel);
  emulated::check_launch(address, grid, block, shared_bytes);
  std::tuple<std::decay_t<Parameters>...> values(static_cast<Parameters>(std::forward<Arguments>(arguments))...);
  std::function<void()> thread = [kernel, values] { std::apply(kernel, values); };
  emulated::submit(stream, [=] { emulated::run_grid(address, grid, block, shared_bytes, thread); });
}

}  // namespace unifiedrl::cuda
