// Diagonal Gaussians and their squashing by tanh (Haarnoja et al., 2018), one dimension at a time. A head gives the mean and log_std of each
// dimension; log_std is cut to [low, high], so that nothing passes one outside.
#pragma once

#include <cmath>

#include "ops/device.h"

namespace unifiedrl {

constexpr double kLog2 = 0.69314718055994530942;
constexpr double kHalfLog2Pi = 0.91893853320467274178;
constexpr double kSquashLimit = 1 - 1e-6;  // of given actions: where atanh is still finite, and log(1 - a^2) no less than -13.1

// min(max(x, low), high); NaN stays NaN.
template <typename T>
UNIFIEDRL_HD inline T cut(T x, T low, T high) {
  return x < low ? low : x > high ? high : x;
}

template <typename T>
UNIFIEDRL_HD inline T log_density(T z, T log_sd) {
  return T(-0.5) * z * z - log_sd - T(kHalfLog2Pi);
}

// log(1 - tanh(u)^2), also where tanh(u) rounds to 1.
template <typename T>
UNIFIEDRL_HD inline T log_tanh_slope(T u) {
  T magnitude = std::fabs(u);
  return T(2) * (T(kLog2) - magnitude - std::log1p(std::exp(T(-2) * magnitude)));
}

// 1 - tanh(u)^2, likewise.
template <typename T>
UNIFIEDRL_HD inline T tanh_slope(T u) {
  T e = std::exp(T(-2) * std::fabs(u));
  return T(4) * e / ((T(1) + e) * (T(1) + e));
}

// What tanh took to `action`. In double: the limit is some 17 float32 numbers away from 1, where rounding it would move the result by 0.007.
UNIFIEDRL_HD inline double unsquashed(double action) {
  double a = cut(action, -kSquashLimit, kSquashLimit);
  return 0.5 * (std::log1p(a) - std::log1p(-a));
}

// A dimension of a head.
template <typename T>
struct Gaussian {
  T mean, log_sd, sd;
  bool cut_off;  // log_std lay outside; one that is not a number did not, and shows
};

template <typename T>
UNIFIEDRL_HD inline Gaussian<T> gaussian(T mean, T log_std, T low, T high) {
  T log_sd = cut(log_std, low, high);
  return {mean, log_sd, std::exp(log_sd), log_std < low || log_std > high};
}

template <typename T>
UNIFIEDRL_HD inline T log_sd_gradient(const Gaussian<T>& g, T gradient) {
  return g.cut_off ? T(0) : gradient;
}

// Standardised distance of u from the mean. The difference is taken in double, since sd may be far below the rounding of u.
template <typename T>
UNIFIEDRL_HD inline T standardised(const Gaussian<T>& g, double u) {
  return static_cast<T>(u - static_cast<double>(g.mean)) / g.sd;
}

// KL(N(mean, sd^2) | N(0, 1)), with sd^2 - 1 as expm1(2 log sd): its derivatives are mean and that.
template <typename T>
UNIFIEDRL_HD inline T divergence(const Gaussian<T>& g, T excess_variance) {
  return T(0.5) * (g.mean * g.mean + excess_variance - T(2) * g.log_sd);
}

}  // namespace unifiedrl
