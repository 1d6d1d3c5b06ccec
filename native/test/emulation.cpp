// The emulated CUDA device: what kernels may do works as on a device, and what they must not do is reported.
#include <cmath>
#include <cstdlib>
#include <thread>
#include <vector>

#include "check.h"
#include "core/error.h"
#include "cuda/device.h"
#include "cuda/gemm.h"
#include "cuda/tile.h"
#include "unifiedrl.h"

using namespace unifiedrl::cuda;
using unifiedrl::Error;

// The failure that an action ends in.
template <typename Action>
static Error failure(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return Error(UNIFIEDRL_OK, "no failure");
}

template <typename Action>
static std::string kernel_failure(Action action) {
  Error error = failure(action);
  if (error.status() != UNIFIEDRL_INTERNAL) {
    check::fail(__FILE__, __LINE__, "status %d: %s", error.status(), error.text().c_str());
  }
  return error.text();
}

// A number in [-1, 1) for any index.
static float number(int64_t i) { return static_cast<float>((i * 2654435761u + 12345u) % 4096) / 2048.0f - 1.0f; }

namespace emulation {

UNIFIEDRL_KERNEL void index_everything(int* out) {
  unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += static_cast<int>(thread + 1000 * block);
}

// Sum over the block, by halves.
UNIFIEDRL_KERNEL __launch_bounds__(256) void block_sum(const float* in, float* out) {
  Shared<float> s = shared<float>(16, blockDim.x);
  s[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      s[threadIdx.x] += s[threadIdx.x + half];
    }
  }
  __syncthreads();
  if (threadIdx.x == blockDim.x - 1) {
    out[blockIdx.x] = s[0];
  }
}

struct Warp {
  int values[6][64];
};
UNIFIEDRL_KERNEL void exchange(Warp* out) {
  int t = static_cast<int>(threadIdx.x);
  out->values[0][t] = shuffle_xor(t, 5);
  out->values[1][t] = shuffle_down(t, 3);
  out->values[2][t] = shuffle(t, t / 2);
  out->values[3][t] = static_cast<int>(shuffle(static_cast<double>(t), 31));
  out->values[4][t] = static_cast<int>(warp_ballot(t % 3 == 0));
  out->values[5][t] = lane_index();
}

// Neighbours read what the other wrote; `mode` says what is between.
UNIFIEDRL_KERNEL void neighbours(int mode, int distance, int* out) {
  Shared<int> s = shared<int>(0, 128);
  unsigned t = threadIdx.x;
  s[t] = -1;
  __syncthreads();
  s[t] = static_cast<int>(t);
  if (mode == 1) {
    __syncthreads();
  } else if (mode == 2) {
    warp_sync();
  } else if (mode == 3) {
    shuffle(0, 0);
  }
  out[t] = s[t ^ static_cast<unsigned>(distance)];
}

// Read first, written after: the other order of the same race.
UNIFIEDRL_KERNEL void write_after_read(bool barrier, int* out) {
  Shared<int> s = shared<int>(0, 64);
  s[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = s[0];
  if (barrier) {
    __syncthreads();
  }
  if (threadIdx.x == 63) {
    s[0] = 2;
  }
}

// Thread 40 writes what threads 32 to 34 have read: one of their own warp, after a barrier of the warp or not.
UNIFIEDRL_KERNEL void write_after_warp_reads(bool barrier, int* out) {
  Shared<int> s = shared<int>(0, 64);
  s[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x >= 32 && threadIdx.x < 35) {
    out[threadIdx.x] = s[0];
  }
  if (barrier) {
    warp_sync();
  }
  if (threadIdx.x == 40) {
    s[0] = 2;
  }
}

UNIFIEDRL_KERNEL void all_write(int* out) {
  Shared<int> s = shared<int>(0, 1);
  s[0] = 7;
  out[threadIdx.x] = 0;
}

// Neighbouring bf16 of one word are no race.
UNIFIEDRL_KERNEL void halves(float* out) {
  Shared<bf16> s = shared<bf16>(0, 64);
  s[threadIdx.x] = to_bf16(static_cast<float>(threadIdx.x));
  out[threadIdx.x] = to_float(s[threadIdx.x]);
}

UNIFIEDRL_KERNEL void out_of_bounds(int index, bool write) {
  Shared<float> s = shared<float>(64, 8) + 2;
  if (threadIdx.x == 3) {
    if (write) {
      s[index] = 1;
    } else {
      s[index] += 1;
    }
  }
}

UNIFIEDRL_KERNEL void too_large_a_view() { shared<float>(64, 49); }
UNIFIEDRL_KERNEL void misaligned() {
  if (threadIdx.x == 0) {
    shared<float>(2, 4)[0] = 1;
  }
}

UNIFIEDRL_KERNEL void uninitialised(bool first, float* out) {
  Shared<float> s = shared<float>(0, 64);
  if (blockIdx.x == 0 || first) {
    s[threadIdx.x] = 1;  // of the block before: nothing to the next one
  }
  out[threadIdx.x] = s[threadIdx.x];
}

UNIFIEDRL_KERNEL void divergent(int mode) {
  int t = static_cast<int>(threadIdx.x);
  if (mode == 0 && t >= 33) {
    return;
  }
  if (mode == 1 && t < 32) {
    __syncthreads();
    return;
  }
  if (mode == 2 && t == 5) {
    warp_sync();
  }
  if (mode == 3 && t == 5) {
    return;
  }
  if (mode == 3) {
    shuffle_xor(t, 1);
  }
  __syncthreads();
}

UNIFIEDRL_KERNEL void copy_groups(const float* in, float* out, int mode) {
  Shared<float> s = shared<float>(0, 4 * 64 * 2);
  int t = static_cast<int>(threadIdx.x);
  copy_async16(s, 4 * t, in + 4 * t);
  if (mode == 3) {
    return;
  }
  copy_async_commit();
  copy_async16(s, 256 + 4 * t, in + 256 + 4 * t, 8);
  copy_async_commit();
  copy_async_wait<1>();
  if (mode == 1) {
    out[t] = s[256 + 4 * t];  // of the group that may be under way
  }
  if (mode != 2) {
    __syncthreads();
  }
  int other = 255 - 4 * t;
  for (int i = 0; i < 4; ++i) {
    out[4 * t + i] = s[other - i];
  }
  copy_async_wait<0>();
  __syncthreads();
  for (int i = 0; i < 4; ++i) {
    out[256 + 4 * t + i] = s[256 + 4 * (63 - t) + i];
  }
}

UNIFIEDRL_KERNEL void scale(float* x, float by) { x[threadIdx.x] *= by; }

UNIFIEDRL_KERNEL void count_blocks(unsigned* counter, unsigned* order) {
  __threadfence();
  unsigned mine = atomicAdd(counter, 1u);
  order[mine] = blockIdx.x;
}

}  // namespace emulation

using namespace emulation;

TEST(every_thread_of_every_block_runs_once) {
  Stream stream;
  Dim grid(3, 2, 2), block(5, 4, 3);
  DeviceBuffer out(12 * 60 * sizeof(int), "test");
  launch(index_everything, grid, block, 0, stream, out.as<int>());
  for (int i = 0; i < 12 * 60; ++i) {
    CHECK(out.as<int>()[i] == i % 60 + 1000 * (i / 60));
  }
}

TEST(barriers_order_a_block) {
  Stream stream;
  for (unsigned threads : {1u, 2u, 64u, 256u, 1024u}) {
    DeviceBuffer in(3 * threads * sizeof(float), "in"), out(3 * sizeof(float), "out");
    for (unsigned i = 0; i < 3 * threads; ++i) {
      in.as<float>()[i] = static_cast<float>(i % 7);
    }
    launch(block_sum, 3, threads, 16 + threads * sizeof(float), stream, in.as<float>(), out.as<float>());
    for (unsigned b = 0; b < 3; ++b) {
      float sum = 0;
      for (unsigned i = 0; i < threads; ++i) {
        sum += static_cast<float>((b * threads + i) % 7);
      }
      CHECK(out.as<float>()[b] == sum);
    }
  }
}

TEST(warps_exchange_values) {
  Stream stream;
  DeviceBuffer out(sizeof(Warp), "out");
  launch(exchange, 1, 64, 0, stream, out.as<Warp>());
  const Warp& w = *out.as<Warp>();
  for (int t = 0; t < 64; ++t) {
    int lane = t % 32, first = t - lane;
    uint32_t ballot = 0;
    for (int i = 0; i < 32; ++i) {
      ballot |= ((first + i) % 3 == 0 ? 1u : 0u) << i;
    }
    CHECK(w.values[0][t] == (t ^ 5));
    CHECK(w.values[1][t] == (lane + 3 < 32 ? t + 3 : t));
    CHECK(w.values[2][t] == first + (t / 2) % 32);
    CHECK(w.values[3][t] == first + 31);
    CHECK(static_cast<uint32_t>(w.values[4][t]) == ballot);
    CHECK(w.values[5][t] == lane);
  }
  CHECK_CONTAINS(kernel_failure([&] { launch(exchange, 1, 33, 0, stream, out.as<Warp>()); }), "a block of 33 threads");
}

TEST(a_race_is_reported_and_a_barrier_ends_it) {
  Stream stream;
  DeviceBuffer out(64 * sizeof(int), "out");
  std::string text = kernel_failure([&] { launch(neighbours, 1, 64, 512, stream, 0, 1, out.as<int>()); });
  CHECK_CONTAINS(text, "kernel emulation::neighbours(int, int, int*), block (0, 0, 0): threads 0 and 1 race: thread 1 writes bytes 4 to 7");
  CHECK_CONTAINS(text, "byte 4 was read by thread 0 with no barrier between (view made in neighbours, ");
  CHECK_CONTAINS(text, "emulation.cpp:");
  CHECK_CONTAINS(kernel_failure([&] { launch(neighbours, 1, 64, 512, stream, 0, 32, out.as<int>()); }), "threads 63 and 31 race");
  for (int distance : {1, 31, 32, 63}) {
    launch(neighbours, 1, 64, 512, stream, 1, distance, out.as<int>());
    for (int t = 0; t < 64; ++t) {
      CHECK(out.as<int>()[t] == (t ^ distance));
    }
  }
  for (int mode : {2, 3}) {  // a warp's barrier orders the warp, and only that
    launch(neighbours, 1, 64, 512, stream, mode, 31, out.as<int>());
    CHECK_CONTAINS(kernel_failure([&] { launch(neighbours, 1, 64, 512, stream, mode, 32, out.as<int>()); }), " race: ");
  }
}

TEST(a_write_after_reads_is_a_race_too) {
  Stream stream;
  DeviceBuffer out(64 * sizeof(int), "out");
  launch(write_after_read, 2, 64, 256, stream, true, out.as<int>());
  CHECK_CONTAINS(kernel_failure([&] { launch(write_after_read, 2, 64, 256, stream, false, out.as<int>()); }),
                 "threads 63 and 0 race: thread 0 reads bytes 0 to 3 of shared memory; byte 0 was written by thread 63 with no barrier between");
  launch(write_after_warp_reads, 1, 64, 256, stream, true, out.as<int>());
  CHECK_CONTAINS(kernel_failure([&] { launch(write_after_warp_reads, 1, 64, 256, stream, false, out.as<int>()); }),
                 "threads 32 and 40 race: thread 40 writes");
  CHECK_CONTAINS(kernel_failure([&] { launch(all_write, 1, 2, 4, stream, out.as<int>()); }), "threads 0 and 1 race: thread 1 writes bytes 0 to 3");
}

TEST(neighbouring_elements_are_no_race) {
  Stream stream;
  DeviceBuffer out(64 * sizeof(float), "out");
  launch(halves, 1, 64, 128, stream, out.as<float>());
  CHECK(out.as<float>()[63] == 63);
}

TEST(shared_memory_has_bounds) {
  Stream stream;
  launch(out_of_bounds, 1, 4, 256, stream, 5, true);
  std::string text = kernel_failure([&] { launch(out_of_bounds, 1, 4, 256, stream, 6, true); });
  CHECK_CONTAINS(text, "kernel emulation::out_of_bounds(int, bool), block (0, 0, 0): thread 3 writes bytes 96 to 99");
  CHECK_CONTAINS(text, "outside of its view's 64 to 95");
  CHECK_CONTAINS(kernel_failure([&] { launch(out_of_bounds, 1, 4, 256, stream, -3, false); }), "thread 3 reads bytes 60 to 63");
  CHECK_CONTAINS(kernel_failure([&] { launch(too_large_a_view, 1, 1, 256, stream); }), "49 x 4 bytes at 64");
  CHECK_CONTAINS(kernel_failure([&] { launch(misaligned, 1, 1, 256, stream); }), "not aligned");
  CHECK_CONTAINS(kernel_failure([&] { launch(too_large_a_view, 1, 1, 1 << 20, stream); }), "1048576 bytes of shared memory");
  CHECK_CONTAINS(kernel_failure([&] { launch(misaligned, 0, 1, 256, stream); }), "not possible");
  CHECK_CONTAINS(kernel_failure([&] { launch(misaligned, 1, 1025, 256, stream); }), "not possible");
}

TEST(what_was_never_written_is_not_read) {
  Stream stream;
  DeviceBuffer out(64 * sizeof(float), "out");
  launch(uninitialised, 2, 64, 256, stream, true, out.as<float>());
  CHECK_CONTAINS(kernel_failure([&] { launch(uninitialised, 2, 64, 256, stream, false, out.as<float>()); }),
                 "block (1, 0, 0): thread 0 reads bytes 0 to 3 of shared memory; byte 0 was not written before");
}

TEST(a_barrier_that_not_all_reach_is_an_error) {
  Stream stream;
  launch(divergent, 2, 64, 0, stream, 4);
  CHECK_CONTAINS(kernel_failure([&] { launch(divergent, 2, 64, 0, stream, 0); }), "33 of 64 threads of the block wait in divergent");
  CHECK_CONTAINS(kernel_failure([&] { launch(divergent, 2, 64, 0, stream, 0); }), "but thread 33 has ended");
  CHECK_CONTAINS(kernel_failure([&] { launch(divergent, 2, 64, 0, stream, 1); }), "divergent barrier: thread 32 waits in divergent");
  CHECK_CONTAINS(kernel_failure([&] { launch(divergent, 2, 64, 0, stream, 2); }), "but thread 5 waits in divergent");
  CHECK_CONTAINS(kernel_failure([&] { launch(divergent, 2, 64, 0, stream, 3); }), "31 of 32 threads of a warp wait in divergent");
  launch(divergent, 2, 64, 0, stream, 4);  // nothing is left of the failures
}

TEST(asynchronous_copies_arrive_when_waited_for) {
  Stream stream;
  DeviceBuffer in(512 * sizeof(float), "in"), out(512 * sizeof(float), "out");
  for (int i = 0; i < 512; ++i) {
    in.as<float>()[i] = static_cast<float>(i + 1);
  }
  launch(copy_groups, 1, 64, 2048, stream, in.as<float>(), out.as<float>(), 0);
  for (int i = 0; i < 256; ++i) {
    CHECK(out.as<float>()[i] == static_cast<float>(256 - i));
    int j = 256 + 4 * (63 - i / 4) + i % 4;
    CHECK(out.as<float>()[256 + i] == (i % 4 < 2 ? static_cast<float>(j + 1) : 0.0f));
  }
  CHECK_CONTAINS(kernel_failure([&] { launch(copy_groups, 1, 64, 2048, stream, in.as<float>(), out.as<float>(), 1); }),
                 "is the target of an asynchronous copy of thread 0 that was not waited for");
  CHECK_CONTAINS(kernel_failure([&] { launch(copy_groups, 1, 64, 2048, stream, in.as<float>(), out.as<float>(), 2); }), "thread 0 reads bytes");
  CHECK_CONTAINS(kernel_failure([&] { launch(copy_groups, 1, 64, 2048, stream, in.as<float>(), out.as<float>(), 3); }),
                 "thread 0 ended while 1 of its asynchronous copies were under way");
  CHECK_CONTAINS(kernel_failure([&] { launch(copy_groups, 1, 64, 2048, stream, in.as<float>() + 1, out.as<float>(), 0); }), "multiple of 16");
}

TEST(graphs_record_and_replay) {
  Stream stream, side;
  DeviceBuffer x(64 * sizeof(float), "x"), y(64 * sizeof(float), "y");
  HostBuffer host(64 * sizeof(float), "host");
  for (int i = 0; i < 64; ++i) {
    host.as<float>()[i] = 1;
  }
  Graph graph;
  CHECK(graph.nodes() == 0);
  CHECK_CONTAINS(kernel_failure([&] { graph.launch(stream); }), "not recorded");
  Event fork, join;
  graph.begin(stream);
  copy_to_device(x.data(), host.data(), x.size(), stream);
  launch(scale, 1, 64, 0, stream, x.as<float>(), 3.0f);
  fork.record(stream);
  side.wait(fork);
  copy_on_device(y.data(), x.data(), x.size(), side);
  join.record(side);
  stream.wait(join);
  fill_zero(x.data(), 4, stream);
  CHECK(x.as<float>()[5] == 0);
  CHECK_CONTAINS(kernel_failure([&] { stream.synchronise(); }), "being recorded");
  CHECK_CONTAINS(kernel_failure([&] { DeviceBuffer more(4, "more"); }), "being recorded");
  graph.end();
  CHECK(graph.nodes() == 4);
  CHECK(x.as<float>()[5] == 0);
  graph.launch(stream);
  CHECK(x.as<float>()[0] == 0 && x.as<float>()[5] == 3 && y.as<float>()[0] == 3);
  host.as<float>()[5] = 2;
  graph.launch(stream);
  CHECK(x.as<float>()[5] == 6 && y.as<float>()[5] == 6);
  fill_zero(y.data(), y.size(), side);  // no more recorded
  CHECK(y.as<float>()[5] == 0);
  {
    Graph dropped;
    dropped.begin(stream);
    fill_zero(x.data(), x.size(), stream);
  }
  stream.synchronise();
  fill_zero(x.data(), x.size(), stream);
  copy_to_host(host.data(), x.data(), x.size(), stream);
  CHECK(host.as<float>()[5] == 0);
}

TEST(events_measure_time) {
  Stream stream;
  Event before(true), after(true), plain;
  before.record(stream);
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  after.record(stream);
  after.synchronise();
  CHECK(after.milliseconds_since(before) >= 3);
  plain.record(stream);
  CHECK_CONTAINS(kernel_failure([&] { plain.milliseconds_since(before); }), "not timed");
}

TEST(atomics_count_blocks) {
  Stream stream;
  DeviceBuffer counter(sizeof(unsigned), "counter"), order(8 * sizeof(unsigned), "order");
  launch(count_blocks, 8, 1, 0, stream, counter.as<unsigned>(), order.as<unsigned>());
  CHECK(*counter.as<unsigned>() == 8);
  CHECK(order.as<unsigned>()[7] == 7);
}

TEST(device_memory_is_limited) {
  setenv("UNIFIEDRL_EMULATED_MEMORY_MIB", "4", 1);
  Error error = failure([] {
    DeviceBuffer first(3 << 20, "the weights");
    CHECK(properties(0).memory_free == 1 << 20);
    CHECK(properties(0).memory_total == 4 << 20);
    DeviceBuffer moved(std::move(first)), second(1 << 20, "the rest");
    CHECK(first.data() == nullptr && moved.size() == 3 << 20);
    second = DeviceBuffer();
    second.allocate(1 << 20, "the rest once more");
    DeviceBuffer third(3 << 20, "the workspace");
  });
  size_t left = properties(0).memory_free;
  unsetenv("UNIFIEDRL_EMULATED_MEMORY_MIB");
  CHECK(error.status() == UNIFIEDRL_OUT_OF_MEMORY);
  CHECK_CONTAINS(error.text(), "the workspace: wants 3.0 MiB of device memory (3145728 bytes), but 0.0 MiB (0 bytes) of 4 MiB are free");
  CHECK_CONTAINS(error.text(), "lower the batch");
  CHECK(left == 4 << 20);
}

TEST(the_device_that_is_there_can_be_selected) {
  CHECK(device_count() == 1);
  CHECK(device_problem().empty());
  select_device(0);
  CHECK(properties(0).multiprocessors == 2);
  for (int index : {-1, 1}) {
    Error error = failure([&] { select_device(index); });
    CHECK(error.status() == UNIFIEDRL_INVALID_ARGUMENT);
    CHECK_CONTAINS(error.text(), unifiedrl::format("device %d: there are 1", index));
  }
}

TEST(two_host_threads_launch_at_once) {
  auto work = [](int seed, bool* good) {
    Stream stream;
    DeviceBuffer in(256 * sizeof(float), "in"), out(sizeof(float), "out"), ints(64 * sizeof(int), "ints");
    bool all = true;
    for (int round = 0; round < 50; ++round) {
      float sum = 0;
      for (int i = 0; i < 256; ++i) {
        in.as<float>()[i] = static_cast<float>((i * seed + round) % 11);
        sum += in.as<float>()[i];
      }
      launch(block_sum, 1, 256, 16 + 1024, stream, in.as<float>(), out.as<float>());
      all = all && *out.as<float>() == sum;
      try {
        launch(neighbours, 1, 64, 512, stream, 0, 1, ints.as<int>());
        all = false;
      } catch (const Error&) {
      }
    }
    *good = all;
  };
  bool good[2] = {false, false};
  std::thread other(work, 3, &good[0]);
  work(5, &good[1]);
  other.join();
  CHECK(good[0] && good[1]);
}

int main(int argc, char** argv) { return check::main(argc, argv); }
