// What kernels and host code use of CUDA, and nothing else of it: the back end builds for a device, or (UNIFIEDRL_CUDA_EMULATION) for the host,
// where the threads of a block are fibers with real barriers and every access to shared memory is checked. device_cuda.h and
// device_emulated.h have the two twins of the kernel side; this file declares the host side, which they share.
//
// Kernel side, in both twins:
//   UNIFIEDRL_KERNEL void k(...), UNIFIEDRL_DEVICE T f(...), UNIFIEDRL_UNROLL before a loop, __launch_bounds__
//   UNIFIEDRL_PARAMETER before a parameter of a kernel: a structure with arrays that are indexed by variables, which would else be copied first
//   threadIdx, blockIdx, blockDim, gridDim, lane_index(), __syncthreads(); warp_sync(), shuffle(), shuffle_xor(), shuffle_down(), warp_ballot():
//   the whole warp takes part, and blocks that use them have a multiple of 32 threads
//   Shared<T> s = shared<T>(byte_offset, count): the only shared memory there is, dynamic; s[i], *s, s + n; as<U>(s) is the same memory as U.
//   What s[i] gives may be a proxy: name the type of what is read (float x = s[i], not auto), and read a structure whole.
//   copy_async16(s, i, global, valid = 16): 16 bytes to s[i] and on, of which those from `valid` on are zeros; copy_async_commit();
//   copy_async_wait<N>(): all committed groups but the last N have arrived, for this thread only: others need a barrier after it
//   bf16, to_float(), to_bf16(), load_as_float(p), store_from_float(p, x) for p to float or bf16 in global or shared memory
//   float2, float4, uint2, uint4; as_uint(float), as_float(uint32_t); atomicAdd on unsigned, __threadfence()
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/error.h"

namespace unifiedrl::cuda {

constexpr int kWarp = 32;

struct Dim {
  constexpr Dim(unsigned x, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  unsigned x, y, z;
};

// Failures of every function here are Errors: OUT_OF_MEMORY, UNAVAILABLE, INVALID_ARGUMENT (a device that is not there), INTERNAL. After
// an INTERNAL one with "device lost" nothing on that device works any more in this process.

struct DeviceProperties {
  std::string name;
  int multiprocessors;
  size_t shared_per_block;  // bytes that a kernel may ask launch() for
  size_t memory_total, memory_free;
  int compute_major, compute_minor;
  int driver, runtime;  // CUDA versions, 1000 * major + 10 * minor
};

// 0 where CUDA cannot work; device_problem() then says why, and is empty otherwise. Neither throws, nor makes a context.
int device_count();
std::string device_problem();
DeviceProperties properties(int index);
// For what the calling thread does from here on.
void select_device(int index);

// The failure to allocate device memory, with what to lower.
Error out_of_device_memory(const char* what, size_t wanted, size_t free, size_t total);

// Zero-filled memory of the selected device, aligned to 256 bytes.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  // `what` is for the text of a failure.
  DeviceBuffer(size_t bytes, const char* what);
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  ~DeviceBuffer();
  void allocate(size_t bytes, const char* what) { *this = DeviceBuffer(bytes, what); }
  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// Zero-filled, page-locked memory of the host: copies from and to it overlap with other work.
class HostBuffer {
 public:
  HostBuffer() = default;
  HostBuffer(size_t bytes, const char* what);
  HostBuffer(HostBuffer&& other) noexcept;
  HostBuffer& operator=(HostBuffer&& other) noexcept;
  ~HostBuffer();
  void allocate(size_t bytes, const char* what) { *this = HostBuffer(bytes, what); }
  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

class Stream;

// A point in a stream's work.
class Event {
 public:
  explicit Event(bool timed = false);
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();
  void record(Stream& stream);
  void synchronise();
  // Between two timed events that are complete.
  float milliseconds_since(const Event& earlier) const;

 private:
  friend class Stream;
  void* handle_;
};

// Work in order. Streams do not wait for each other, nor for CUDA's default stream.
class Stream {
 public:
  // Greater is more urgent; limited to what the device has.
  explicit Stream(int priority = 0);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();
  void synchronise();
  // What follows on this stream starts after the event's point. Inside a recording, streams join it by this.
  void wait(const Event& event);
  void* handle() const { return handle_; }

 private:
  void* handle_;
};

void copy_to_device(void* destination, const void* source, size_t bytes, Stream& stream);
void copy_to_host(void* destination, const void* source, size_t bytes, Stream& stream);
void copy_on_device(void* destination, const void* source, size_t bytes, Stream& stream);
void fill_zero(void* destination, size_t bytes, Stream& stream);

// Work recorded once and launched as a whole. Between begin() and end() what is put on the stream is recorded instead of done; nothing may
// be allocated or waited for by the recording thread.
class Graph {
 public:
  Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();
  void begin(Stream& stream);
  void end();
  // Drops the recording, which may be one that failed half-way.
  void clear() noexcept;
  void launch(Stream& stream);
  // Kernels, copies and fills; 0 before end().
  size_t nodes() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace unifiedrl::cuda

// Both define: launch(kernel, grid, block, shared_bytes, stream, arguments...), the only way to run a kernel.
#if defined(UNIFIEDRL_CUDA_EMULATION)
#include "cuda/device_emulated.h"
#else
#include "cuda/device_cuda.h"
#endif
