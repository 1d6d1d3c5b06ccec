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

// A kernel that nothing exports has a name too.
static UNIFIEDRL_KERNEL void unexported() { shared<float>(0, 1)[0] += 1; }

namespace emulation {

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

UNIFIEDRL_KERNEL void whole_warps() { warp_sync(); }

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

TEST(failures_name_any_kernel) {
  Stream stream;
  CHECK_CONTAINS(kernel_failure([&] { launch(unexported, 1, 1, 4, stream); }), "kernel unexported(), block (0, 0, 0): thread 0 reads bytes 0 to 3");
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
  CHECK_CONTAINS(error.text(), "the workspace needs 3.0 MiB of device memory (3145728 bytes), but 0.0 MiB (0 bytes) of 4 MiB are free");
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
  // A sum that is right, and a race that is reported, again and again.
  auto launches_are_right = [](int seed) {
    Stream stream;
    DeviceBuffer in(256 * sizeof(float), "in"), out(sizeof(float), "out"), ints(64 * sizeof(int), "ints");
    for (int round = 0; round < 50; ++round) {
      float sum = 0;
      for (int i = 0; i < 256; ++i) {
        in.as<float>()[i] = static_cast<float>((i * seed + round) % 11);
        sum += in.as<float>()[i];
      }
      Error none = failure([&] { launch(block_sum, 1, 256, 16 + 1024, stream, in.as<float>(), out.as<float>()); });
      Error race = failure([&] { launch(neighbours, 1, 64, 512, stream, 0, 1, ints.as<int>()); });
      if (none.status() != UNIFIEDRL_OK || *out.as<float>() != sum || race.status() != UNIFIEDRL_INTERNAL) {
        return false;
      }
    }
    return true;
  };
  bool good[2] = {false, false};
  std::thread other([&] { good[0] = launches_are_right(3); });
  good[1] = launches_are_right(5);
  other.join();
  CHECK(good[0] && good[1]);
}

TEST(tiles_are_aligned_and_take_whole_warps) {
  Stream stream;
  CHECK_CONTAINS(kernel_failure([&] { launch(misaligned_tile, 1, 32, 1024, stream); }), "not aligned");
  CHECK_CONTAINS(kernel_failure([&] { launch(whole_warps, 1, 33, 0, stream); }), "a block of 33 threads");
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
  CHECK_CONTAINS(refused([](GemmShape& s) { s.mask_ld = 192; }), "mask_ld 192");
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
