// Critic target, critic loss and ensemble objective (specification section 0), and what other algorithms weight losses by, one batch row at a time.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace unifiedrl {

constexpr double kDeviationFloor = 1e-8;  // inside the square root: the standard deviation's gradient is singular at 0

// y = r + gamma (1 - done) (phi max(q, 0) + min(q, 0)): attenuation must never raise a negative value.
template <typename T>
UNIFIEDRL_HD inline T td_target(T reward, T done, T phi, T q, T gamma) {
  T attenuated = q > T(0) ? phi * q : q;
  return reward + gamma * (T(1) - done) * attenuated;
}

// Mean and population standard deviation of m values spaced `stride` apart.
template <typename T>
UNIFIEDRL_HD inline void group_moments(const T* q, int64_t m, int64_t stride, T* mean, T* deviation) {
  T sum = 0;
  for (int64_t j = 0; j < m; ++j) {
    sum += q[j * stride];
  }
  *mean = sum / T(m);
  T squares = 0;
  for (int64_t j = 0; j < m; ++j) {
    T difference = q[j * stride] - *mean;
    squares += difference * difference;
  }
  *deviation = std::sqrt(squares / T(m) + T(kDeviationFloor));
}

// d/dq of w (-mean + lambda sd), for a batch of `rows`.
template <typename T>
UNIFIEDRL_HD inline T group_gradient(T q, T mean, T deviation, T weight, T lambda, int64_t m, int64_t rows) {
  return weight * (T(-1) + lambda * (q - mean) / deviation) / (T(m) * T(rows));
}

// Weight of a difference that an exponential policy improvement gives (Peng et al., 2019), at most `cap`.
template <typename T>
UNIFIEDRL_HD inline T exp_weight(T difference, T beta, T cap) {
  T weight = std::exp(beta * difference);
  return weight > cap ? cap : weight;
}

// |tau - [u < 0]|, the weight of u^2 in the expectile loss (Kostrikov et al., 2022).
template <typename T>
UNIFIEDRL_HD inline T expectile_weight(T difference, T tau) {
  return difference < T(0) ? T(1) - tau : tau;
}

}  // namespace unifiedrl
