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

// c[16, 16] = a[16, inner] b[inner, 16] by tiles, with each operand stored either way round.
template <typename T>
UNIFIEDRL_KERNEL void tile_product(const T* a, const T* b, float* c, int inner, bool transpose_a, bool transpose_b, bool pair) {
  int lda = (transpose_a ? 16 : inner) + 8, ldb = (transpose_b ? inner : 16) + 8;
  int rows_a = transpose_a ? inner : 16, rows_b = transpose_b ? 16 : inner, t = static_cast<int>(threadIdx.x);
  Shared<T> sa = shared<T>(0, static_cast<size_t>(rows_a * lda));
  Shared<T> sb = shared<T>(static_cast<size_t>(rows_a * lda) * sizeof(T), static_cast<size_t>(rows_b * ldb));
  Shared<float> sc = shared<float>(static_cast<size_t>(rows_a * lda + rows_b * ldb) * sizeof(T), 16 * 20);
  for (int i = t; i < 16 * inner; i += kWarp) {
    int row = i / inner, column = i % inner;
    sa[transpose_a ? column * lda + row : row * lda + column] = a[i];
    row = i / 16;
    column = i % 16;
    sb[transpose_b ? column * ldb + row : row * ldb + column] = b[i];
  }
  warp_sync();
  TileC left{}, right{};
  for (int k = 0; k < inner; k += TileA<T>::kInner) {
    TileA<T> ta;
    TileB<T> tb, tb2;
    if (transpose_a) {
      load_transposed(ta, sa + k * lda, lda);
    } else {
      load(ta, sa + k, lda);
    }
    if (pair && transpose_b) {
      load_transposed(tb, tb2, sb + k, ldb);
    } else if (pair) {
      load(tb, tb2, sb + k * ldb, ldb);
    } else if (transpose_b) {
      load_transposed(tb, sb + k, ldb);
      load_transposed(tb2, sb + 8 * ldb + k, ldb);
    } else {
      load(tb, sb + k * ldb, ldb);
      load(tb2, sb + k * ldb + 8, ldb);
    }
    multiply_add(left, ta, tb);
    multiply_add(right, ta, tb2);
  }
  store(left, sc, 20);
  store(right, sc + 8, 20);
  warp_sync();
  for (int i = t; i < 256; i += kWarp) {
    c[i] = sc[i / 16 * 20 + i % 16];
  }
}

// c = (a b) b, the first product's result used as an operand where it is; also stored as bf16.
UNIFIEDRL_KERNEL void chained_product(const bf16* a, const bf16* b, float* c, float* ab) {
  Shared<bf16> sa = shared<bf16>(0, 16 * 24), sb = shared<bf16>(16 * 24 * 2, 16 * 24), sc = shared<bf16>(16 * 24 * 4, 16 * 18);
  int t = static_cast<int>(threadIdx.x);
  for (int i = t; i < 256; i += kWarp) {
    sa[i / 16 * 24 + i % 16] = a[i];
    sb[i / 16 * 24 + i % 16] = b[i];
  }
  warp_sync();
  TileA<bf16> ta;
  TileB<bf16> left, right;
  load(ta, sa, 24);
  load(left, right, sb, 24);
  TileC first[2] = {}, second[2] = {};
  multiply_add(first[0], ta, left);
  multiply_add(first[1], ta, right);
  ta = to_operand(first[0], first[1]);
  multiply_add(second[0], ta, left);
  multiply_add(second[1], ta, right);
  store(first[0], sc, 18);
  store(first[1], sc + 8, 18);
  for (int i = 0; i < 4; ++i) {
    c[tile_row(i) * 16 + tile_column(i)] = second[0].x[i];
    c[tile_row(i) * 16 + 8 + tile_column(i)] = second[1].x[i];
  }
  warp_sync();
  for (int i = t; i < 256; i += kWarp) {
    ab[i] = load_as_float(sc + (i / 16 * 18 + i % 16));
  }
}

UNIFIEDRL_KERNEL void misaligned_tile() {
  Shared<bf16> s = shared<bf16>(0, 16 * 20);
  for (unsigned i = threadIdx.x; i < 16 * 20; i += kWarp) {
    store_from_float(s + i, 1.0f);
  }
  warp_sync();
  TileA<bf16> a;
  load(a, s, 20);
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

TEST(bf16_rounds_to_nearest_even) {
  const struct {
    uint32_t from;
    uint16_t to;
  } known[] = {{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0x3f817fff, 0x3f81},
               {0xbf818000, 0xbf82}, {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x00000001, 0x0000},
               {0x80000000, 0x8000}, {0x00018000, 0x0002}, {0x7f800001, 0x7fff}, {0xffffffff, 0x7fff}};
  for (const auto& k : known) {
    CHECK(to_bf16(as_float(k.from)).bits == k.to);
  }
  CHECK(to_float(bf16{0x3fc0}) == 1.5f);
  CHECK(pack_bf16(1.0f, 2.0f) == 0x40003f80u);
  bf16 x = to_bf16(0);
  store_from_float(&x, 1.5f);
  CHECK(load_as_float(&x) == 1.5f);
}

TEST(tf32_rounds_to_nearest_away) {
  const uint32_t known[][2] = {{0x3f800000, 0x3f800000}, {0x3f800fff, 0x3f800000}, {0x3f801000, 0x3f802000}, {0x3f801001, 0x3f802000},
                               {0x3f803000, 0x3f804000}, {0xbf801000, 0xbf802000}, {0x7f7fffff, 0x7f800000}, {0x7f800000, 0x7f800000},
                               {0xff800000, 0xff800000}, {0x00000fff, 0x00000000}, {0x00001000, 0x00002000}, {0x7fc00000, 0x7fffffff}};
  for (const auto& k : known) {
    CHECK(to_tf32(as_float(k[0])) == k[1]);
  }
}

template <typename T>
static T rounded(float x);
template <>
float rounded<float>(float x) {
  return x;
}
template <>
bf16 rounded<bf16>(float x) {
  return to_bf16(x);
}
static double operand(float x) { return static_cast<double>(as_float(to_tf32(x))); }
static double operand(bf16 x) { return static_cast<double>(to_float(x)); }

template <typename T>
static void check_tiles() {
  Stream stream;
  constexpr int kInner = 48;
  DeviceBuffer a(16 * kInner * sizeof(T), "a"), b(kInner * 16 * sizeof(T), "b"), c(256 * sizeof(float), "c");
  for (int i = 0; i < 16 * kInner; ++i) {
    a.as<T>()[i] = rounded<T>(number(i));
    b.as<T>()[i] = rounded<T>(number(i + 1000) * 0.7f);
  }
  for (int ways = 0; ways < 8; ++ways) {
    launch(tile_product<T>, 1, 32, 16384, stream, a.as<T>(), b.as<T>(), c.as<float>(), kInner, (ways & 1) != 0, (ways & 2) != 0,
           (ways & 4) != 0);
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 16; ++column) {
        double sum = 0;
        for (int k = 0; k < kInner; ++k) {
          sum += operand(a.as<T>()[row * kInner + k]) * operand(b.as<T>()[k * 16 + column]);
        }
        CHECK_NEAR(c.as<float>()[row * 16 + column], sum, 1e-5);  // 48 sums in float, each below 48
      }
    }
  }
}

TEST(bf16_tiles_multiply) { check_tiles<bf16>(); }
TEST(tf32_tiles_multiply) { check_tiles<float>(); }

TEST(a_result_of_tiles_is_an_operand) {
  Stream stream;
  DeviceBuffer a(512, "a"), b(512, "b"), c(1024, "c"), ab(1024, "ab");
  for (int i = 0; i < 256; ++i) {
    a.as<bf16>()[i] = to_bf16(number(i));
    b.as<bf16>()[i] = to_bf16(number(i + 300));
  }
  launch(chained_product, 1, 32, 16 * 24 * 4 + 16 * 18 * 2, stream, a.as<bf16>(), b.as<bf16>(), c.as<float>(), ab.as<float>());
  auto product = [](const std::vector<double>& x, const bf16* y) {
    std::vector<double> z(256);
    for (size_t i = 0; i < 256; ++i) {
      for (size_t k = 0; k < 16; ++k) {
        z[i] += x[i / 16 * 16 + k] * operand(y[k * 16 + i % 16]);
      }
    }
    return z;
  };
  std::vector<double> x(256);
  for (size_t i = 0; i < 256; ++i) {
    x[i] = operand(a.as<bf16>()[i]);
  }
  x = product(x, b.as<bf16>());
  for (size_t i = 0; i < 256; ++i) {
    x[i] = operand(to_bf16(static_cast<float>(x[i])));
    CHECK_NEAR(ab.as<float>()[i], x[i], 1.0 / 256);  // a sum near the middle of two bf16 may go to either
    x[i] = static_cast<double>(ab.as<float>()[i]);
  }
  x = product(x, b.as<bf16>());
  for (size_t i = 0; i < 256; ++i) {
    CHECK_NEAR(c.as<float>()[i], x[i], 1e-5);
  }
  CHECK_CONTAINS(kernel_failure([&] { launch(misaligned_tile, 1, 32, 1024, stream); }), "not aligned");
}

static float as_stored(float x, Type type) { return type == Type::kBf16 ? to_float(to_bf16(x)) : x; }
static double as_multiplied(float x, Type type) { return static_cast<double>(type == Type::kTf32 ? as_float(to_tf32(x)) : x); }

static void fill(DeviceBuffer& buffer, Type type, int64_t count, int64_t seed, std::vector<float>* values) {
  buffer.allocate(static_cast<size_t>(count * (type == Type::kBf16 ? 2 : 4)), "operand");
  for (int64_t i = 0; i < count; ++i) {
    float x = as_stored(number(i + seed), type);
    values->push_back(x);
    if (type == Type::kBf16) {
      buffer.as<bf16>()[i] = to_bf16(x);
    } else {
      buffer.as<float>()[i] = x;
    }
  }
}

static float element(const DeviceBuffer& buffer, Type type, int64_t i) {
  return type == Type::kBf16 ? to_float(buffer.as<bf16>()[i]) : buffer.as<float>()[i];
}

// Every epilogue of a product against plain loops in double; what lies between the rows of C must stay as it was.
static void check_gemm(GemmShape s) {
  Stream stream;
  GemmContext context;
  int64_t a_rows = s.transpose_a ? s.inner : s.rows, b_rows = s.transpose_b ? s.columns : s.inner;
  std::vector<float> a, b, c, bias;
  DeviceBuffer da, db, dc, dbias, dmask(static_cast<size_t>(s.batch * s.rows * mask_ld(s.columns) / 8), "mask");
  fill(da, s.in, (s.batch - 1) * s.stride_a + a_rows * s.lda, 1, &a);
  fill(db, s.in, (s.batch - 1) * s.stride_b + b_rows * s.ldb, 77, &b);
  fill(dc, s.out, (s.batch - 1) * s.stride_c + s.rows * s.ldc, 5, &c);
  s.bias_stride = s.columns + 3;
  fill(dbias, s.out, s.batch * s.bias_stride, 900, &bias);
  s.mask_ld = mask_ld(s.columns);
  s.mask_stride = s.rows * s.mask_ld;
  auto x = [&](int64_t e, int64_t r, int64_t k) {
    return as_multiplied(a[static_cast<size_t>(e * s.stride_a + (s.transpose_a ? k * s.lda + r : r * s.lda + k))], s.in);
  };
  auto y_index = [&](int64_t e, int64_t k, int64_t col) {
    return static_cast<size_t>(e * s.stride_b + (s.transpose_b ? col * s.ldb + k : k * s.ldb + col));
  };
  double tolerance = s.out == Type::kBf16 ? 1.0 / 256 : 2e-7 * static_cast<double>(s.inner + s.rows + 8);
  std::vector<bool> on(static_cast<size_t>(s.batch * s.rows * s.columns));
  for (Epilogue epilogue : {Epilogue::kNone, Epilogue::kBias, Epilogue::kBiasRelu, Epilogue::kBiasReluMask, Epilogue::kReluGradient,
                            Epilogue::kReluGradientBiasGradient, Epilogue::kBiasGradient}) {
    s.epilogue = epilogue;
    CHECK(Gemm::supports(s, context));
    Gemm gemm(s, stream, context);
    DeviceBuffer sums(static_cast<size_t>(s.batch * s.bias_stride * 4), "sums");
    if (epilogue == Epilogue::kBiasGradient) {
      gemm.run(da.data(), db.data(), dc.data(), nullptr, sums.data(), stream);
    } else {
      gemm.run(da.data(), db.data(), dc.data(), dbias.data(), dmask.data(), stream, sums.data());
    }
    bool adds = epilogue == Epilogue::kBias || epilogue == Epilogue::kBiasRelu || epilogue == Epilogue::kBiasReluMask;
    bool gates = epilogue == Epilogue::kReluGradient || epilogue == Epilogue::kReluGradientBiasGradient;
    for (int64_t e = 0; e < s.batch; ++e) {
      std::vector<double> want_sums(static_cast<size_t>(s.columns));
      for (int64_t r = 0; r < s.rows; ++r) {
        for (int64_t col = 0; col < s.ldc; ++col) {
          int64_t at = e * s.stride_c + r * s.ldc + col;
          float got = element(dc, s.out, at);
          if (col >= s.columns) {
            CHECK(got == c[static_cast<size_t>(at)]);
            continue;
          }
          double z = adds ? static_cast<double>(bias[static_cast<size_t>(e * s.bias_stride + col)]) : 0;
          for (int64_t k = 0; k < s.inner; ++k) {
            z += x(e, r, k) * as_multiplied(b[y_index(e, k, col)], s.in);
          }
          size_t bit = static_cast<size_t>((e * s.rows + r) * s.columns + col);
          if (epilogue == Epilogue::kBiasReluMask) {
            on[bit] = got > 0;  // what the mask must say
          }
          if (epilogue == Epilogue::kBiasRelu || epilogue == Epilogue::kBiasReluMask) {
            z = z > 0 ? z : 0;
          } else if (gates) {
            z = on[bit] ? z : 0;
          }
          CHECK_NEAR(got, z, tolerance);
          want_sums[static_cast<size_t>(col)] += z;
        }
      }
      bool sums_c = epilogue == Epilogue::kReluGradientBiasGradient, sums_b = epilogue == Epilogue::kBiasGradient;
      for (int64_t col = 0; col < s.bias_stride; ++col) {
        double want = 0;
        for (int64_t k = 0; col < s.columns && sums_b && k < s.inner; ++k) {
          want += static_cast<double>(b[y_index(e, k, col)]);
        }
        if (col < s.columns && sums_c) {
          want = want_sums[static_cast<size_t>(col)];
        }
        CHECK_NEAR(element(sums, s.out, e * s.bias_stride + col), want, tolerance * 2);
      }
    }
  }
}

static GemmShape gemm_shape(int64_t batch, int64_t rows, int64_t columns, int64_t inner, bool transpose_a, bool transpose_b, int64_t pad) {
  GemmShape s;
  s.batch = batch;
  s.rows = rows;
  s.columns = columns;
  s.inner = inner;
  s.transpose_a = transpose_a;
  s.transpose_b = transpose_b;
  s.lda = (transpose_a ? rows : inner) + pad;
  s.ldb = (transpose_b ? inner : columns) + 2 * pad;
  s.ldc = columns + pad;
  s.stride_a = (transpose_a ? inner : rows) * s.lda + 8 * pad;
  s.stride_b = (transpose_b ? columns : inner) * s.ldb;
  s.stride_c = rows * s.ldc + pad;
  return s;
}

TEST(products_match_plain_loops) {
  const Type types[][2] = {{Type::kFloat32, Type::kFloat32}, {Type::kTf32, Type::kFloat32}, {Type::kBf16, Type::kFloat32}, {Type::kBf16, Type::kBf16}};
  for (const auto& type : types) {
    for (int ways = 0; ways < 4; ++ways) {
      for (int64_t pad : {0, 3}) {
        GemmShape s = gemm_shape(3, 17, 131, 7, (ways & 1) != 0, (ways & 2) != 0, pad);
        s.in = type[0];
        s.out = type[1];
        check_gemm(s);
        s.stride_a = 0;  // all members share the input
        check_gemm(s);
        s.stride_b = 0;
        check_gemm(s);
      }
    }
    GemmShape one = gemm_shape(1, 1, 1, 1, false, false, 0);
    one.in = type[0];
    one.out = type[1];
    check_gemm(one);
  }
}

TEST(not_a_number_goes_through_rectifiers) {
  Stream stream;
  GemmContext context;
  GemmShape s = gemm_shape(1, 1, 2, 1, false, false, 0);
  s.epilogue = Epilogue::kBiasReluMask;
  s.mask_ld = s.mask_stride = 128;
  DeviceBuffer a(4, "a"), b(8, "b"), c(8, "c"), bias(8, "bias"), mask(16, "mask");
  *a.as<float>() = std::nanf("");
  Gemm(s, stream, context).run(a.data(), b.data(), c.data(), bias.data(), mask.data(), stream);
  CHECK(std::isnan(c.as<float>()[0]) && std::isnan(c.as<float>()[1]));
}

TEST(products_are_recorded_like_kernels) {
  Stream stream;
  GemmContext context;
  DeviceBuffer a(4, "a"), b(4, "b"), c(4, "c");
  *a.as<float>() = 2;
  *b.as<float>() = 3;
  Graph graph;
  {
    Gemm gemm(gemm_shape(1, 1, 1, 1, false, false, 0), stream, context);
    graph.begin(stream);
    gemm.run(a.data(), b.data(), c.data(), nullptr, nullptr, stream);
    graph.end();
  }
  CHECK(graph.nodes() == 1 && *c.as<float>() == 0);
  graph.launch(stream);
  CHECK(*c.as<float>() == 6);
}

TEST(products_that_cannot_be_are_refused) {
  Stream stream;
  GemmContext context;
  auto refused = [&](void (*change)(GemmShape&)) {
    GemmShape s = gemm_shape(2, 4, 130, 8, false, false, 0);
    s.epilogue = Epilogue::kBiasReluMask;
    s.mask_ld = 256;
    s.mask_stride = 4 * 256;
    CHECK(Gemm::supports(s, context));
    change(s);
    Error error = failure([&] { Gemm gemm(s, stream, context); });
    CHECK(error.status() == UNIFIEDRL_INVALID_ARGUMENT);
    return error.text();
  };
  CHECK_CONTAINS(refused([](GemmShape& s) { s.rows = 0; }), "rows 0");
  CHECK_CONTAINS(refused([](GemmShape& s) { s.lda = 7; }), "lda 7, ldb 130, ldc 130 must be at least 8, 130, 130");
  CHECK_CONTAINS(refused([](GemmShape& s) { s.mask_ld = 128; }), "mask_ld 128");
  CHECK_CONTAINS(refused([](GemmShape& s) { s.mask_stride = 512; }), "mask_stride 512");
  CHECK_CONTAINS(refused([](GemmShape& s) { s.stride_c = 100; }), "stride_c 100");
  CHECK_CONTAINS(refused([](GemmShape& s) { s.out = Type::kBf16; }), "float inputs give float");
  CHECK_CONTAINS(refused([](GemmShape& s) { s.alignment = 24; }), "alignment 24");
  CHECK_CONTAINS(refused([](GemmShape& s) {
                   s.epilogue = Epilogue::kBiasGradient;
                   s.bias_stride = 0;
                 }),
                 "bias_stride 0");
  GemmShape s = gemm_shape(1, 1, 1, 1, false, false, 0);
  s.epilogue = Epilogue::kBias;
  DeviceBuffer x(64, "x");
  Error error = failure([&] { Gemm(s, stream, context).run(x.data(), x.as<char>() + 4, x.as<char>() + 16, x.data(), nullptr, stream); });
  CHECK_CONTAINS(error.text(), "matrix product: b at ");
  error = failure([&] { Gemm(s, stream, context).run(x.data(), x.data(), x.as<char>() + 16, nullptr, nullptr, stream); });
  CHECK_CONTAINS(error.text(), "matrix product: bias at ");
  setenv("UNIFIEDRL_EMULATED_EPILOGUES", "0", 1);
  bool without = Gemm::supports(s, context);
  s.epilogue = Epilogue::kNone;
  bool plain = Gemm::supports(s, context);
  unsetenv("UNIFIEDRL_EMULATED_EPILOGUES");
  CHECK(!without && plain);
}

int main(int argc, char** argv) {
  try {
    return check::main(argc, argv);
  } catch (const Error& error) {
    std::printf("FAILED: a test ended with status %d: %s\n", error.status(), error.text().c_str());
    return 1;
  }
}
