// Adam (Kingma and Ba, 2015) with decoupled decay, and the soft target update, one element at a time.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace unifiedrl {

// What a step of Adam needs beside the element's own state. Computed once a step, in double.
template <typename T>
struct AdamStep {
  T beta1, beta2;
  T rest1, rest2;           // 1 - beta1, 1 - beta2
  T step_size;              // rate / (1 - beta1^t)
  T root_correction;        // 1 / sqrt(1 - beta2^t)
  T epsilon;
  T keep;                   // 1 - rate * decay
};

// 1 - beta^t in float loses 5e-5 of the parameters within a few steps: -expm1(t log beta) in double does not. Nor may 1 - beta2 be taken in
// float: 1 - 0.999f is 1.3e-5 off.
template <typename T>
UNIFIEDRL_HD inline AdamStep<T> adam_step(double rate, double beta1, double beta2, double epsilon, double decay, int64_t t) {
  double correction1 = -std::expm1(static_cast<double>(t) * std::log(beta1));
  double correction2 = -std::expm1(static_cast<double>(t) * std::log(beta2));
  return AdamStep<T>{static_cast<T>(beta1), static_cast<T>(beta2), static_cast<T>(1 - beta1), static_cast<T>(1 - beta2), static_cast<T>(rate / correction1),
                     static_cast<T>(1 / std::sqrt(correction2)), static_cast<T>(epsilon), static_cast<T>(1 - rate * decay)};
}

template <typename T>
UNIFIEDRL_HD inline void adam(const AdamStep<T>& s, T gradient, T* parameter, T* moment1, T* moment2) {
  T m = s.beta1 * *moment1 + s.rest1 * gradient;
  T v = s.beta2 * *moment2 + s.rest2 * gradient * gradient;
  *moment1 = m;
  *moment2 = v;
  *parameter = s.keep * *parameter - s.step_size * m / (std::sqrt(v) * s.root_correction + s.epsilon);
}

// Factor that brings a gradient of norm `norm` within `clip`; 1 where clip is 0.
UNIFIEDRL_HD inline double clip_factor(double norm, double clip) {
  if (!(clip > 0)) {
    return 1;
  }
  double factor = clip / (norm + 1e-6);
  return factor < 1 ? factor : 1;
}

template <typename T>
UNIFIEDRL_HD inline T soft_update(T source, T target, T w) {
  return w * source + (T(1) - w) * target;
}

}  // namespace unifiedrl
