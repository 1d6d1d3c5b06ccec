// Layer normalisation (Ba et al., 2016) of one row, and the similarity of gradients (An et al., 2021) of one row: means and sums over columns are
// formed in double, since everything after them depends on their last digits.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace unifiedrl {

constexpr double kNormFloor = 1e-10;  // inside the root of a gradient's norm: its derivative is singular at 0

// What is normalised: x, or max(x, 0). NaN stays NaN.
template <typename T>
UNIFIEDRL_HD inline T rectified(T x, bool relu) {
  return relu && x < T(0) ? T(0) : x;
}

template <typename T>
struct RowStatistics {
  T mean, inverse;  // inverse: 1 / sqrt(variance + epsilon)
};

// Of values(0 .. count - 1).
template <typename T, typename Values>
UNIFIEDRL_HD inline RowStatistics<T> row_statistics(int64_t count, T epsilon, Values values) {
  double sum = 0, squares = 0;
  for (int64_t k = 0; k < count; ++k) {
    sum += static_cast<double>(values(k));
  }
  double mean = sum / static_cast<double>(count);
  for (int64_t k = 0; k < count; ++k) {
    double difference = static_cast<double>(values(k)) - mean;
    squares += difference * difference;
  }
  return {static_cast<T>(mean), static_cast<T>(1 / std::sqrt(squares / static_cast<double>(count) + static_cast<double>(epsilon)))};
}

// Gradient with respect to values(k), from that of the normalised ones: inverse (g - mean g - x mean(g x)); set(k, gradient) receives it.
template <typename T, typename Normalised, typename Gradients, typename Set>
UNIFIEDRL_HD inline void row_statistics_backward(int64_t count, T inverse, Normalised normalised, Gradients gradients, Set set) {
  double sum = 0, products = 0;
  for (int64_t k = 0; k < count; ++k) {
    sum += static_cast<double>(gradients(k));
    products += static_cast<double>(gradients(k)) * static_cast<double>(normalised(k));
  }
  T mean = static_cast<T>(sum / static_cast<double>(count)), along = static_cast<T>(products / static_cast<double>(count));
  for (int64_t k = 0; k < count; ++k) {
    set(k, inverse * (gradients(k) - mean - normalised(k) * along));
  }
}

// SUM_(i != j) cos(g_i, g_j) / (members - 1), with g(i, k) the gradients of one row. With u_i = g_i / |g_i|
// and s = SUM u_i, the sum of cosines is |s|^2 - SUM |u_i|^2, and its gradient with respect to g_i is 2 ((s - u_i) - u_i (u_i (s - u_i))) / |g_i|, which
// set(i, k, gradient) receives.
template <typename T, typename Gradients, typename Set>
UNIFIEDRL_HD inline T similarity(int64_t members, int64_t columns, Gradients g, Set set) {
  const auto norm = [&](int64_t i) {
    double squares = kNormFloor;
    for (int64_t k = 0; k < columns; ++k) {
      squares += static_cast<double>(g(i, k)) * static_cast<double>(g(i, k));
    }
    return std::sqrt(squares);
  };
  const auto rest = [&](int64_t i, int64_t k) {  // column k of s - u_i
    double sum = 0;
    for (int64_t j = 0; j < members; ++j) {
      sum += j == i ? 0.0 : static_cast<double>(g(j, k)) / norm(j);
    }
    return sum;
  };
  double total = 0, pairs = static_cast<double>(members - 1);
  for (int64_t i = 0; i < members; ++i) {
    double length = norm(i), along = 0;
    for (int64_t k = 0; k < columns; ++k) {
      along += static_cast<double>(g(i, k)) / length * rest(i, k);
    }
    total += along;
    for (int64_t k = 0; k < columns; ++k) {
      set(i, k, static_cast<T>(2 * (rest(i, k) - static_cast<double>(g(i, k)) / length * along) / (length * pairs)));
    }
  }
  return static_cast<T>(total / pairs);
}

}  // namespace unifiedrl
