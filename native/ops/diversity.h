// Similarity of an ensemble's gradients (EDAC: An et al., 2021), one batch row at a time. With u_i = g_i / |g_i| and s = SUM u_i, the sum over pairs
// is |s|^2 - SUM |u_i|^2: its cost grows with the number of members, not with its square.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace unifiedrl {

constexpr double kSquaredNormFloor = 1e-10;  // inside the square root: the norm's gradient is singular at 0

template <typename T>
UNIFIEDRL_HD inline T inverse_norm(const T* g, int64_t columns) {
  T squares = 0;
  for (int64_t f = 0; f < columns; ++f) {
    squares += g[f] * g[f];
  }
  return T(1) / std::sqrt(squares + T(kSquaredNormFloor));
}

// Column f of s: `stride` lies between members in g as in inverse (their inverse_norm).
template <typename T>
UNIFIEDRL_HD inline T direction_sum(const T* g, int64_t stride, const T* inverse, int64_t inverse_stride, int64_t members) {
  T sum = 0;
  for (int64_t e = 0; e < members; ++e) {
    sum += g[e * stride] * inverse[e * inverse_stride];
  }
  return sum;
}

// d from s. |u_i|^2 is less than 1 where a gradient is close to 0.
template <typename T>
UNIFIEDRL_HD inline T diversity(const T* s, int64_t columns, const T* inverse, int64_t inverse_stride, int64_t members) {
  T pairs = 0;
  for (int64_t f = 0; f < columns; ++f) {
    pairs += s[f] * s[f];
  }
  for (int64_t e = 0; e < members; ++e) {
    T i = inverse[e * inverse_stride];
    pairs -= T(1) - T(kSquaredNormFloor) * i * i;
  }
  return pairs / T(members - 1);
}

// dg_i of a batch of `rows`: with v = s - u_i, what the other members add up to, 2 (v - u_i (u_i . v)) / (|g_i| (E - 1) rows).
template <typename T>
UNIFIEDRL_HD inline void diversity_gradient(const T* g, T inverse, const T* s, int64_t columns, int64_t members, int64_t rows, T* dg) {
  T along = 0;
  for (int64_t f = 0; f < columns; ++f) {
    T u = g[f] * inverse;
    along += u * (s[f] - u);
  }
  for (int64_t f = 0; f < columns; ++f) {
    T u = g[f] * inverse;
    dg[f] = T(2) * inverse * (s[f] - u - u * along) / (T(members - 1) * T(rows));
  }
}

}  // namespace unifiedrl
