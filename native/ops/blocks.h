// The building blocks of other algorithms, UNIFIEDRL_OP_NOISE to UNIFIEDRL_OP_EXPECTILE of unifiedrl.h: what every back end computes. A back end
// says where the tensors lie and which rows to go through; rows of the first output are independent of each other.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"
#include "ops/gaussian.h"
#include "ops/losses.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "unifiedrl.h"

namespace unifiedrl {

UNIFIEDRL_HD inline bool is_block(int32_t code) { return code >= UNIFIEDRL_OP_NOISE && code <= UNIFIEDRL_OP_EXPECTILE; }

// Whether rows of the first output depend on other rows of what is read.
UNIFIEDRL_HD inline bool reads_other_rows(int32_t code) {
  return code == UNIFIEDRL_OP_ROW_REDUCE || code == UNIFIEDRL_OP_REPEAT || code == UNIFIEDRL_OP_CONCAT_ROWS || code == UNIFIEDRL_OP_SLICE ||
         code == UNIFIEDRL_OP_RESHAPE;
}

// a / b of numbers that are not negative; on devices, and older processors, a division of 64 bits takes several times as long as one of 32.
UNIFIEDRL_HD inline int64_t quotient(int64_t a, int64_t b) {
  return ((a | b) >> 32) == 0 ? static_cast<int64_t>(static_cast<uint32_t>(a) / static_cast<uint32_t>(b)) : a / b;
}

// A tensor [E, B, F]; where it has one member, row or column, all share it.
template <typename T>
struct View {
  T* data;  // null: none
  int64_t member, row, column;
  UNIFIEDRL_HD T& operator()(int64_t e, int64_t b, int64_t f) const { return data[e * member + b * row + f * column]; }
};

template <typename T>
struct Block {
  int32_t code;
  int32_t h[3];                    // hyper-parameters
  int64_t i[3];
  int64_t members, rows, columns;  // of the first output
  int64_t height, width;           // rows and columns of the first tensor
  View<T> t[6];
};

// Runs a block on the rows of `range`, which gives
//   range.each(members, columns, visit): visit(e, b, f) for each of its rows b, e < members, f < columns, in any order;
//   range.hyper(slot): a hyper-parameter as T;  range.seed(), range.step().
#if defined(__CUDACC__)
#pragma nv_exec_check_disable  // a range on the device is of no use to the host
#endif
template <typename T, typename Range>
UNIFIEDRL_HD inline void run_block(const Block<T>& op, const Range& range) {
  const View<T>* t = op.t;
  const auto hyper = [&](int k) -> T { return range.hyper(op.h[k]); };
  switch (op.code) {
    case UNIFIEDRL_OP_NOISE: {
      const T scale = hyper(0), limit = hyper(1);
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) {
        int64_t element = (e * op.rows + b) * op.columns + f;
        T value = scale * static_cast<T>(op.i[1] == 0 ? normal_noise(range.seed(), range.step(), op.i[0], element)
                                                      : uniform_noise(range.seed(), range.step(), op.i[0], element));
        t[0](e, b, f) = limit > T(0) ? cut(value, -limit, limit) : value;
      });
      return;
    }
    case UNIFIEDRL_OP_CLIP: {
      const T low = hyper(0), high = hyper(1);
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) {
        T x = t[0](e, b, f);
        t[1](e, b, f) = cut(x, low, high);
        t[2](e, b, f) = low <= x && x <= high ? T(1) : T(0);
      });
      return;
    }
    case UNIFIEDRL_OP_COMBINE: {
      const T a = hyper(0), b_ = hyper(1), c = hyper(2);
      if (t[1].data == nullptr) {
        range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) { t[2](e, b, f) = a * t[0](e, b, f) + c; });
      } else {
        range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) { t[2](e, b, f) = a * t[0](e, b, f) + b_ * t[1](e, b, f) + c; });
      }
      return;
    }
    case UNIFIEDRL_OP_MULTIPLY:
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) { t[2](e, b, f) = t[0](e, b, f) * t[1](e, b, f); });
      return;
    case UNIFIEDRL_OP_GROUP_EXTREME: {
      const T w = hyper(0);
      const int64_t m = op.i[0];
      range.each(op.members, op.columns, [&](int64_t g, int64_t b, int64_t f) {
        t[1](g, b, f) = weighted_extreme<T>(
            m, w, [&](int64_t j) { return t[0](g * m + j, b, f); }, [&](int64_t j, T share) { t[2](g * m + j, b, f) = share; });
      });
      return;
    }
    case UNIFIEDRL_OP_ROW_REDUCE: {
      const T temperature = hyper(0);
      const int64_t n = op.i[0], across = op.columns == 1 ? op.width : 1;  // columns that go into one element
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) {
        const auto place = [&](const View<T>& view, int64_t k) -> T& {
          int64_t row = quotient(k, across);
          return view(e, b * n + row, f + (k - row * across));
        };
        t[1](e, b, f) = reduced<T>(
            op.i[1], n * across, temperature, [&](int64_t k) { return place(t[0], k); }, [&](int64_t k, T share) { place(t[2], k) = share; });
      });
      return;
    }
    case UNIFIEDRL_OP_REPEAT:
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) { t[1](e, b, f) = t[0](e, quotient(b, op.i[0]), f); });
      return;
    case UNIFIEDRL_OP_CONCAT_ROWS:
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) {
        t[2](e, b, f) = b < op.height ? t[0](e, b, f) : t[1](e, b - op.height, f);
      });
      return;
    case UNIFIEDRL_OP_SLICE:
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) { t[1](e, b, f) = t[0](op.i[0] + e, op.i[1] + b, op.i[2] + f); });
      return;
    case UNIFIEDRL_OP_RESHAPE:  // both lie in the same order
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) {
        int64_t k = b * op.columns + f;
        t[1].data[e * t[1].member + k] = t[0].data[e * t[0].member + k];
      });
      return;
    case UNIFIEDRL_OP_GAUSSIAN_SAMPLE: {
      const T low = hyper(0), high = hyper(1);
      const int64_t dimensions = op.width / 2;
      range.each(op.members, 1, [&](int64_t e, int64_t b, int64_t) {
        T sum = 0;
        for (int64_t k = 0; k < dimensions; ++k) {
          Gaussian<T> g = gaussian(t[0](e, b, k), t[0](e, b, dimensions + k), low, high);
          T z = t[1](e, b, k), u = g.mean + g.sd * z;
          sum += log_density(z, g.log_sd) - (op.i[0] == 1 ? log_tanh_slope(u) : T(0));
          t[2](e, b, k) = op.i[0] == 1 ? std::tanh(u) : u;
        }
        t[3](e, b, 0) = sum;
      });
      return;
    }
    case UNIFIEDRL_OP_GAUSSIAN_SAMPLE_BACKWARD: {
      const T low = hyper(0), high = hyper(1);
      const int64_t dimensions = op.width / 2;
      range.each(op.members, dimensions, [&](int64_t e, int64_t b, int64_t k) {
        Gaussian<T> g = gaussian(t[0](e, b, k), t[0](e, b, dimensions + k), low, high);
        T deviation = g.sd * t[1](e, b, k), du = 0, dlog_prob = 0;
        if (t[3].data != nullptr) {
          du = t[3](e, b, k) * (op.i[0] == 1 ? tanh_slope(g.mean + deviation) : T(1));
        }
        if (t[4].data != nullptr) {
          dlog_prob = t[4](e, b, 0);
          du += op.i[0] == 1 ? dlog_prob * T(2) * t[2](e, b, k) : T(0);
        }
        t[5](e, b, k) = du;
        t[5](e, b, dimensions + k) = log_sd_gradient(g, du * deviation - dlog_prob);
      });
      return;
    }
    case UNIFIEDRL_OP_GAUSSIAN_LOG_PROB: {
      const T low = hyper(0), high = hyper(1);
      const int64_t dimensions = op.width / 2;
      range.each(op.members, 1, [&](int64_t e, int64_t b, int64_t) {
        T sum = 0;
        for (int64_t k = 0; k < dimensions; ++k) {
          Gaussian<T> g = gaussian(t[0](e, b, k), t[0](e, b, dimensions + k), low, high);
          double action = static_cast<double>(t[1](e, b, k)), u = op.i[0] == 1 ? unsquashed(action) : action;
          T z = standardised(g, u);
          sum += log_density(z, g.log_sd) - (op.i[0] == 1 ? log_tanh_slope(static_cast<T>(u)) : T(0));
          t[3](e, b, k) = z / g.sd;
          t[3](e, b, dimensions + k) = log_sd_gradient(g, z * z - T(1));
        }
        t[2](e, b, 0) = sum;
      });
      return;
    }
    case UNIFIEDRL_OP_GAUSSIAN_KL: {
      const T low = hyper(0), high = hyper(1);
      const int64_t dimensions = op.width / 2;
      range.each(op.members, 1, [&](int64_t e, int64_t b, int64_t) {
        T sum = 0;
        for (int64_t k = 0; k < dimensions; ++k) {
          Gaussian<T> g = gaussian(t[0](e, b, k), t[0](e, b, dimensions + k), low, high);
          T excess_variance = std::expm1(T(2) * g.log_sd);
          sum += divergence(g, excess_variance);
          t[2](e, b, k) = g.mean;
          t[2](e, b, dimensions + k) = log_sd_gradient(g, excess_variance);
        }
        t[1](e, b, 0) = sum;
      });
      return;
    }
    case UNIFIEDRL_OP_EXP_WEIGHT: {
      const T beta = hyper(0), cap = hyper(1);
      range.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) {
        t[2](e, b, f) = exp_weight(t[0](e, b, f) - (t[1].data == nullptr ? T(0) : t[1](e, b, f)), beta, cap);
      });
      return;
    }
    case UNIFIEDRL_OP_EXPECTILE: {
      const T tau = hyper(0);
      range.each(op.members, 1, [&](int64_t e, int64_t b, int64_t) {
        T difference = t[0](e, b, 0) - t[1](e, b, 0), weight = expectile_weight(difference, tau);
        t[2](e, b, 0) = weight * difference * difference;
        t[3](e, b, 0) = T(-2) * weight * difference / static_cast<T>(op.rows);
      });
      return;
    }
  }
}

}  // namespace unifiedrl
