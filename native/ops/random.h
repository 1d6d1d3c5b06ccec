// Philox4x32-10 (Salmon et al., SC'11): a random number is a function of its key and counter, so that every back end, thread count
// and batch split draws the same numbers.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace unifiedrl {

struct Philox4 {
  uint32_t x[4];
};

UNIFIEDRL_HD inline Philox4 philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0;
    uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
    uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return Philox4{{c0, c1, c2, c3}};
}

// Uses of random numbers: the upper word of the counter, so that no two uses share a draw.
constexpr uint64_t kStreamSample = 1;
constexpr uint64_t kStreamInitialise = 2;
constexpr uint64_t kStreamNoise = 3;

// Counter of element b of step t in a stream of draws: low word, high word.
UNIFIEDRL_HD inline uint64_t sample_counter_low(int64_t step, int64_t b) { return static_cast<uint64_t>(step) ^ (static_cast<uint64_t>(b) << 40); }
UNIFIEDRL_HD inline uint64_t sample_counter_high(int64_t stream) { return (kStreamSample << 32) | static_cast<uint64_t>(stream & 0xffffffff); }

// 64 random bits mapped to [0, rows) by multiply-shift (bias below rows / 2^64).
UNIFIEDRL_HD inline int64_t row_of_bits(uint64_t bits, int64_t rows) {
#if defined(__CUDA_ARCH__)
  return static_cast<int64_t>(__umul64hi(bits, static_cast<uint64_t>(rows)));
#else
  return static_cast<int64_t>((static_cast<unsigned __int128>(bits) * static_cast<uint64_t>(rows)) >> 64);
#endif
}

// Row for batch element b of step t.
UNIFIEDRL_HD inline int64_t sample_row(uint64_t seed, int64_t step, int64_t stream, int64_t b, int64_t rows) {
  Philox4 r = philox(seed, sample_counter_low(step, b), sample_counter_high(stream));
  return row_of_bits((static_cast<uint64_t>(r.x[0]) << 32) | r.x[1], rows);
}

// Noise for element k of step t: a function of (seed, step, stream, k), in double on every back end.
UNIFIEDRL_HD inline Philox4 noise_bits(uint64_t seed, int64_t step, int64_t stream, int64_t k) {
  return philox(seed, sample_counter_low(step, k), (kStreamNoise << 32) | static_cast<uint64_t>(stream & 0xffffffff));
}

// A word of random bits in (0, 1).
UNIFIEDRL_HD inline double unit(uint32_t bits) { return (static_cast<double>(bits) + 0.5) / 4294967296.0; }

// Standard normal (Box and Muller, 1958), at most 6.8 in magnitude.
UNIFIEDRL_HD inline double normal_noise(uint64_t seed, int64_t step, int64_t stream, int64_t k) {
  Philox4 r = noise_bits(seed, step, stream, k);
  double radius = std::sqrt(-2 * std::log(unit(r.x[0])));
#if defined(__CUDA_ARCH__)
  return radius * cospi(2 * unit(r.x[1]));  // cos would bring along the reduction of large angles, and a stack for it
#else
  return radius * std::cos(2 * 3.14159265358979323846 * unit(r.x[1]));
#endif
}

// Uniform in (-1, 1).
UNIFIEDRL_HD inline double uniform_noise(uint64_t seed, int64_t step, int64_t stream, int64_t k) {
  return 2 * unit(noise_bits(seed, step, stream, k).x[0]) - 1;
}

// Uniform in (-1, 1] with 24 bits: the largest of them, and only that, rounds to 1.
UNIFIEDRL_HD inline float uniform_signed(uint32_t bits) {
  return (static_cast<float>(bits >> 8) + 0.5f) * (2.0f / 16777216.0f) - 1.0f;
}

}  // namespace unifiedrl
