// Adam with clipping, soft updates and copies in low precision; metrics and the step counter.
#include <algorithm>
#include <cmath>

#include "cuda/kernels.h"
#include "ops/updates.h"

namespace unifiedrl::cuda {
namespace {

constexpr int kThreads = 256;

unsigned blocks_for(int64_t work, int64_t each, int64_t most) { return static_cast<unsigned>(std::clamp<int64_t>((work + each - 1) / each, 1, most)); }

// Sum over the block, in a fixed order, for every thread. `room` is kThreads doubles of shared memory.
template <typename Room>
UNIFIEDRL_DEVICE double block_sum(double value, Room room) {
  int own = static_cast<int>(threadIdx.x);
  room[own] = value;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (own < half) {
      room[own] = room[own] + room[own + half];
    }
    __syncthreads();
  }
  double sum = room[0];
  __syncthreads();
  return sum;
}

// visit(index) for the share of a member's parameters that block blockIdx.x of gridDim.x has.
template <typename Visit>
UNIFIEDRL_DEVICE void each_parameter(const Layout& layout, int64_t member, Visit visit) {
  int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int32_t l = 0; l < layout.layers; ++l) {
    const auto& layer = layout.layer[l];
    for (int64_t k = first; k < layer.weights; k += stride) {
      visit(layer.weight + member * layer.weights + k);
    }
    for (int64_t k = first; k < layer.biases; k += stride) {
      visit(layer.bias + member * layer.biases + k);
    }
  }
}

// Grid: parts, members.
UNIFIEDRL_KERNEL void gradient_squares(UNIFIEDRL_PARAMETER Update u) {
  auto room = shared<double>(0, kThreads);
  double squares = 0;
  each_parameter(u.layout, blockIdx.y, [&](int64_t k) {
    double g = static_cast<double>(u.gradient[k]);
    squares += g * g;
  });
  squares = block_sum(squares, room);
  if (threadIdx.x == 0) {
    u.squares[blockIdx.y * gridDim.x + blockIdx.x] = squares;
  }
}

constexpr int kNormLanes = 8;     // threads that share the parts of a member's squares: a wide output layer alone has hundreds
constexpr int32_t kStopped = -2;  // instead of a member whose gradient is not finite: an op before this one met one

// Grid: parts, members.
UNIFIEDRL_KERNEL void adam_kernel(UNIFIEDRL_PARAMETER Update u, Context context) {
  auto steps = shared<AdamStep<float>>(0, 1);
  auto norms = shared<float>(sizeof(AdamStep<float>), u.members);
  auto failed = shared<int32_t>(sizeof(AdamStep<float>) + sizeof(float) * static_cast<size_t>(u.members), 1);
  // Each block finds every member's norm: cheaper than a launch that hands them out.
  int32_t lane = static_cast<int32_t>(threadIdx.x) % kNormLanes;
  for (int32_t first = 0; first < u.members; first += kThreads / kNormLanes) {
    int32_t e = first + static_cast<int32_t>(threadIdx.x) / kNormLanes;
    double squares = 0;
    for (int32_t p = lane; e < u.members && p < u.parts; p += kNormLanes) {
      squares += u.squares[static_cast<int64_t>(e) * u.parts + p];
    }
    for (int mask = kNormLanes / 2; mask > 0; mask /= 2) {
      squares += shuffle_xor(squares, mask);
    }
    if (lane == 0 && e < u.members) {
      norms[e] = static_cast<float>(squares - squares == 0 ? std::sqrt(squares) : squares);
    }
  }
  if (threadIdx.x == kThreads - 1) {  // which most likely has no norm to form
    const auto h = [&](int k) { return context.hypers[u.hypers[k]]; };
    steps[0] = adam_step<float>(h(0), h(1), h(2), h(3), h(4), quotient(context.state->done + 1, u.period));  // 0 where none is due: not used
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    int32_t first = -1;
    for (int32_t e = u.members - 1; e >= 0; --e) {
      float norm = norms[e];
      first = norm - norm == 0.0f ? first : e;
    }
    // Read once for the block: another one may set it meanwhile, and then all that are left find the same member for themselves.
    failed[0] = context.state->failed_op >= 0 ? kStopped : first;
  }
  __syncthreads();
  int32_t failing = failed[0];
  if (failing == kStopped) {
    return;
  }
  if (failing >= 0) {
    if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) {
      context.state->failed_member = failing;
      context.state->failed_op = u.op;
    }
    return;
  }
  int64_t e = blockIdx.y;
  float norm = norms[static_cast<int32_t>(e)];
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    u.norm[e] = norm;
  }
  // Whether Adam and the soft update have their turn.
  int64_t now = context.state->done + 1;
  bool moves = now % u.period == 0, due = u.target != nullptr && now % u.target_period == 0;
  if (!moves && !due) {
    return;
  }
  AdamStep<float> step = steps[0];
  float scale = static_cast<float>(clip_factor(static_cast<double>(norm), context.hypers[u.hypers[5]]));
  float w = due ? static_cast<float>(context.hypers[u.weight]) : 0.0f;
  each_parameter(u.layout, e, [&](int64_t k) {
    if (moves) {
      adam(step, scale * u.gradient[k], &u.parameter[k], &u.moment1[k], &u.moment2[k]);
    }
    float parameter = u.parameter[k];
    if (moves && u.low != nullptr) {
      u.low[k] = to_bf16(parameter);
    }
    if (due) {
      float target = unifiedrl::soft_update(parameter, u.target[k], w);
      u.target[k] = target;
      if (u.target_low != nullptr) {
        u.target_low[k] = to_bf16(target);
      }
    }
  });
}

UNIFIEDRL_KERNEL void soft_update_kernel(const float* source, float* target, bf16* target_low, int64_t elements, int64_t period, int32_t weight,
                                         Context context) {
  if (context.state->failed_op >= 0 || (context.state->done + 1) % period != 0) {
    return;
  }
  float w = static_cast<float>(context.hypers[weight]);
  int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < elements; k += stride) {
    float value = unifiedrl::soft_update(source[k], target[k], w);
    target[k] = value;
    if (target_low != nullptr) {
      target_low[k] = to_bf16(value);
    }
  }
}

UNIFIEDRL_KERNEL void copy_low_kernel(const float* parameters, bf16* low, int64_t elements) {
  int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < elements; k += stride) {
    low[k] = to_bf16(parameters[k]);
  }
}

// One block a member.
UNIFIEDRL_KERNEL void member_losses_kernel(const float* q, const float* y, int64_t rows, float* loss) {
  auto room = shared<double>(0, kThreads);
  double sum = 0;
  for (int64_t b = threadIdx.x; b < rows; b += kThreads) {
    int64_t k = blockIdx.x * rows + b;
    float difference = q[k] - y[k];
    sum += static_cast<double>(difference * difference);
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) {
    loss[blockIdx.x] = static_cast<float>(sum / static_cast<double>(rows));
  }
}

// One block: the sum has a fixed order.
UNIFIEDRL_KERNEL void normalise_kernel(const float* x, int64_t elements, int32_t scale, float* result, Context context) {
  auto room = shared<double>(0, kThreads);
  double sum = 0;
  for (int64_t k = threadIdx.x; k < elements; k += kThreads) {
    sum += static_cast<double>(std::fabs(x[k]));
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) {
    result[0] = normaliser(static_cast<float>(context.hypers[scale]), sum, elements);
  }
}

// Grid: parts of the largest metric, metrics.
UNIFIEDRL_KERNEL void metric_parts_kernel(const Metric* metrics, double* partial) {
  auto room = shared<double>(0, kThreads);
  Metric metric = metrics[blockIdx.y];
  int64_t first = blockIdx.x * kMetricPart, last = first + kMetricPart < metric.elements ? first + kMetricPart : metric.elements;
  double sum = 0;
  for (int64_t k = first + threadIdx.x; k < last; k += kThreads) {
    sum += static_cast<double>(metric.x[k]);
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) {
    partial[blockIdx.y * gridDim.x + blockIdx.x] = sum;
  }
}

constexpr int64_t kWarpMetric = 1024;  // elements that one warp sums in no more time than another launch takes

// One block; a warp takes a metric. Without `partial` it sums the tensor itself.
UNIFIEDRL_KERNEL void metrics_kernel(const Metric* metrics, int32_t count, int64_t slots, const double* partial, int64_t parts, float* ring, bool advance,
                                     Context context) {
  State* state = context.state;
  int lane = static_cast<int>(threadIdx.x) % kWarp;
  bool failed = advance && state->failed_op >= 0;
  if (!failed) {
    for (int32_t m = static_cast<int32_t>(threadIdx.x) / kWarp; m < count; m += static_cast<int32_t>(blockDim.x) / kWarp) {
      Metric metric = metrics[m];
      double sum = 0;
      if (partial != nullptr) {
        for (int64_t p = lane; p < parts; p += kWarp) {
          sum += partial[m * parts + p];
        }
      } else {
        for (int64_t k = lane; k < metric.elements; k += kWarp) {
          sum += static_cast<double>(metric.x[k]);
        }
      }
      for (int mask = kWarp / 2; mask > 0; mask /= 2) {
        sum += shuffle_xor(sum, mask);
      }
      if (lane == 0) {
        ring[(state->done - state->first) * slots + metric.slot] = static_cast<float>(sum / static_cast<double>(metric.elements));
      }
    }
  }
  __syncthreads();  // every warp has read the step's number
  if (advance && !failed && threadIdx.x == 0) {
    state->done += 1;
  }
}

}  // namespace

Layout layout_of(const Network& network) {
  Layout layout{};
  for (const Layer& layer : network.layers) {
    auto& l = layout.layer[layout.layers++];
    l.weight = layer.weight;
    l.bias = layer.bias;
    l.weights = layer.in * layer.out;
    l.biases = layer.out;
  }
  return layout;
}

void adam_update(const Update& update, const Context& context, int32_t multiprocessors, Stream& stream) {
  unsigned members = static_cast<unsigned>(update.members);
  if (!update.squared) {
    launch(gradient_squares, Dim{static_cast<unsigned>(update.parts), members}, Dim{kThreads}, kThreads * sizeof(double), stream, update);
  }
  int64_t largest = 0;
  for (int32_t l = 0; l < update.layout.layers; ++l) {
    largest = std::max(largest, update.layout.layer[l].weights);
  }
  unsigned parts = blocks_for(largest, kThreads, std::max<int64_t>(1, 16 * multiprocessors / update.members));
  launch(adam_kernel, Dim{parts, members}, Dim{kThreads}, sizeof(AdamStep<float>) + sizeof(float) * members + sizeof(int32_t), stream, update, context);
}

void soft_update(const float* source, float* target, bf16* target_low, int64_t elements, int64_t period, int32_t weight, const Context& context,
                 int32_t multiprocessors, Stream& stream) {
  launch(soft_update_kernel, Dim{blocks_for(elements, kThreads, 16 * multiprocessors)}, Dim{kThreads}, 0, stream, source, target, target_low, elements, period,
         weight, context);
}

void copy_low(const float* parameters, bf16* low, int64_t elements, int32_t multiprocessors, Stream& stream) {
  launch(copy_low_kernel, Dim{blocks_for(elements, kThreads, 16 * multiprocessors)}, Dim{kThreads}, 0, stream, parameters, low, elements);
}

void member_losses(const float* q, const float* y, int64_t members, int64_t rows, float* loss, Stream& stream) {
  launch(member_losses_kernel, Dim{static_cast<unsigned>(members)}, Dim{kThreads}, kThreads * sizeof(double), stream, q, y, rows, loss);
}

void normalise(const float* x, int64_t elements, int32_t scale, float* result, const Context& context, Stream& stream) {
  launch(normalise_kernel, Dim{1}, Dim{kThreads}, kThreads * sizeof(double), stream, x, elements, scale, result, context);
}

void step_metrics(const Metric* metrics, int32_t count, int64_t largest, int64_t slots, float* ring, double* partial, bool advance, const Context& context,
                  Stream& stream) {
  int64_t parts = (largest + kMetricPart - 1) / kMetricPart;
  bool split = largest > kWarpMetric;
  if (split) {
    launch(metric_parts_kernel, Dim{static_cast<unsigned>(parts), static_cast<unsigned>(count)}, Dim{kThreads}, kThreads * sizeof(double), stream, metrics,
           partial);
  }
  launch(metrics_kernel, Dim{1}, Dim{1024}, 0, stream, metrics, count, slots, static_cast<const double*>(split ? partial : nullptr), parts, ring, advance,
         context);
}

}  // namespace unifiedrl::cuda
