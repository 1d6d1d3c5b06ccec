// Tensor cores: c += a b on tiles that a warp holds in registers, 16 x 8 of c at a time, with float accumulation. A tile of a is 16 x kInner, one of
// b kInner x 8; kInner is 16 for bf16 and 8 for float, which is rounded to tf32 when it is loaded. The layouts are those of the PTX
// instruction set, section "Warp-Level Matrix Instructions" (mma.m16n8k16, mma.m16n8k8, ldmatrix). All functions are for whole warps.
#pragma once

#include "cuda/device.h"

#if defined(UNIFIEDRL_CUDA_EMULATION) || defined(__CUDACC__)

namespace unifiedrl::cuda {

template <typename T>
struct TileA;
template <typename T>
struct TileB;
template <>
struct TileA<bf16> {
  static constexpr int kInner = 16;
  uint32_t x[4];  // two elements each, of rows lane / 4 (+ 8: x[1], x[3]) and columns 2 (lane % 4) + {0, 1} (+ 8: x[2], x[3])
};
template <>
struct TileB<bf16> {
  static constexpr int kInner = 16;
  uint32_t x[2];  // two elements each, of rows 2 (lane % 4) + {0, 1} (+ 8: x[1]) and column lane / 4
};
template <>
struct TileA<float> {
  static constexpr int kInner = 8;
  uint32_t x[4];  // tf32 of row lane / 4 (+ 8: x[1], x[3]) and column lane % 4 (+ 4: x[2], x[3])
};
template <>
struct TileB<float> {
  static constexpr int kInner = 8;
  uint32_t x[2];  // tf32 of row lane % 4 (+ 4: x[1]) and column lane / 4
};
struct TileC {
  float x[4];
};

// Where this lane's element i of a TileC is.
UNIFIEDRL_DEVICE int tile_row(int i) { return lane_index() / 4 + (i / 2) * 8; }
UNIFIEDRL_DEVICE int tile_column(int i) { return lane_index() % 4 * 2 + i % 2; }

// Nearest tf32, ties away from zero.
UNIFIEDRL_DEVICE uint32_t to_tf32(float x) {
#if defined(UNIFIEDRL_CUDA_EMULATION)
  uint32_t bits = as_uint(x), exponent = bits & 0x7f800000u;
  if (exponent == 0x7f800000u) {
    return x != x ? 0x7fffffffu : bits;
  }
  return (bits + 0x1000u) & 0xffffe000u;
#else
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#endif
}

// Two numbers as a register of a bf16 tile: `low` is the one of the lower column (of a) or row (of b).
UNIFIEDRL_DEVICE uint32_t pack_bf16(float low, float high) {
#if defined(UNIFIEDRL_CUDA_EMULATION)
  return to_bf16(low).bits | static_cast<uint32_t>(to_bf16(high).bits) << 16;
#else
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
#endif
}

#if defined(UNIFIEDRL_CUDA_EMULATION)
namespace emulated {
// c += a b for the lanes' tiles; out of line, since it is long.
struct MultiplyAdd {
  TileC* c;
  const uint32_t *a, *b;
};
void multiply_add_bf16(void* const lanes[kWarp]);
void multiply_add_tf32(void* const lanes[kWarp]);
// A lane's part of load_matrices: gives where its row begins, receives where the rows begin that its elements are in.
struct MatrixRows {
  int64_t given;
  int64_t rows[8];  // N, or two for each of N where transposed
};
template <int N, bool kTranspose>
void exchange_rows(void* const lanes[kWarp]) {
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int i = 0; i < (kTranspose ? 2 * N : N); ++i) {
      int from = kTranspose ? 8 * (i / 2) + lane % 4 * 2 + i % 2 : 8 * i + lane / 4;
      static_cast<MatrixRows*>(lanes[lane])->rows[i] = static_cast<MatrixRows*>(lanes[from])->given;
    }
  }
}
void check_row(const Shared<const bf16>& row);
}  // namespace emulated

inline void multiply_add(TileC& c, const TileA<bf16>& a, const TileB<bf16>& b, emulated::Location where = emulated::Location::here()) {
  emulated::MultiplyAdd lane{&c, a.x, b.x};
  emulated::warp_barrier(where, &lane, emulated::multiply_add_bf16);
}
inline void multiply_add(TileC& c, const TileA<float>& a, const TileB<float>& b, emulated::Location where = emulated::Location::here()) {
  emulated::MultiplyAdd lane{&c, a.x, b.x};
  emulated::warp_barrier(where, &lane, emulated::multiply_add_tf32);
}
#else
UNIFIEDRL_DEVICE void multiply_add(TileC& c, const TileA<bf16>& a, const TileB<bf16>& b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.x[0]), "+f"(c.x[1]), "+f"(c.x[2]), "+f"(c.x[3])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[0]), "r"(b.x[1]));
}
UNIFIEDRL_DEVICE void multiply_add(TileC& c, const TileA<float>& a, const TileB<float>& b) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.x[0]), "+f"(c.x[1]), "+f"(c.x[2]), "+f"(c.x[3])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[0]), "r"(b.x[1]));
}
#endif

// N (2 or 4) 8 x 8 matrices of bf16: lane 8 i + r gives where row r of matrix i begins, which must be 16-byte aligned (with N = 2 lanes 16 and
// on give the rows of lanes 0 and on again). x[i] receives two elements of matrix i or of its transpose: row lane / 4, columns 2 (lane % 4) + {0, 1}.
template <int N, bool kTranspose>
UNIFIEDRL_DEVICE void load_matrices(uint32_t (&x)[N], Shared<bf16> row) {
  static_assert(N == 2 || N == 4, "2 or 4 matrices");
#if defined(UNIFIEDRL_CUDA_EMULATION)
  if (lane_index() < 8 * N) {
    emulated::check_row(row);
  }
  emulated::MatrixRows lane{row.position_, {}};
  emulated::warp_barrier(row.made_, &lane, emulated::exchange_rows<N, kTranspose>);
  int line = lane_index() / 4, pair = lane_index() % 4 * 2;
  for (int i = 0; i < N; ++i) {
    Shared<bf16> first(lane.rows[kTranspose ? 2 * i : i], row.begin_, row.end_, row.made_);
    Shared<bf16> second(lane.rows[kTranspose ? 2 * i + 1 : i], row.begin_, row.end_, row.made_);
    bf16 low = first[kTranspose ? line : pair], high = second[kTranspose ? line : pair + 1];
    x[i] = low.bits | static_cast<uint32_t>(high.bits) << 16;
  }
#else
  uint32_t address = shared_address(row);
  if constexpr (N == 4 && kTranspose) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(address) : "memory");
  } else if constexpr (N == 4) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(address) : "memory");
  } else if constexpr (kTranspose) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];" : "=r"(x[0]), "=r"(x[1]) : "r"(address) : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(x[0]), "=r"(x[1]) : "r"(address) : "memory");
  }
#endif
}

// Loads of tiles from row-major matrices in shared memory, whose rows are `ld` elements apart: for bf16 a multiple of 8 from a 16-byte aligned
// view (16 bytes more than a multiple of 128 keep clear of bank conflicts). The transposed ones read a matrix that is stored the other way round,
// [kInner, 16] for a, [8, kInner] for b.
UNIFIEDRL_DEVICE void load(TileA<bf16>& a, Shared<bf16> s, int ld) {
  int lane = lane_index();
  load_matrices<4, false>(a.x, s + ((lane & 15) * ld + lane / 16 * 8));
}
UNIFIEDRL_DEVICE void load_transposed(TileA<bf16>& a, Shared<bf16> s, int ld) {
  int lane = lane_index();
  load_matrices<4, true>(a.x, s + ((lane % 8 + lane / 16 * 8) * ld + (lane & 8)));
}
UNIFIEDRL_DEVICE void load(TileB<bf16>& b, Shared<bf16> s, int ld) { load_matrices<2, true>(b.x, s + (lane_index() & 15) * ld); }
UNIFIEDRL_DEVICE void load_transposed(TileB<bf16>& b, Shared<bf16> s, int ld) {
  int lane = lane_index();
  load_matrices<2, false>(b.x, s + (lane % 8 * ld + (lane & 8)));
}
// Two tiles of b side by side, [kInner, 16], or [16, kInner] where transposed, in one instruction.
UNIFIEDRL_DEVICE void load(TileB<bf16>& b0, TileB<bf16>& b1, Shared<bf16> s, int ld) {
  int lane = lane_index();
  uint32_t x[4];
  load_matrices<4, true>(x, s + ((lane & 15) * ld + lane / 16 * 8));
  b0 = TileB<bf16>{{x[0], x[1]}};
  b1 = TileB<bf16>{{x[2], x[3]}};
}
UNIFIEDRL_DEVICE void load_transposed(TileB<bf16>& b0, TileB<bf16>& b1, Shared<bf16> s, int ld) {
  int lane = lane_index();
  uint32_t x[4];
  load_matrices<4, false>(x, s + ((lane % 8 + lane / 16 * 8) * ld + (lane & 8)));
  b0 = TileB<bf16>{{x[0], x[1]}};
  b1 = TileB<bf16>{{x[2], x[3]}};
}

UNIFIEDRL_DEVICE void load(TileA<float>& a, Shared<float> s, int ld) {
  int row = lane_index() / 4, column = lane_index() % 4;
  UNIFIEDRL_UNROLL
  for (int i = 0; i < 4; ++i) {
    a.x[i] = to_tf32(s[(row + i % 2 * 8) * ld + column + i / 2 * 4]);
  }
}
UNIFIEDRL_DEVICE void load_transposed(TileA<float>& a, Shared<float> s, int ld) {
  int row = lane_index() / 4, column = lane_index() % 4;
  UNIFIEDRL_UNROLL
  for (int i = 0; i < 4; ++i) {
    a.x[i] = to_tf32(s[(column + i / 2 * 4) * ld + row + i % 2 * 8]);
  }
}
UNIFIEDRL_DEVICE void load(TileB<float>& b, Shared<float> s, int ld) {
  int row = lane_index() % 4, column = lane_index() / 4;
  b.x[0] = to_tf32(s[row * ld + column]);
  b.x[1] = to_tf32(s[(row + 4) * ld + column]);
}
UNIFIEDRL_DEVICE void load_transposed(TileB<float>& b, Shared<float> s, int ld) {
  int row = lane_index() % 4, column = lane_index() / 4;
  b.x[0] = to_tf32(s[column * ld + row]);
  b.x[1] = to_tf32(s[column * ld + row + 4]);
}
UNIFIEDRL_DEVICE void load(TileB<float>& b0, TileB<float>& b1, Shared<float> s, int ld) {
  load(b0, s, ld);
  load(b1, s + 8, ld);
}
UNIFIEDRL_DEVICE void load_transposed(TileB<float>& b0, TileB<float>& b1, Shared<float> s, int ld) {
  load_transposed(b0, s, ld);
  load_transposed(b1, s + 8 * ld, ld);
}

// Stores to a row-major matrix in shared memory; for bf16 ld is even.
UNIFIEDRL_DEVICE void store(const TileC& c, Shared<float> s, int ld) {
  UNIFIEDRL_UNROLL
  for (int i = 0; i < 4; ++i) {
    s[tile_row(i) * ld + tile_column(i)] = c.x[i];
  }
}
UNIFIEDRL_DEVICE void store(const TileC& c, Shared<bf16> s, int ld) {
  UNIFIEDRL_UNROLL
  for (int i = 0; i < 4; i += 2) {
    as<uint32_t>(s + (tile_row(i) * ld + tile_column(i)))[0] = pack_bf16(c.x[i], c.x[i + 1]);
  }
}

// Two tiles of c side by side are laid out as one of a: a product's result is the next one's operand without leaving the registers.
UNIFIEDRL_DEVICE TileA<bf16> to_operand(const TileC& left, const TileC& right) {
  return TileA<bf16>{{pack_bf16(left.x[0], left.x[1]), pack_bf16(left.x[2], left.x[3]), pack_bf16(right.x[0], right.x[1]),
                      pack_bf16(right.x[2], right.x[3])}};
}

}  // namespace unifiedrl::cuda

#endif
