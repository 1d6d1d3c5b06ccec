// What kernels, tiles and matrix products give, on whatever device the CUDA back end was built for: a real one, or the emulated one. Without a
// device that works the tests are skipped, but for the one of how that is reported.
#include <chrono>
#include <cmath>
#include <cstring>
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

// A number in [-1, 1) for any index, with more bits than tf32 or bf16 have.
static float number(int64_t i) { return static_cast<float>((i * 2654435761LL + 12345) % (1 << 21)) / (1 << 20) - 1.0f; }

// Roundings, written once more for the host.
static uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
static float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
// To the nearest multiple of 2^dropped units in the last place; a tie goes to even, or away from zero.
static float round_bits(float x, int dropped, bool even) {
  uint32_t bits = bits_of(x), unit = 1u << dropped, rest = bits % unit, down = bits - rest;
  bool up = rest > unit / 2 || (rest == unit / 2 && (!even || (down & unit) != 0));
  return float_of(up ? down + unit : down);
}
static float round_to_bf16(float x) { return round_bits(x, 16, true); }
static float round_to_tf32(float x) { return round_bits(x, 13, false); }

// Memory of the device with a copy on the host.
template <typename T>
class Values {
 public:
  explicit Values(size_t count) : host(count), memory_(count * sizeof(T), "values") {}
  T* device() const { return memory_.as<T>(); }
  void upload(Stream& stream) {
    copy_to_device(memory_.data(), host.data(), memory_.size(), stream);
    stream.synchronise();
  }
  const std::vector<T>& download(Stream& stream) {
    copy_to_host(host.data(), memory_.data(), memory_.size(), stream);
    stream.synchronise();
    return host;
  }
  std::vector<T> host;

 private:
  DeviceBuffer memory_;
};

namespace device_test {

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

UNIFIEDRL_KERNEL void copy_groups(const float* in, float* out) {
  Shared<float> s = shared<float>(0, 4 * 64 * 2);
  int t = static_cast<int>(threadIdx.x);
  copy_async16(s, 4 * t, in + 4 * t);
  copy_async_commit();
  copy_async16(s, 256 + 4 * t, in + 256 + 4 * t, 8);
  copy_async_commit();
  copy_async_wait<1>();
  __syncthreads();
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
  atomicAdd(order + blockIdx.x, mine < gridDim.x ? 1u : 0u);
}

UNIFIEDRL_KERNEL void round_numbers(const float* x, bf16* as_bf16, uint32_t* as_tf32, uint32_t* pairs) {
  unsigned i = threadIdx.x;
  store_from_float(as_bf16 + i, load_as_float(x + i));
  as_tf32[i] = to_tf32(x[i]);
  pairs[i] = pack_bf16(x[i], 1.0f);
}

// Vectors of four, and the same memory as another type.
UNIFIEDRL_KERNEL void vectors(const float4* in, float* out) {
  Shared<float4> s = shared<float4>(0, 32);
  s[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  Shared<uint32_t> bits = as<uint32_t>(s);
  for (unsigned i = 0; i < 4; ++i) {
    uint32_t element = bits[4 * (31 - threadIdx.x) + i];
    out[4 * threadIdx.x + i] = as_float(element);
  }
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

}  // namespace device_test

using namespace device_test;

TEST(every_thread_of_every_block_runs_once) {
  Stream stream;
  Dim grid(3, 2, 2), block(5, 4, 3);
  Values<int> out(12 * 60);
  launch(index_everything, grid, block, 0, stream, out.device());
  out.download(stream);
  for (int i = 0; i < 12 * 60; ++i) {
    CHECK(out.host[static_cast<size_t>(i)] == i % 60 + 1000 * (i / 60));
  }
}

TEST(barriers_order_a_block) {
  Stream stream;
  for (unsigned threads : {1u, 2u, 64u, 256u}) {
    Values<float> in(3 * threads), out(3);
    for (size_t i = 0; i < 3 * threads; ++i) {
      in.host[i] = static_cast<float>(i % 7);
    }
    in.upload(stream);
    launch(block_sum, 3, threads, 16 + threads * sizeof(float), stream, in.device(), out.device());
    out.download(stream);
    for (size_t b = 0; b < 3; ++b) {
      float sum = 0;
      for (size_t i = 0; i < threads; ++i) {
        sum += in.host[b * threads + i];
      }
      CHECK(out.host[b] == sum);
    }
  }
}

TEST(warps_exchange_values) {
  Stream stream;
  Values<Warp> out(1);
  launch(exchange, 1, 64, 0, stream, out.device());
  const Warp& w = out.download(stream)[0];
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
}

TEST(asynchronous_copies_arrive) {
  Stream stream;
  Values<float> in(512), out(512);
  for (size_t i = 0; i < 512; ++i) {
    in.host[i] = static_cast<float>(i + 1);
  }
  in.upload(stream);
  launch(copy_groups, 1, 64, 2048, stream, in.device(), out.device());
  out.download(stream);
  for (size_t i = 0; i < 256; ++i) {
    CHECK(out.host[i] == static_cast<float>(256 - i));
    size_t j = 256 + 4 * (63 - i / 4) + i % 4;
    CHECK(out.host[256 + i] == (i % 4 < 2 ? static_cast<float>(j + 1) : 0.0f));
  }
}

TEST(shared_memory_above_48_kib_can_be_had) {
  Stream stream;
  Values<float> in(3 * 256), out(3);
  size_t most = properties(0).shared_per_block;
  CHECK(most > 48 << 10);
  launch(block_sum, 3, 256, most, stream, in.device(), out.device());
  stream.synchronise();
}

TEST(views_change_their_type) {
  Stream stream;
  Values<float4> in(32);
  Values<float> out(128);
  for (size_t i = 0; i < 32; ++i) {
    float x = static_cast<float>(4 * i);
    in.host[i] = make_float4(x, x + 1, x + 2, x + 3);
  }
  in.upload(stream);
  launch(vectors, 1, 32, 512, stream, in.device(), out.device());
  out.download(stream);
  for (size_t i = 0; i < 128; ++i) {
    CHECK(out.host[i] == static_cast<float>(4 * (31 - i / 4) + i % 4));
  }
}

TEST(graphs_replay) {
  Stream stream, side(1);
  Values<float> x(64), y(64);
  HostBuffer host(64 * sizeof(float), "host");
  Graph graph;
  Event fork, join;
  graph.begin(stream);
  copy_to_device(x.device(), host.data(), host.size(), stream);
  launch(scale, 1, 64, 0, stream, x.device(), 3.0f);
  fork.record(stream);
  side.wait(fork);
  copy_on_device(y.device(), x.device(), host.size(), side);
  join.record(side);
  stream.wait(join);
  fill_zero(x.device(), 4, stream);
  graph.end();
  CHECK(graph.nodes() == 4);
  for (float value : {1.0f, 2.0f}) {
    for (int i = 0; i < 64; ++i) {
      host.as<float>()[i] = value;
    }
    graph.launch(stream);
    x.download(stream);
    y.download(stream);
    CHECK(x.host[0] == 0 && x.host[1] == 3 * value && y.host[0] == 3 * value && y.host[63] == 3 * value);
  }
}

TEST(events_measure_time) {
  Stream stream;
  Event before(true), after(true);
  before.record(stream);
  stream.synchronise();
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  after.record(stream);
  after.synchronise();
  CHECK(after.milliseconds_since(before) > 2);
}

TEST(atomics_count_blocks) {
  Stream stream;
  Values<unsigned> counter(1), order(8);
  launch(count_blocks, 8, 1, 0, stream, counter.device(), order.device());
  CHECK(counter.download(stream)[0] == 8);
  for (unsigned once : order.download(stream)) {
    CHECK(once == 1);
  }
}

TEST(memory_starts_as_zeros) {
  Stream stream;
  Values<uint32_t> values(1 << 16);
  for (uint32_t x : values.download(stream)) {
    CHECK(x == 0);
  }
}

TEST(numbers_round_as_documented) {
  // What is put in, the nearest bf16 (ties to even), the nearest tf32 (ties away from zero).
  const struct {
    uint32_t from;
    uint16_t bf16;
    uint32_t tf32;
  } known[] = {{0x3f800000, 0x3f80, 0x3f800000}, {0x3f808000, 0x3f80, 0x3f808000}, {0x3f808001, 0x3f81, 0x3f808000},
               {0x3f818000, 0x3f82, 0x3f818000}, {0x3f817fff, 0x3f81, 0x3f818000}, {0xbf818000, 0xbf82, 0xbf818000},
               {0x3f800fff, 0x3f80, 0x3f800000}, {0x3f801000, 0x3f80, 0x3f802000}, {0xbf801000, 0xbf80, 0xbf802000},
               {0x3f803000, 0x3f80, 0x3f804000}, {0x7f7fffff, 0x7f80, 0x7f800000}, {0x7f800000, 0x7f80, 0x7f800000},
               {0xff800000, 0xff80, 0xff800000}, {0x80000000, 0x8000, 0x80000000}, {0x00018000, 0x0002, 0x00018000},
               {0x00001000, 0x0000, 0x00002000}, {0x7fc00000, 0x7fff, 0x7fffffff}, {0xffffffff, 0x7fff, 0x7fffffff}};
  constexpr size_t kCount = sizeof known / sizeof known[0];
  Stream stream;
  Values<float> x(kCount);
  Values<uint16_t> halves(kCount);
  Values<uint32_t> tf32(kCount), pairs(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    x.host[i] = float_of(known[i].from);
  }
  x.upload(stream);
  launch(round_numbers, 1, static_cast<unsigned>(kCount), 0, stream, x.device(), reinterpret_cast<bf16*>(halves.device()), tf32.device(),
         pairs.device());
  halves.download(stream);
  tf32.download(stream);
  pairs.download(stream);
  for (size_t i = 0; i < kCount; ++i) {
    CHECK(halves.host[i] == known[i].bf16);
    CHECK(pairs.host[i] == (0x3f800000u | known[i].bf16));
    CHECK(tf32.host[i] == known[i].tf32);
    if (x.host[i] == x.host[i]) {
      CHECK(bits_of(round_to_tf32(x.host[i])) == known[i].tf32 && bits_of(round_to_bf16(x.host[i])) >> 16 == known[i].bf16);
    }
    bf16 half = to_bf16(x.host[i]);  // on the host
    CHECK(std::memcmp(&half, &known[i].bf16, 2) == 0);
    CHECK(to_float(half) == float_of(static_cast<uint32_t>(known[i].bf16) << 16) || x.host[i] != x.host[i]);
  }
}

template <typename T>
static T stored(float x);
template <>
float stored<float>(float x) {
  return x;
}
template <>
bf16 stored<bf16>(float x) {
  return to_bf16(x);
}
static double operand(float x) { return static_cast<double>(round_to_tf32(x)); }
static double operand(bf16 x) { return static_cast<double>(to_float(x)); }

template <typename T>
static void check_tiles() {
  Stream stream;
  constexpr size_t kInner = 48;
  Values<T> a(16 * kInner), b(kInner * 16);
  Values<float> c(256);
  for (size_t i = 0; i < 16 * kInner; ++i) {
    a.host[i] = stored<T>(number(static_cast<int64_t>(i)));
    b.host[i] = stored<T>(number(static_cast<int64_t>(i) + 1000) * 0.7f);
  }
  a.upload(stream);
  b.upload(stream);
  for (int ways = 0; ways < 8; ++ways) {
    launch(tile_product<T>, 1, 32, 16384, stream, a.device(), b.device(), c.device(), static_cast<int>(kInner), (ways & 1) != 0, (ways & 2) != 0,
           (ways & 4) != 0);
    c.download(stream);
    for (size_t row = 0; row < 16; ++row) {
      for (size_t column = 0; column < 16; ++column) {
        double sum = 0;
        for (size_t k = 0; k < kInner; ++k) {
          sum += operand(a.host[row * kInner + k]) * operand(b.host[k * 16 + column]);
        }
        CHECK_NEAR(c.host[row * 16 + column], sum, 1e-5);  // 48 sums in float, each below 48
      }
    }
  }
}

TEST(bf16_tiles_multiply) { check_tiles<bf16>(); }
TEST(tf32_tiles_multiply) { check_tiles<float>(); }

TEST(a_result_of_tiles_is_an_operand) {
  Stream stream;
  Values<bf16> a(256), b(256);
  Values<float> c(256), ab(256);
  for (size_t i = 0; i < 256; ++i) {
    a.host[i] = to_bf16(number(static_cast<int64_t>(i)));
    b.host[i] = to_bf16(number(static_cast<int64_t>(i) + 300));
  }
  a.upload(stream);
  b.upload(stream);
  launch(chained_product, 1, 32, 16 * 24 * 4 + 16 * 18 * 2, stream, a.device(), b.device(), c.device(), ab.device());
  c.download(stream);
  ab.download(stream);
  auto product = [&](const std::vector<double>& x) {
    std::vector<double> z(256);
    for (size_t i = 0; i < 256; ++i) {
      for (size_t k = 0; k < 16; ++k) {
        z[i] += x[i / 16 * 16 + k] * operand(b.host[k * 16 + i % 16]);
      }
    }
    return z;
  };
  std::vector<double> x(256);
  for (size_t i = 0; i < 256; ++i) {
    x[i] = operand(a.host[i]);
  }
  x = product(x);
  for (size_t i = 0; i < 256; ++i) {
    CHECK_NEAR(ab.host[i], x[i], 1.0 / 256);  // half a bf16's unit in the last place; near the middle of two it may be either
    x[i] = static_cast<double>(ab.host[i]);
  }
  x = product(x);
  for (size_t i = 0; i < 256; ++i) {
    CHECK_NEAR(c.host[i], x[i], 1e-5);
  }
}

// An operand of a product: values as they are stored, and the device's memory.
struct Operand {
  Operand(Type which, int64_t count, int64_t seed, Stream& stream) : type(which), bytes(static_cast<size_t>(count) * (which == Type::kBf16 ? 2 : 4)) {
    for (int64_t i = 0; i < count; ++i) {
      values.push_back(type == Type::kBf16 ? round_to_bf16(number(i + seed)) : number(i + seed));
      if (type == Type::kBf16) {
        bf16 x = to_bf16(values.back());
        std::memcpy(bytes.host.data() + 2 * i, &x, 2);
      } else {
        std::memcpy(bytes.host.data() + 4 * i, &values.back(), 4);
      }
    }
    bytes.upload(stream);
  }
  // What is there now.
  std::vector<float> read(Stream& stream) {
    bytes.download(stream);
    std::vector<float> now(values.size());
    for (size_t i = 0; i < now.size(); ++i) {
      if (type == Type::kBf16) {
        bf16 x;
        std::memcpy(static_cast<void*>(&x), bytes.host.data() + 2 * i, 2);
        now[i] = to_float(x);
      } else {
        std::memcpy(&now[i], bytes.host.data() + 4 * i, 4);
      }
    }
    return now;
  }
  double multiplied(int64_t i, Type as) const {
    float x = values[static_cast<size_t>(i)];
    return static_cast<double>(as == Type::kTf32 ? round_to_tf32(x) : x);
  }

  Type type;
  std::vector<float> values;
  Values<unsigned char> bytes;
};

static int without_algorithm = 0;  // epilogues of products that the library does not have

// Every epilogue of a product against plain loops in double; what lies between the rows of C must stay as it was.
static void check_gemm(GemmShape s, bool must_have_all) {
  Stream stream;
  GemmContext context(size_t{4} << 20);
  s.bias_stride = (s.columns + 11) / 8 * 8;
  s.mask_ld = mask_ld(s.columns);
  s.mask_stride = s.rows * s.mask_ld;
  Operand a(s.in, (s.batch - 1) * s.stride_a + (s.transpose_a ? s.inner : s.rows) * s.lda, 1, stream);
  Operand b(s.in, (s.batch - 1) * s.stride_b + (s.transpose_b ? s.columns : s.inner) * s.ldb, 77, stream);
  Operand bias(s.out, s.batch * s.bias_stride, 900, stream);
  DeviceBuffer mask(static_cast<size_t>(s.batch * mask_bytes(s.rows, s.columns)), "mask");
  auto b_index = [&](int64_t e, int64_t k, int64_t column) { return e * s.stride_b + (s.transpose_b ? column * s.ldb + k : k * s.ldb + column); };
  double tolerance = s.out == Type::kBf16 ? 1.0 / 256 : 2e-7 * static_cast<double>(s.inner + s.rows + 8);
  std::vector<double> products;
  for (int64_t e = 0; e < s.batch; ++e) {
    for (int64_t r = 0; r < s.rows; ++r) {
      for (int64_t column = 0; column < s.columns; ++column) {
        double sum = 0;
        for (int64_t k = 0; k < s.inner; ++k) {
          sum += a.multiplied(e * s.stride_a + (s.transpose_a ? k * s.lda + r : r * s.lda + k), s.in) * b.multiplied(b_index(e, k, column), s.in);
        }
        products.push_back(sum);
      }
    }
  }
  std::vector<bool> on(products.size());
  bool mask_is_there = false;
  for (Epilogue epilogue : {Epilogue::kNone, Epilogue::kBias, Epilogue::kBiasRelu, Epilogue::kBiasReluMask, Epilogue::kReluGradient,
                            Epilogue::kReluGradientBiasGradient, Epilogue::kBiasGradient}) {
    bool adds = epilogue == Epilogue::kBias || epilogue == Epilogue::kBiasRelu || epilogue == Epilogue::kBiasReluMask;
    bool gates = epilogue == Epilogue::kReluGradient || epilogue == Epilogue::kReluGradientBiasGradient;
    s.epilogue = epilogue;
    if (!Gemm::supports(s, context) || (gates && !mask_is_there)) {
      CHECK(!must_have_all);
      ++without_algorithm;
      continue;
    }
    Operand c(s.out, (s.batch - 1) * s.stride_c + s.rows * s.ldc, 5, stream), sums(s.out, s.batch * s.bias_stride, 40, stream);
    Gemm gemm(s, stream, context);
    if (epilogue == Epilogue::kBiasGradient) {
      gemm.run(a.bytes.device(), b.bytes.device(), c.bytes.device(), nullptr, sums.bytes.device(), stream);
    } else {
      gemm.run(a.bytes.device(), b.bytes.device(), c.bytes.device(), bias.bytes.device(), mask.data(), stream, sums.bytes.device());
    }
    mask_is_there = mask_is_there || epilogue == Epilogue::kBiasReluMask;
    std::vector<float> got = c.read(stream), got_sums = sums.read(stream);
    std::vector<bool> touched(got.size());
    for (int64_t e = 0; e < s.batch; ++e) {
      std::vector<double> want_sums(static_cast<size_t>(s.columns));
      for (int64_t r = 0; r < s.rows; ++r) {
        for (int64_t column = 0; column < s.columns; ++column) {
          size_t at = static_cast<size_t>(e * s.stride_c + r * s.ldc + column), number = static_cast<size_t>((e * s.rows + r) * s.columns + column);
          double z = products[number] + (adds ? bias.multiplied(e * s.bias_stride + column, s.out) : 0);
          if (epilogue == Epilogue::kBiasReluMask) {
            on[number] = got[at] > 0;  // what the mask must say
          }
          if (epilogue == Epilogue::kBiasRelu || epilogue == Epilogue::kBiasReluMask) {
            z = z > 0 ? z : 0;
          } else if (gates) {
            z = on[number] ? z : 0;
          }
          CHECK_NEAR(got[at], z, tolerance);
          touched[at] = true;
          want_sums[static_cast<size_t>(column)] += z;
        }
      }
      for (int64_t column = 0; column < s.bias_stride; ++column) {
        size_t at = static_cast<size_t>(e * s.bias_stride + column);
        double want = static_cast<double>(sums.values[at]);
        if (column < s.columns && epilogue == Epilogue::kReluGradientBiasGradient) {
          want = want_sums[static_cast<size_t>(column)];
        } else if (column < s.columns && epilogue == Epilogue::kBiasGradient) {
          want = 0;
          for (int64_t k = 0; k < s.inner; ++k) {
            want += b.multiplied(b_index(e, k, column), Type::kFloat32);
          }
        }
        // A library may sum what it has rounded to tf32.
        CHECK_NEAR(got_sums[at], want, s.in == Type::kTf32 ? 1e-3 : tolerance * 2);
      }
    }
    for (size_t i = 0; i < got.size(); ++i) {
      CHECK(touched[i] || got[i] == c.values[i]);
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

static void check_gemms(Type in, Type out) {
#if defined(UNIFIEDRL_CUDA_EMULATION)
  constexpr bool kAll = true;
#else
  constexpr bool kAll = false;  // a library need not have every epilogue, nor rows that are not aligned
#endif
  auto check = [&](GemmShape s) {
    s.in = in;
    s.out = out;
    check_gemm(s, kAll);
  };
  for (int ways = 0; ways < 4; ++ways) {
    for (int64_t pad : {0, 3, 8}) {
      for (int64_t odd : {0, 1}) {
        GemmShape s = gemm_shape(3, 16 + odd, 136 - 5 * odd, 8 - odd, (ways & 1) != 0, (ways & 2) != 0, pad);
        check(s);
        s.stride_a = 0;  // all members share the input
        check(s);
        s.stride_b = 0;
        check(s);
      }
    }
  }
  check(gemm_shape(1, 1, 1, 1, false, false, 0));
  check(gemm_shape(1, 64, 48, 96, false, false, 0));
}

TEST(fp32_products_match_plain_loops) { check_gemms(Type::kFloat32, Type::kFloat32); }
TEST(tf32_products_match_plain_loops) { check_gemms(Type::kTf32, Type::kFloat32); }
TEST(bf16_products_match_plain_loops) { check_gemms(Type::kBf16, Type::kBf16); }
TEST(bf16_products_in_float_match_plain_loops) { check_gemms(Type::kBf16, Type::kFloat32); }

// What a training step is made of must have an algorithm without an epilogue.
TEST(aligned_products_are_there) {
  Stream stream;
  GemmContext context;
  for (Type in : {Type::kFloat32, Type::kTf32, Type::kBf16}) {
    for (int ways = 0; ways < 4; ++ways) {
      GemmShape s = gemm_shape(4, 64, 128, 32, (ways & 1) != 0, (ways & 2) != 0, 0);
      s.in = in;
      CHECK(Gemm::supports(s, context));
    }
  }
}

TEST(a_device_that_is_not_there_is_refused) {
  for (int index : {-1, device_count()}) {
    try {
      select_device(index);
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.status() == UNIFIEDRL_INVALID_ARGUMENT);
      CHECK_CONTAINS(error.text(), unifiedrl::format("device %d: there are %d", index, device_count()));
    }
  }
  CHECK(device_problem().empty());
}

int main(int argc, char** argv) {
  std::string problem = device_problem();
  try {
    if (!problem.empty()) {
      // No device: that is said with a reason, and nothing ends the process.
      try {
        select_device(0);
        std::printf("FAILED: a device was selected where there is none\n");
        return 1;
      } catch (const Error& error) {
        bool right = error.status() == UNIFIEDRL_UNAVAILABLE && error.text() == problem && device_count() == 0;
        std::printf("%s: %s\n", right ? "skipped" : "FAILED", error.text().c_str());
        return right ? 77 : 1;
      }
    }
    select_device(0);
    std::printf("%s, %s\n", properties(0).name.c_str(), gemm_library().c_str());
    int status = check::main(argc, argv);
    if (without_algorithm > 0) {
      std::printf("%d products have no algorithm with their epilogue\n", without_algorithm);
    }
    return status;
  } catch (const Error& error) {
    std::printf("FAILED: a test ended with status %d: %s\n", error.status(), error.text().c_str());
    return 1;
  }
}
