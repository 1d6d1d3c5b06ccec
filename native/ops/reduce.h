// Reductions of a few values to one, with the share of each in it: the derivative. A value that is not a number makes the result, and what selects
// among the values, not a number either.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"
#include "unifiedrl.h"

namespace unifiedrl {

constexpr double kSmallestMagnitude = 1e-8;  // of what a normaliser divides by

// The first smallest and the first largest of values(0 .. count - 1); broken is one of them that is not a number, else 0.
template <typename T>
struct Extremes {
  T low, high, broken;
  int64_t at_low, at_high;
};

template <typename T, typename Values>
UNIFIEDRL_HD inline Extremes<T> extremes(int64_t count, Values values) {
  Extremes<T> found{values(0), values(0), T(0), 0, 0};
  for (int64_t k = 0; k < count; ++k) {
    T value = values(k);
    if (value != value) {
      found.broken = value;
    }
    if (value < found.low) {
      found.low = value;
      found.at_low = k;
    }
    if (value > found.high) {
      found.high = value;
      found.at_high = k;
    }
  }
  return found;
}

// w min + (1 - w) max of values(0 .. count - 1); share(k, s) receives each derivative.
template <typename T, typename Values, typename Share>
UNIFIEDRL_HD inline T weighted_extreme(int64_t count, T w, Values values, Share share) {
  Extremes<T> found = extremes<T>(count, values);
  for (int64_t k = 0; k < count; ++k) {
    share(k, (k == found.at_low ? w : T(0)) + (k == found.at_high ? T(1) - w : T(0)) + found.broken);
  }
  return w * found.low + (T(1) - w) * found.high + found.broken;
}

// Reduction of `kind` (unifiedrl.h) of values(0 .. count - 1); share(k, s) receives each derivative. Sums are formed in double: they may be long.
template <typename T, typename Values, typename Share>
UNIFIEDRL_HD inline T reduced(int64_t kind, int64_t count, T temperature, Values values, Share share) {
  if (kind == UNIFIEDRL_SUM || kind == UNIFIEDRL_MEAN) {
    double sum = 0, divisor = kind == UNIFIEDRL_SUM ? 1.0 : static_cast<double>(count);
    for (int64_t k = 0; k < count; ++k) {
      sum += static_cast<double>(values(k));
      share(k, static_cast<T>(1.0 / divisor));
    }
    return static_cast<T>(sum / divisor);
  }
  Extremes<T> found = extremes<T>(count, values);
  if (kind == UNIFIEDRL_MAX) {
    for (int64_t k = 0; k < count; ++k) {
      share(k, (k == found.at_high ? T(1) : T(0)) + found.broken);
    }
    return found.high + found.broken;
  }
  const auto part = [&](int64_t k) { return std::exp((values(k) - found.high) / temperature); };
  double sum = 0;
  for (int64_t k = 0; k < count; ++k) {
    sum += static_cast<double>(part(k));
  }
  for (int64_t k = 0; k < count; ++k) {
    share(k, part(k) / static_cast<T>(sum) + found.broken);
  }
  return found.high + temperature * static_cast<T>(std::log(sum)) + found.broken;
}

// scale over the mean of `elements` magnitudes.
template <typename T>
UNIFIEDRL_HD inline T normaliser(T scale, double sum_of_magnitudes, int64_t elements) {
  double mean = sum_of_magnitudes / static_cast<double>(elements);
  return static_cast<T>(static_cast<double>(scale) / (mean < kSmallestMagnitude ? kSmallestMagnitude : mean));
}

}  // namespace unifiedrl
