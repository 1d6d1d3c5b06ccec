// The box around the served policy (specification section 0): excess, penalty d with its gradient, attenuation phi.
#pragma once

#include <cmath>

#include "ops/device.h"

namespace unifiedrl {

constexpr double kBoxExponentLimit = 8;  // exp(omega x) is clamped there: beyond, the penalty is constant and its gradient 0

// x = max(a - hi, lo - a, 0) / (hi - lo): how far outside the box, in box widths. A box of width 0 is its one point: any distance from it is
// infinite. NaN in, NaN out: a broken value must reach the finite check.
template <typename T>
UNIFIEDRL_HD inline T box_excess(T a, T lo, T hi) {
  T above = a - hi, below = lo - a;
  T outside = above > below ? above : below;
  outside = above == above ? outside : above;
  return outside <= T(0) ? T(0) : outside / (hi - lo);
}

// One dimension of d(a); gradient receives dd/da. `exact` jumps from 0 to 1 at the edge, as the paper prints it; both forms have the same gradient.
template <typename T>
UNIFIEDRL_HD inline T box_penalty(T a, T lo, T hi, T omega, bool exact, T* gradient) {
  T x = box_excess(a, lo, hi);
  *gradient = T(0);
  if (x <= T(0)) {
    return T(0);
  }
  T exponent = omega * x;
  bool clamped = exponent > T(kBoxExponentLimit);
  T e = std::exp(clamped ? T(kBoxExponentLimit) : exponent);
  if (!clamped) {
    *gradient = (a > hi ? T(1) : T(-1)) * omega / (hi - lo) * e;
  }
  return exact ? e : std::expm1(clamped ? T(kBoxExponentLimit) : exponent);
}

// phi from the summed excess of all dimensions; beta where theta is 0, however large the excess.
template <typename T>
UNIFIEDRL_HD inline T attenuation(T excess_sum, T beta, T theta) {
  if (excess_sum <= T(0)) {
    return T(1);
  }
  return theta == T(0) && excess_sum > T(0) ? beta : beta * std::exp(-theta * excess_sum);
}

}  // namespace unifiedrl
