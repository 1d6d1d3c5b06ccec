// Layer normalisation (Ba et al., 2016), a row at a time. On a device several lanes share a row: `lanes` says which columns are the caller's (first,
// first + step, ...) and adds up what each of them has found.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace unifiedrl {

// All columns are the caller's.
struct OneLane {
  int64_t first = 0, step = 1;
  template <typename T>
  UNIFIEDRL_HD T sum(T x) const {
    return x;
  }
};

// What is normalised: x, or max(x, 0). NaN stays NaN.
template <typename T>
UNIFIEDRL_HD inline T rectified(T x, bool relu) {
  return relu && x <= T(0) ? T(0) : x;
}

// What sums over lanes is a device's, or the host's: as the caller is.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
// stat = mean, 1 / sqrt(variance + epsilon). The variance is formed from differences: the mean of squares would lose it beside a large mean.
template <typename T, typename Lanes>
UNIFIEDRL_HD inline void layer_norm(const Lanes& lanes, int64_t columns, const T* x, const T* gain, const T* bias, bool relu, T epsilon, T* y, T* stat) {
  T sum = 0, squares = 0;
  for (int64_t f = lanes.first; f < columns; f += lanes.step) {
    sum += rectified(x[f], relu);
  }
  T mean = lanes.sum(sum) / T(columns);
  for (int64_t f = lanes.first; f < columns; f += lanes.step) {
    T difference = rectified(x[f], relu) - mean;
    squares += difference * difference;
  }
  T inverse = T(1) / std::sqrt(lanes.sum(squares) / T(columns) + epsilon);
  for (int64_t f = lanes.first; f < columns; f += lanes.step) {
    y[f] = gain[f] * ((rectified(x[f], relu) - mean) * inverse) + bias[f];
  }
  if (lanes.first == 0) {
    stat[0] = mean;
    stat[1] = inverse;
  }
}

#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
// With xhat = (h - mean) inverse and g = dy gain: dh = inverse (g - mean(g) - xhat mean(g xhat)), and dx is dh where h = x.
template <typename T, typename Lanes>
UNIFIEDRL_HD inline void layer_norm_backward(const Lanes& lanes, int64_t columns, const T* x, const T* stat, const T* gain, const T* dy, bool relu, T* dx) {
  T mean = stat[0], inverse = stat[1], sum = 0, along = 0;
  for (int64_t f = lanes.first; f < columns; f += lanes.step) {
    T g = dy[f] * gain[f];
    sum += g;
    along += g * ((rectified(x[f], relu) - mean) * inverse);
  }
  sum = lanes.sum(sum) / T(columns);
  along = lanes.sum(along) / T(columns);
  for (int64_t f = lanes.first; f < columns; f += lanes.step) {
    T normal = (rectified(x[f], relu) - mean) * inverse;
    dx[f] = relu && x[f] <= T(0) ? T(0) : inverse * (dy[f] * gain[f] - sum - normal * along);
  }
}

}  // namespace unifiedrl
