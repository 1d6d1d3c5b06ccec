// Compiled once for each instruction set with UNIFIEDRL_ISA = baseline, avx2 or avx512 (see CMakeLists.txt); all code has internal linkage
// but the table, so that no function built for one instruction set can stand in for that of another.
#define UNIFIEDRL_HD static  // the op maths too gets internal linkage
#include "cpu/kernels.h"

#include <cmath>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define UNIFIEDRL_JOIN2(a, b) a##b
#define UNIFIEDRL_JOIN(a, b) UNIFIEDRL_JOIN2(a, b)
#define UNIFIEDRL_TEXT2(a) #a
#define UNIFIEDRL_TEXT(a) UNIFIEDRL_TEXT2(a)

namespace unifiedrl::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int64_t kWidth = 16;
#elif defined(__AVX2__)
constexpr int64_t kWidth = 8;
#else
constexpr int64_t kWidth = 4;
#endif

typedef float Vector __attribute__((vector_size(kWidth * 4)));

inline Vector load(const float* p) {
  Vector v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float* p, Vector v) { std::memcpy(p, &v, sizeof v); }

// The first n < kWidth elements; the others are 0.
inline Vector load_part(const float* p, int64_t n) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p));
#else
  Vector v = {};
  for (int64_t i = 0; i < n; ++i) {
    v[i] = p[i];
  }
  return v;
#endif
}

inline void store_part(float* p, Vector v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), reinterpret_cast<__m512>(v));
#else
  for (int64_t i = 0; i < n; ++i) {
    p[i] = v[i];
  }
#endif
}

inline Vector spread(float x) { return x - Vector{}; }

inline float sum(Vector v) {
  float s = 0;
  for (int64_t i = 0; i < kWidth; ++i) {
    s += v[i];
  }
  return s;
}

// Rows x (V vectors) of C in registers over all k.
template <int Rows, int V>
inline void gemm_block(int64_t k, const float* a, int64_t row_a, int64_t column_a, const float* b, int64_t ldb, bool accumulate, float* c,
                       int64_t ldc) {
  Vector acc[Rows][V];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < V; ++v) {
      acc[r][v] = accumulate ? load(c + r * ldc + v * kWidth) : Vector{};
    }
  }
  for (int64_t i = 0; i < k; ++i) {
    Vector bv[V];
    for (int v = 0; v < V; ++v) {
      bv[v] = load(b + i * ldb + v * kWidth);
    }
    for (int r = 0; r < Rows; ++r) {
      Vector x = spread(a[r * row_a + i * column_a]);
      for (int v = 0; v < V; ++v) {
        acc[r][v] += x * bv[v];
      }
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < V; ++v) {
      store(c + r * ldc + v * kWidth, acc[r][v]);
    }
  }
}

template <int Rows>
inline void gemm_part(int64_t n, int64_t k, const float* a, int64_t row_a, int64_t column_a, const float* b, int64_t ldb, bool accumulate,
                      float* c, int64_t ldc) {
  Vector acc[Rows];
  for (int r = 0; r < Rows; ++r) {
    acc[r] = accumulate ? load_part(c + r * ldc, n) : Vector{};
  }
  for (int64_t i = 0; i < k; ++i) {
    Vector bv = load_part(b + i * ldb, n);
    for (int r = 0; r < Rows; ++r) {
      acc[r] += spread(a[r * row_a + i * column_a]) * bv;
    }
  }
  for (int r = 0; r < Rows; ++r) {
    store_part(c + r * ldc, acc[r], n);
  }
}

template <int Rows, int V>
inline void gemm_rows(int64_t n, int64_t k, const float* a, int64_t row_a, int64_t column_a, const float* b, int64_t ldb, bool accumulate,
                      float* c, int64_t ldc) {
  int64_t j = 0;
  for (; j + V * kWidth <= n; j += V * kWidth) {
    gemm_block<Rows, V>(k, a, row_a, column_a, b + j, ldb, accumulate, c + j, ldc);
  }
  for (; j + kWidth <= n; j += kWidth) {
    gemm_block<Rows, 1>(k, a, row_a, column_a, b + j, ldb, accumulate, c + j, ldc);
  }
  if (j < n) {
    gemm_part<Rows>(n - j, k, a, row_a, column_a, b + j, ldb, accumulate, c + j, ldc);
  }
}

void gemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t row_a, int64_t column_a, const float* b, int64_t ldb, bool accumulate, float* c,
          int64_t ldc) {
#if defined(__AVX512F__)
  constexpr int kRows = 12;  // 12 x 2 accumulators of 32 registers
#else
  constexpr int kRows = 6;   // 6 x 2 of 16
#endif
  int64_t i = 0;
  for (; i + kRows <= m; i += kRows) {
    gemm_rows<kRows, 2>(n, k, a + i * row_a, row_a, column_a, b, ldb, accumulate, c + i * ldc, ldc);
  }
  for (; i + 4 <= m; i += 4) {
    gemm_rows<4, 2>(n, k, a + i * row_a, row_a, column_a, b, ldb, accumulate, c + i * ldc, ldc);
  }
  for (; i < m; ++i) {
    gemm_rows<1, 8>(n, k, a + i * row_a, row_a, column_a, b, ldb, accumulate, c + i * ldc, ldc);
  }
}

// Bits of v > 0, lowest element first; NaN counts, so that it goes on through the backward pass.
inline uint32_t positive_bits(Vector v) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(v), _mm512_setzero_ps(), _CMP_NLE_UQ);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(reinterpret_cast<__m256>(v), _mm256_setzero_ps(), _CMP_NLE_UQ)));
#else
  uint32_t bits = 0;
  for (int64_t i = 0; i < kWidth; ++i) {
    bits |= (v[i] <= 0 ? 0u : 1u) << i;
  }
  return bits;
#endif
}

// v where bits are set, else 0.
inline Vector keep(Vector v, uint32_t bits) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), reinterpret_cast<__m512>(v)));
#elif defined(__AVX2__)
  const __m256i lanes = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  __m256i chosen = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lanes), lanes);
  return reinterpret_cast<Vector>(_mm256_and_ps(reinterpret_cast<__m256>(v), _mm256_castsi256_ps(chosen)));
#else
  for (int64_t i = 0; i < kWidth; ++i) {
    v[i] = (bits >> i & 1) != 0 ? v[i] : 0.0f;
  }
  return v;
#endif
}

// max(v, 0), but NaN stays NaN: a broken value must reach the finite check, not vanish in a ReLU.
inline Vector relu(Vector v) {
  Vector zero = {};
  return v < zero ? zero : v;
}

inline uint32_t sign_bits(const uint16_t* signs, int64_t j) {
  return static_cast<uint32_t>(signs[j / 16] >> (j % 16)) & ((1u << kWidth) - 1);
}

void bias_relu(int64_t rows, int64_t n, const float* bias, float* z, uint16_t* signs) {
  int64_t words = sign_words(n);
  for (int64_t r = 0; r < rows; ++r, z += n) {
    uint16_t* row_signs = signs == nullptr ? nullptr : signs + r * words;
    if (row_signs != nullptr) {
      std::memset(row_signs, 0, static_cast<size_t>(words) * sizeof(uint16_t));
    }
    int64_t j = 0;
    for (; j + kWidth <= n; j += kWidth) {
      Vector v = relu(load(z + j) + load(bias + j));
      store(z + j, v);
      if (row_signs != nullptr) {
        row_signs[j / 16] = static_cast<uint16_t>(row_signs[j / 16] | positive_bits(v) << (j % 16));
      }
    }
    if (j < n) {
      Vector v = relu(load_part(z + j, n - j) + load_part(bias + j, n - j));
      store_part(z + j, v, n - j);
      if (row_signs != nullptr) {
        row_signs[j / 16] = static_cast<uint16_t>(row_signs[j / 16] | positive_bits(v) << (j % 16));
      }
    }
  }
}

void add_bias(int64_t rows, int64_t n, const float* bias, float* z) {
  for (int64_t r = 0; r < rows; ++r, z += n) {
    for (int64_t j = 0; j < n; ++j) {
      z[j] += bias[j];
    }
  }
}

// Columns in blocks, so that the sums of a block stay in registers while the rows go by.
template <typename RowOp>
inline void by_column_blocks(int64_t rows, int64_t n, RowOp op) {
  int64_t j = 0;
  for (; j + 4 * kWidth <= n; j += 4 * kWidth) {
    op.template run<4>(rows, j, kWidth);
  }
  for (; j + kWidth <= n; j += kWidth) {
    op.template run<1>(rows, j, kWidth);
  }
  if (j < n) {
    op.template run<1>(rows, j, n - j);
  }
}

inline Vector load_n(const float* p, int64_t n) { return n == kWidth ? load(p) : load_part(p, n); }
inline void store_n(float* p, Vector v, int64_t n) {
  if (n == kWidth) {
    store(p, v);
  } else {
    store_part(p, v, n);
  }
}

struct ReluBackward {
  int64_t n;
  const float* h;
  float* dz;
  float* db;
  template <int V>
  void run(int64_t rows, int64_t j, int64_t width) const {
    Vector sums[V] = {};
    for (int64_t r = 0; r < rows; ++r) {
      for (int v = 0; v < V; ++v) {
        int64_t at = r * n + j + v * kWidth;
        Vector d = keep(load_n(dz + at, width), positive_bits(load_n(h + at, width)));
        store_n(dz + at, d, width);
        sums[v] += d;
      }
    }
    if (db != nullptr) {
      for (int v = 0; v < V; ++v) {
        float* p = db + j + v * kWidth;
        store_n(p, load_n(p, width) + sums[v], width);
      }
    }
  }
};

void relu_backward(int64_t rows, int64_t n, const float* h, float* dz, float* db) { by_column_blocks(rows, n, ReluBackward{n, h, dz, db}); }

void relu_backward_signs(int64_t rows, int64_t n, const uint16_t* signs, float* dz) {
  int64_t words = sign_words(n);
  for (int64_t r = 0; r < rows; ++r, dz += n, signs += words) {
    int64_t j = 0;
    for (; j + kWidth <= n; j += kWidth) {
      store(dz + j, keep(load(dz + j), sign_bits(signs, j)));
    }
    if (j < n) {
      store_part(dz + j, keep(load_part(dz + j, n - j), sign_bits(signs, j)), n - j);
    }
  }
}

struct ColumnSums {
  int64_t n;
  const float* dz;
  float* db;
  template <int V>
  void run(int64_t rows, int64_t j, int64_t width) const {
    Vector sums[V] = {};
    for (int64_t r = 0; r < rows; ++r) {
      for (int v = 0; v < V; ++v) {
        sums[v] += load_n(dz + r * n + j + v * kWidth, width);
      }
    }
    for (int v = 0; v < V; ++v) {
      float* p = db + j + v * kWidth;
      store_n(p, load_n(p, width) + sums[v], width);
    }
  }
};

void column_sums(int64_t rows, int64_t n, const float* dz, float* db) { by_column_blocks(rows, n, ColumnSums{n, dz, db}); }

void dot_rows(int64_t rows, int64_t n, const float* h, const float* w, float bias, float* y) {
  for (int64_t r = 0; r < rows; ++r, h += n) {
    Vector s0 = {}, s1 = {};
    int64_t j = 0;
    for (; j + 2 * kWidth <= n; j += 2 * kWidth) {
      s0 += load(h + j) * load(w + j);
      s1 += load(h + j + kWidth) * load(w + j + kWidth);
    }
    for (; j + kWidth <= n; j += kWidth) {
      s0 += load(h + j) * load(w + j);
    }
    if (j < n) {
      s1 += load_part(h + j, n - j) * load_part(w + j, n - j);
    }
    y[r] = sum(s0 + s1) + bias;
  }
}

struct OuterBackward {
  int64_t n;
  const float* dy;
  const float* w;
  const float* h;
  float* dz;
  float* dw;
  float* db;
  template <int V>
  void run(int64_t rows, int64_t j, int64_t width) const {
    Vector wv[V], sums_w[V] = {}, sums_b[V] = {};
    for (int v = 0; v < V; ++v) {
      wv[v] = load_n(w + j + v * kWidth, width);
    }
    for (int64_t r = 0; r < rows; ++r) {
      Vector d = spread(dy[r]);
      for (int v = 0; v < V; ++v) {
        int64_t at = r * n + j + v * kWidth;
        Vector hv = load_n(h + at, width);
        Vector z = keep(d * wv[v], positive_bits(hv));
        store_n(dz + at, z, width);
        sums_w[v] += d * hv;
        sums_b[v] += z;
      }
    }
    for (int v = 0; v < V; ++v) {
      int64_t at = j + v * kWidth;
      store_n(dw + at, load_n(dw + at, width) + sums_w[v], width);
      store_n(db + at, load_n(db + at, width) + sums_b[v], width);
    }
  }
};

void outer_backward(int64_t rows, int64_t n, const float* dy, const float* w, const float* h, float* dz, float* dw, float* db) {
  by_column_blocks(rows, n, OuterBackward{n, dy, w, h, dz, dw, db});
}

void outer_backward_signs(int64_t rows, int64_t n, const float* dy, const float* w, const uint16_t* signs, float* dz) {
  int64_t words = sign_words(n);
  for (int64_t r = 0; r < rows; ++r, dz += n, signs += words) {
    Vector d = spread(dy[r]);
    int64_t j = 0;
    for (; j + kWidth <= n; j += kWidth) {
      store(dz + j, keep(d * load(w + j), sign_bits(signs, j)));
    }
    if (j < n) {
      store_part(dz + j, keep(d * load_part(w + j, n - j), sign_bits(signs, j)), n - j);
    }
  }
}

double sum_of_squares(int64_t n, const float* x) {
  // Blocks in float, their sums in double: no overflow of precision for millions of elements.
  double total = 0;
  for (int64_t from = 0; from < n; from += 4096) {
    int64_t to = from + 4096 < n ? from + 4096 : n;
    Vector s0 = {}, s1 = {}, s2 = {}, s3 = {};
    int64_t j = from;
    for (; j + 4 * kWidth <= to; j += 4 * kWidth) {
      Vector a = load(x + j), b = load(x + j + kWidth), c = load(x + j + 2 * kWidth), d = load(x + j + 3 * kWidth);
      s0 += a * a;
      s1 += b * b;
      s2 += c * c;
      s3 += d * d;
    }
    float tail = 0;
    for (; j < to; ++j) {
      tail += x[j] * x[j];
    }
    total += static_cast<double>(sum((s0 + s1) + (s2 + s3))) + static_cast<double>(tail);
  }
  return total;
}

void adam_update(int64_t n, const AdamStep<float>& step, float scale, const float* gradient, float* parameter, float* moment1, float* moment2) {
  for (int64_t i = 0; i < n; ++i) {
    adam(step, scale * gradient[i], parameter + i, moment1 + i, moment2 + i);
  }
}

void soft(int64_t n, float w, const float* source, float* target) {
  for (int64_t i = 0; i < n; ++i) {
    target[i] = soft_update(source[i], target[i], w);
  }
}

void normalise(int64_t n, const float* x, const float* shift, const float* scale, float* out) {
  if (shift == nullptr && scale == nullptr) {
    int64_t i = 0;  // pieces are short: a call of memcpy would cost as much as the copying
    for (; i + kWidth <= n; i += kWidth) {
      store(out + i, load(x + i));
    }
    if (i < n) {
      store_part(out + i, load_part(x + i, n - i), n - i);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    float v = shift == nullptr ? x[i] : x[i] - shift[i];
    out[i] = scale == nullptr ? v : v * scale[i];
  }
}

#if defined(__AVX2__)
typedef uint64_t Words __attribute__((vector_size(kWidth * 4)));  // in each lane a 32-bit word; what the upper halves hold does not matter
inline Words word(uint64_t x) { return x - Words{}; }
inline Words multiply(Words a, Words b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Words>(_mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#else
  return reinterpret_cast<Words>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#endif
}
#endif

void sample(uint64_t seed, int64_t step, int64_t stream, int64_t count, int64_t n, int64_t* rows) {
  int64_t b = 0;
#if defined(__AVX2__)
  // Rounds wait for each other, so four vectors are on their way at once.
  constexpr int kChains = 4;
  constexpr int64_t kLanes = sizeof(Words) / 8, kBlock = kChains * kLanes;
  uint64_t high = sample_counter_high(stream);
  for (; b + kBlock <= n; b += kBlock) {
    uint64_t words[kBlock];
    for (int64_t i = 0; i < kBlock; ++i) {
      words[i] = sample_counter_low(step, b + i);
    }
    Words c0[kChains], c1[kChains], c2[kChains], c3[kChains];
    std::memcpy(c0, words, sizeof words);
    for (int v = 0; v < kChains; ++v) {
      c1[v] = c0[v] >> 32;
      c2[v] = word(high);
      c3[v] = word(high >> 32);
    }
    uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {  // as philox() in ops/random.h
      for (int v = 0; v < kChains; ++v) {
        Words p0 = multiply(c0[v], word(0xD2511F53u)), p1 = multiply(c2[v], word(0xCD9E8D57u));
        c0[v] = (p1 >> 32) ^ c1[v] ^ word(k0);
        c2[v] = (p0 >> 32) ^ c3[v] ^ word(k1);
        c1[v] = p1;
        c3[v] = p0;
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    for (int v = 0; v < kChains; ++v) {
      c0[v] = (c0[v] << 32) | (c1[v] & word(0xffffffffu));
    }
    std::memcpy(words, c0, sizeof words);
    for (int64_t i = 0; i < kBlock; ++i) {
      rows[b + i] = row_of_bits(words[i], count);
    }
  }
#endif
  for (; b < n; ++b) {
    rows[b] = sample_row(seed, step, stream, b, count);
  }
}

}  // namespace

extern const Kernels UNIFIEDRL_JOIN(kernels_, UNIFIEDRL_ISA);
const Kernels UNIFIEDRL_JOIN(kernels_, UNIFIEDRL_ISA) = {
    UNIFIEDRL_TEXT(UNIFIEDRL_ISA), gemm,     bias_relu,      add_bias,             relu_backward,  relu_backward_signs, column_sums,
    dot_rows,                      outer_backward, outer_backward_signs, sum_of_squares, adam_update,         soft,
    sample,                        normalise};

}  // namespace unifiedrl::cpu
