#include "reference/reference.h"

#include <algorithm>
#include <cmath>

#include "core/blocks.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/options.h"
#include "ops/box.h"
#include "ops/diversity.h"
#include "ops/losses.h"
#include "ops/normalisation.h"
#include "ops/random.h"
#include "ops/updates.h"

namespace unifiedrl::reference {

template <typename T>
ReferenceExecutor<T>::ReferenceExecutor(const Program& program, const Replay* replay) : program_(program), replay_(replay) {
  int64_t widest = 1, deepest = 0, members = 0;
  for (const Op& op : program.ops) {
    if (op.code == UNIFIEDRL_OP_DIVERSITY) {
      members = std::max(members, info(op, 0).members);
      widest = std::max(widest, info(op, 0).columns);
    } else if (op.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT) {
      deepest = std::max(deepest, network(op).inputs() + network(op).hidden());
    }
  }
  for (const Tensor& t : program.tensors) {
    bytes_ += t.elements() * static_cast<int64_t>(t.kind == UNIFIEDRL_TENSOR_ROWS ? sizeof(int64_t) : sizeof(T));
  }
  for (const Network& n : program.networks) {
    bytes_ += n.size * static_cast<int64_t>(sizeof(T)) * (n.trained ? 4 : 1);
    for (const Layer& layer : n.layers) {
      widest = std::max({widest, layer.in, layer.out});
    }
  }
  bytes_ += (2 * widest + deepest + members) * static_cast<int64_t>(sizeof(T));
  check_memory(bytes_, "the program");
  tensors_.resize(program.tensors.size());
  rows_.resize(program.tensors.size());
  for (size_t k = 0; k < program.tensors.size(); ++k) {
    size_t elements = static_cast<size_t>(program.tensors[k].elements());
    program.tensors[k].kind == UNIFIEDRL_TENSOR_ROWS ? rows_[k].resize(elements) : tensors_[k].resize(elements);
  }
  networks_.resize(program.networks.size());
  for (size_t k = 0; k < program.networks.size(); ++k) {
    for (int32_t s = 0; s < (program.networks[k].trained ? 4 : 1); ++s) {
      networks_[k].sections[s].resize(static_cast<size_t>(program.networks[k].size));
    }
  }
  above_.resize(static_cast<size_t>(widest));
  below_.resize(static_cast<size_t>(widest));
  tangent_.resize(static_cast<size_t>(deepest));
  inverse_.resize(static_cast<size_t>(members));
}

template <typename T>
void ReferenceExecutor<T>::run(Run& run) {
  each_step(run, program_.metric_slots, [&](const StepContext& context) {
    for (size_t k = run.first_op; k < run.last_op; ++k) {
      run_op(program_.ops[k], context);
    }
  });
}

template <typename T>
void ReferenceExecutor<T>::run_op(const Op& op, const StepContext& context) {
  switch (op.code) {
    case UNIFIEDRL_OP_SAMPLE: sample(op, context); break;
    case UNIFIEDRL_OP_GATHER: gather(op); break;
    case UNIFIEDRL_OP_CONCAT: concat(op); break;
    case UNIFIEDRL_OP_MLP_FORWARD: mlp_forward(op); break;
    case UNIFIEDRL_OP_MLP_BACKWARD: mlp_backward(op); break;
    case UNIFIEDRL_OP_MLP_BACKWARD_INPUT: mlp_backward_input(op); break;
    case UNIFIEDRL_OP_MEMBER_SUM: member_sum(op); break;
    case UNIFIEDRL_OP_ADD: {
      const T *x = data(op.t[0]), *y = data(op.t[1]);
      std::transform(x, x + info(op, 0).elements(), y, data(op.t[2]), [](T a, T b) { return a + b; });
      break;
    }
    case UNIFIEDRL_OP_ATTENUATION: attenuate(op, context); break;
    case UNIFIEDRL_OP_TD_TARGET: td_targets(op, context); break;
    case UNIFIEDRL_OP_SQUARED_ERROR: squared_error(op); break;
    case UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE: ensemble_objective(op, context); break;
    case UNIFIEDRL_OP_BOX_PENALTY: box_penalties(op, context); break;
    case UNIFIEDRL_OP_ADAM: adam_update(op, context); break;
    case UNIFIEDRL_OP_SOFT_UPDATE: soft_updates(op, context); break;
    case UNIFIEDRL_OP_METRIC: metric(op, context); break;
    case UNIFIEDRL_OP_NORMALISER: {
      double sum = 0;
      for (int64_t i = 0; i < info(op, 0).elements(); ++i) {
        sum += std::abs(static_cast<double>(data(op.t[0])[i]));
      }
      data(op.t[1])[0] = normaliser(hyper(op, context, 0), sum, info(op, 0).elements());
      break;
    }
    case UNIFIEDRL_OP_LAYER_NORM: normalise_layer(op, context); break;
    case UNIFIEDRL_OP_LAYER_NORM_BACKWARD: normalise_layer_backward(op); break;
    case UNIFIEDRL_OP_DIVERSITY: gradient_diversity(op); break;
    case UNIFIEDRL_OP_MLP_BACKWARD_TANGENT: mlp_backward_tangent(op); break;
    default: block(op, context); break;
  }
}

template <typename T>
void ReferenceExecutor<T>::block(const Op& op, const StepContext& context) {
  Block<T> b = block_of<T>(program_, op, [&](int32_t tensor) { return data(tensor); });
  run_block(b, HostRows<T>{context, 0, b.rows});
}

template <typename T>
void ReferenceExecutor<T>::sample(const Op& op, const StepContext& context) {
  std::vector<int64_t>& rows = rows_[static_cast<size_t>(op.t[0])];
  for (size_t b = 0; b < rows.size(); ++b) {
    rows[b] = sample_row(context.seed, context.step, op.i[0], static_cast<int64_t>(b), replay_->rows());
  }
}

template <typename T>
void ReferenceExecutor<T>::gather(const Op& op) {
  int64_t columns = info(op, 3).columns;
  T* out = data(op.t[3]);
  for (int64_t row : rows_[static_cast<size_t>(op.t[0])]) {
    const Replay::Segment& segment = replay_->segments()[replay_->segment_of(row)];
    int64_t at = row - segment.first_row;
    at += op.i[1] == 1 && segment.last[at] == 0 ? 1 : 0;
    for (int64_t f = 0; f < columns; ++f) {
      T value = op.i[0] == UNIFIEDRL_LAST_COLUMN ? static_cast<T>(segment.last[at])
                                                 : static_cast<T>(segment.columns[static_cast<size_t>(op.i[0])][at * columns + f]);
      value -= op.t[1] == UNIFIEDRL_NONE ? T(0) : data(op.t[1])[f];
      *out++ = op.t[2] == UNIFIEDRL_NONE ? value : value * data(op.t[2])[f];
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::concat(const Op& op) {
  const Tensor &x = info(op, 0), &y = info(op, 1);
  for (int64_t r = 0; r < x.members * x.rows; ++r) {
    T* out = std::copy_n(data(op.t[0]) + r * x.columns, x.columns, data(op.t[2]) + r * (x.columns + y.columns));
    std::copy_n(data(op.t[1]) + r * y.columns, y.columns, out);
  }
}

template <typename T>
void ReferenceExecutor<T>::mlp_forward(const Op& op) {
  const Network& n = network(op);
  const T* parameters = section(op, UNIFIEDRL_PARAMETERS);
  bool taped = op.t[2] != UNIFIEDRL_NONE, signs = taped && info(op, 2).kind == UNIFIEDRL_TENSOR_SIGNS;
  for (int64_t e = 0; e < n.members; ++e) {
    const T* x = member(op, 0, e);
    T* y = member(op, 1, e);
    T* tape = taped ? member(op, 2, e) : nullptr;
    for (int64_t b = 0; b < info(op, 0).rows; ++b, x += n.inputs(), y += n.outputs()) {
      std::copy_n(x, n.inputs(), below_.begin());
      for (size_t l = 0; l < n.layers.size(); ++l) {
        const Layer& layer = n.layers[l];
        const T* weight = parameters + layer.weight + e * layer.in * layer.out;
        const T* bias = parameters + layer.bias + e * layer.out;
        bool hidden = l + 1 < n.layers.size();
        for (int64_t j = 0; j < layer.out; ++j) {
          T z = bias[j];
          for (int64_t i = 0; i < layer.in; ++i) {
            z += below_[static_cast<size_t>(i)] * weight[i * layer.out + j];
          }
          if (hidden) {
            z = z < T(0) ? T(0) : z;  // NaN stays NaN, for the finite check
          } else if (n.activation == UNIFIEDRL_TANH) {
            z = std::tanh(z);
          }
          above_[static_cast<size_t>(j)] = z;
          if (hidden && taped) {
            *tape++ = signs ? (z <= T(0) ? T(0) : T(1)) : z;
          }
        }
        std::swap(above_, below_);
      }
      std::copy_n(below_.begin(), n.outputs(), y);
    }
  }
}

// below_ = gradient with respect to the last layer's sums, for one row.
template <typename T>
static void output_gradient(const Network& n, const T* y, const T* dy, std::vector<T>& below) {
  for (int64_t j = 0; j < n.outputs(); ++j) {
    below[static_cast<size_t>(j)] = n.activation == UNIFIEDRL_TANH ? dy[j] * (T(1) - y[j] * y[j]) : dy[j];
  }
}

// below = gradient with respect to a layer's inputs [first, first + count) from that of its sums, 0 where the unit under it is off.
template <typename T>
static void layer_gradient(const Layer& layer, const T* weight, int64_t first, int64_t count, const T* on, std::vector<T>& sums,
                           std::vector<T>& below) {
  for (int64_t i = 0; i < count; ++i) {
    T g = 0;
    for (int64_t j = 0; j < layer.out; ++j) {
      g += weight[(first + i) * layer.out + j] * sums[static_cast<size_t>(j)];
    }
    below[static_cast<size_t>(i)] = on != nullptr && on[i] <= T(0) ? T(0) : g;
  }
  std::swap(sums, below);
}

template <typename T>
void ReferenceExecutor<T>::mlp_backward(const Op& op) {
  const Network& n = network(op);
  const T* parameters = section(op, UNIFIEDRL_PARAMETERS);
  T* gradients = section(op, UNIFIEDRL_GRADIENTS);
  std::fill_n(gradients, n.size, T(0));
  for (int64_t e = 0; e < n.members; ++e) {
    for (int64_t b = 0; b < info(op, 0).rows; ++b) {
      output_gradient(n, member(op, 1, e) + b * n.outputs(), member(op, 3, e) + b * n.outputs(), below_);
      const T* tape_end = n.hidden() == 0 ? nullptr : member(op, 2, e) + (b + 1) * n.hidden();
      for (size_t l = n.layers.size(); l-- > 0;) {
        const Layer& layer = n.layers[l];
        tape_end -= l == 0 ? 0 : layer.in;
        const T* in = l == 0 ? member(op, 0, e) + b * n.inputs() : tape_end;
        T* weight = gradients + layer.weight + e * layer.in * layer.out;
        T* bias = gradients + layer.bias + e * layer.out;
        for (int64_t j = 0; j < layer.out; ++j) {
          bias[j] += below_[static_cast<size_t>(j)];
          for (int64_t i = 0; i < layer.in; ++i) {
            weight[i * layer.out + j] += in[i] * below_[static_cast<size_t>(j)];
          }
        }
        if (l > 0) {
          layer_gradient(layer, parameters + layer.weight + e * layer.in * layer.out, 0, layer.in, in, below_, above_);
        }
      }
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::mlp_backward_input(const Op& op) {
  const Network& n = network(op);
  const T* parameters = section(op, UNIFIEDRL_PARAMETERS);
  int64_t columns = info(op, 3).columns;
  for (int64_t e = 0; e < n.members; ++e) {
    for (int64_t b = 0; b < info(op, 0).rows; ++b) {
      output_gradient(n, member(op, 0, e) + b * n.outputs(), member(op, 2, e) + b * n.outputs(), below_);
      const T* tape_end = n.hidden() == 0 ? nullptr : member(op, 1, e) + (b + 1) * n.hidden();
      for (size_t l = n.layers.size(); l-- > 0;) {
        const Layer& layer = n.layers[l];
        tape_end -= l == 0 ? 0 : layer.in;
        const T* weight = parameters + layer.weight + e * layer.in * layer.out;
        layer_gradient(layer, weight, l == 0 ? op.i[0] : 0, l == 0 ? columns : layer.in, l == 0 ? nullptr : tape_end, below_, above_);
      }
      std::copy_n(below_.begin(), columns, member(op, 3, e) + b * columns);
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::member_sum(const Op& op) {
  const Tensor& x = info(op, 0);
  for (int64_t i = 0; i < x.rows * x.columns; ++i) {
    T sum = 0;
    for (int64_t e = 0; e < x.members; ++e) {
      sum += member(op, 0, e)[i];
    }
    data(op.t[1])[i] = sum;
  }
}

template <typename T>
void ReferenceExecutor<T>::attenuate(const Op& op, const StepContext& context) {
  const Tensor& a = info(op, 0);
  for (int64_t b = 0, k = 0; b < a.rows; ++b) {
    T excess = 0;
    for (int64_t f = 0; f < a.columns; ++f, ++k) {
      excess += box_excess(data(op.t[0])[k], data(op.t[1])[k], data(op.t[2])[k]);
    }
    data(op.t[3])[b] = attenuation(excess, hyper(op, context, 0), hyper(op, context, 1));
  }
}

template <typename T>
void ReferenceExecutor<T>::td_targets(const Op& op, const StepContext& context) {
  const Tensor& q = info(op, 3);
  int64_t groups = info(op, 0).columns;
  for (int64_t e = 0; e < q.members; ++e) {
    for (int64_t b = 0; b < q.rows; ++b) {
      T phi = op.t[2] == UNIFIEDRL_NONE ? T(1) : data(op.t[2])[b];
      member(op, 4, e)[b] =
          td_target(data(op.t[0])[b * groups + e / op.i[0]], data(op.t[1])[b], phi, member(op, 3, e)[b], hyper(op, context, 0));
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::squared_error(const Op& op) {
  const Tensor& q = info(op, 0);
  for (int64_t e = 0; e < q.members; ++e) {
    T sum = 0;
    for (int64_t b = 0; b < q.rows; ++b) {
      T difference = member(op, 0, e)[b] - member(op, 1, e)[b];
      member(op, 2, e)[b] = T(2) * difference / T(q.rows);
      sum += difference * difference;
    }
    member(op, 3, e)[0] = sum / T(q.rows);
  }
}

template <typename T>
void ReferenceExecutor<T>::ensemble_objective(const Op& op, const StepContext& context) {
  const Tensor& q = info(op, 0);
  int64_t m = op.i[0], groups = q.members / m;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t b = 0; b < q.rows; ++b) {
      T mean, deviation;
      group_moments(member(op, 0, g * m) + b, m, q.rows, &mean, &deviation);
      for (int64_t e = g * m; e < (g + 1) * m; ++e) {
        member(op, 2, e)[b] =
            group_gradient(member(op, 0, e)[b], mean, deviation, data(op.t[1])[g], hyper(op, context, 0), m, q.rows);
      }
      data(op.t[3])[b * groups + g] = mean;
      data(op.t[4])[b * groups + g] = deviation;
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::box_penalties(const Op& op, const StepContext& context) {
  const Tensor& a = info(op, 0);
  for (int64_t b = 0, k = 0; b < a.rows; ++b) {
    T sum = 0;
    bool inside = true;
    for (int64_t f = 0; f < a.columns; ++f, ++k) {
      T action = data(op.t[0])[k], lo = data(op.t[1])[k], hi = data(op.t[2])[k], gradient;
      sum += box_penalty(action, lo, hi, hyper(op, context, 1), op.i[0] == 1, &gradient);
      inside = inside && box_excess(action, lo, hi) <= T(0);
      data(op.t[3])[k] = hyper(op, context, 0) * gradient / T(a.rows);
    }
    data(op.t[4])[b] = sum;
    data(op.t[5])[b] = inside ? T(1) : T(0);
  }
}

template <typename T>
void ReferenceExecutor<T>::adam_update(const Op& op, const StepContext& context) {
  const Network& n = network(op);
  const T* gradients = section(op, UNIFIEDRL_GRADIENTS);
  // Every member's norm first: a gradient that is not finite stops the run before anything changes.
  for (int64_t e = 0; e < n.members; ++e) {
    double squares = 0;
    for (const Layer& layer : n.layers) {
      for (int64_t i = 0; i < layer.in * layer.out; ++i) {
        double g = static_cast<double>(gradients[layer.weight + e * layer.in * layer.out + i]);
        squares += g * g;
      }
      for (int64_t i = 0; i < layer.out; ++i) {
        double g = static_cast<double>(gradients[layer.bias + e * layer.out + i]);
        squares += g * g;
      }
    }
    if (!std::isfinite(squares)) {
      throw Error(UNIFIEDRL_NOT_FINITE,
                  format("op '%s' at step %lld: the gradient of network '%s', member %lld, is not finite; lower the learning rate, or look for "
                         "values in the data that are too large",
                         op.name.c_str(), static_cast<long long>(context.step), n.name.c_str(), static_cast<long long>(e)));
    }
    data(op.t[0])[e] = static_cast<T>(std::sqrt(squares));
  }
  if (context.step % op.i[0] != 0) {
    return;
  }
  const auto h = [&](size_t k) { return context.hypers[op.h[k]]; };
  AdamStep<T> step = adam_step<T>(h(0), h(1), h(2), h(3), h(4), context.step / op.i[0]);
  T *parameters = section(op, UNIFIEDRL_PARAMETERS), *moment1 = section(op, UNIFIEDRL_MOMENT1), *moment2 = section(op, UNIFIEDRL_MOMENT2);
  for (int64_t e = 0; e < n.members; ++e) {
    T scale = static_cast<T>(clip_factor(static_cast<double>(data(op.t[0])[e]), h(5)));
    const auto update = [&](int64_t offset, int64_t count) {
      for (int64_t i = offset; i < offset + count; ++i) {
        adam(step, scale * gradients[i], &parameters[i], &moment1[i], &moment2[i]);
      }
    };
    for (const Layer& layer : n.layers) {
      update(layer.weight + e * layer.in * layer.out, layer.in * layer.out);
      update(layer.bias + e * layer.out, layer.out);
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::soft_updates(const Op& op, const StepContext& context) {
  if (context.step % op.i[0] != 0) {
    return;
  }
  T* target = section(op, UNIFIEDRL_PARAMETERS);
  const T* source = section(op, UNIFIEDRL_PARAMETERS, 1);
  for (int64_t i = 0; i < network(op).size; ++i) {
    target[i] = soft_update(source[i], target[i], hyper(op, context, 0));
  }
}

template <typename T>
void ReferenceExecutor<T>::metric(const Op& op, const StepContext& context) {
  double sum = 0;
  for (int64_t i = 0; i < info(op, 0).elements(); ++i) {
    sum += static_cast<double>(data(op.t[0])[i]);
  }
  context.metrics[op.i[0]] = static_cast<float>(sum / static_cast<double>(info(op, 0).elements()));
}

template <typename T>
void ReferenceExecutor<T>::normalise_layer(const Op& op, const StepContext& context) {
  const Tensor& x = info(op, 0);
  const Layer& affine = network(op).layers[0];
  const T* parameters = section(op, UNIFIEDRL_PARAMETERS);
  for (int64_t e = 0; e < x.members; ++e) {
    const T *gain = parameters + affine.weight + e * x.columns, *bias = parameters + affine.bias + e * x.columns;
    for (int64_t b = 0; b < x.rows; ++b) {
      int64_t at = b * x.columns;
      layer_norm(OneLane(), x.columns, member(op, 0, e) + at, gain, bias, op.i[0] == 1, hyper(op, context, 0), member(op, 1, e) + at,
                 member(op, 2, e) + 2 * b);
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::normalise_layer_backward(const Op& op) {
  const Tensor& tensor = info(op, 0);
  const Layer& affine = network(op).layers[0];
  const T* parameters = section(op, UNIFIEDRL_PARAMETERS);
  bool relu = op.i[0] == 1, forms_gradients = op.i[1] == 1;
  if (forms_gradients) {
    std::fill_n(section(op, UNIFIEDRL_GRADIENTS), network(op).size, T(0));
  }
  for (int64_t e = 0; e < tensor.members; ++e) {
    const T* gain = parameters + affine.weight + e * tensor.columns;
    for (int64_t b = 0; b < tensor.rows; ++b) {
      int64_t at = b * tensor.columns;
      const T *x = member(op, 0, e) + at, *stat = member(op, 1, e) + 2 * b, *dy = member(op, 2, e) + at;
      layer_norm_backward(OneLane(), tensor.columns, x, stat, gain, dy, relu, member(op, 3, e) + at);
      if (forms_gradients) {
        T *dgain = section(op, UNIFIEDRL_GRADIENTS) + affine.weight + e * tensor.columns;
        T *dbias = section(op, UNIFIEDRL_GRADIENTS) + affine.bias + e * tensor.columns;
        for (int64_t f = 0; f < tensor.columns; ++f) {
          dgain[f] += dy[f] * ((rectified(x[f], relu) - stat[0]) * stat[1]);
          dbias[f] += dy[f];
        }
      }
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::gradient_diversity(const Op& op) {
  const Tensor& g = info(op, 0);
  for (int64_t b = 0; b < g.rows; ++b) {
    int64_t at = b * g.columns;
    for (int64_t e = 0; e < g.members; ++e) {
      inverse_[static_cast<size_t>(e)] = inverse_norm(member(op, 0, e) + at, g.columns);
    }
    for (int64_t f = 0; f < g.columns; ++f) {
      above_[static_cast<size_t>(f)] = direction_sum(data(op.t[0]) + at + f, g.rows * g.columns, inverse_.data(), 1, g.members);
    }
    data(op.t[1])[b] = diversity(above_.data(), g.columns, inverse_.data(), 1, g.members);
    for (int64_t e = 0; e < g.members; ++e) {
      diversity_gradient(member(op, 0, e) + at, inverse_[static_cast<size_t>(e)], above_.data(), g.columns, g.members, g.rows, member(op, 2, e) + at);
    }
  }
}

template <typename T>
void ReferenceExecutor<T>::mlp_backward_tangent(const Op& op) {
  const Network& n = network(op);
  const T* parameters = section(op, UNIFIEDRL_PARAMETERS);
  int64_t columns = info(op, 3).columns;
  for (int64_t e = 0; e < n.members; ++e) {
    for (int64_t b = 0; b < info(op, 0).rows; ++b) {
      const T* tape = n.hidden() == 0 ? nullptr : member(op, 1, e) + b * n.hidden();
      // Along the direction through the layers: hdot_0 = direction, hdot_l = [h_l > 0] (hdot_(l-1) W_l).
      std::fill_n(tangent_.begin(), n.inputs(), T(0));
      std::copy_n(member(op, 3, e) + b * columns, columns, tangent_.begin() + op.i[0]);
      T* in = tangent_.data();
      for (size_t l = 0; l + 1 < n.layers.size(); ++l) {
        const Layer& layer = n.layers[l];
        const T* weight = parameters + layer.weight + e * layer.in * layer.out;
        T* out = in + layer.in;
        for (int64_t j = 0; j < layer.out; ++j, ++tape) {
          T sum = 0;
          for (int64_t i = 0; i < layer.in; ++i) {
            sum += in[i] * weight[i * layer.out + j];
          }
          out[j] = *tape <= T(0) ? T(0) : sum;
        }
        in = out;
      }
      // And back as in op 5: dW_l += hdot_(l-1)^T dz_l.
      std::copy_n(member(op, 2, e) + b * n.outputs(), n.outputs(), below_.begin());
      for (size_t l = n.layers.size(); l-- > 0;) {
        const Layer& layer = n.layers[l];
        T* gradient = section(op, UNIFIEDRL_GRADIENTS) + layer.weight + e * layer.in * layer.out;
        for (int64_t i = 0; i < layer.in; ++i) {
          for (int64_t j = 0; j < layer.out; ++j) {
            gradient[i * layer.out + j] += in[i] * below_[static_cast<size_t>(j)];
          }
        }
        if (l > 0) {
          tape -= layer.in;
          layer_gradient(layer, parameters + layer.weight + e * layer.in * layer.out, 0, layer.in, tape, below_, above_);
          in -= n.layers[l - 1].in;
        }
      }
    }
  }
}

template <typename From, typename To>
static void copy(const From* from, int64_t n, To* to) {
  std::transform(from, from + n, to, [](From x) { return static_cast<To>(x); });
}

template <typename T>
void ReferenceExecutor<T>::read_network(int32_t network, int32_t section, double* destination) const {
  const std::vector<T>& s = networks_[static_cast<size_t>(network)].sections[section];
  copy(s.data(), static_cast<int64_t>(s.size()), destination);
}

template <typename T>
void ReferenceExecutor<T>::read_network(int32_t network, int32_t section, float* destination) const {
  const std::vector<T>& s = networks_[static_cast<size_t>(network)].sections[section];
  copy(s.data(), static_cast<int64_t>(s.size()), destination);
}

template <typename T>
void ReferenceExecutor<T>::write_network(int32_t network, int32_t section, const double* source) {
  std::vector<T>& s = networks_[static_cast<size_t>(network)].sections[section];
  copy(source, static_cast<int64_t>(s.size()), s.data());
}

template <typename T>
void ReferenceExecutor<T>::write_network(int32_t network, int32_t section, const float* source) {
  std::vector<T>& s = networks_[static_cast<size_t>(network)].sections[section];
  copy(source, static_cast<int64_t>(s.size()), s.data());
}

template <typename T>
void ReferenceExecutor<T>::read_tensor(int32_t tensor, double* destination) const {
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  t.kind == UNIFIEDRL_TENSOR_ROWS ? copy(rows_[static_cast<size_t>(tensor)].data(), t.elements(), destination)
                                  : copy(tensors_[static_cast<size_t>(tensor)].data(), t.elements(), destination);
}

template <typename T>
void ReferenceExecutor<T>::write_tensor(int32_t tensor, const double* source) {
  copy(source, program_.tensors[static_cast<size_t>(tensor)].elements(), data(tensor));
}

}  // namespace unifiedrl::reference

namespace unifiedrl {

template <typename T>
static std::unique_ptr<Executor> create(const Program& program, const Replay* replay, const unifiedrl_options& options) {
  check_host_options(sizeof(T) == 8 ? "reference" : "reference32", options);
  return std::make_unique<reference::ReferenceExecutor<T>>(program, replay);
}

static int32_t reference_score() { return 1; }
static bool reference_supports(int32_t op) { return op >= UNIFIEDRL_OP_SAMPLE && op <= UNIFIEDRL_LAST_OP; }

// Slow on purpose, so never chosen by "auto".
const Backend kReferenceBackend = {
    UNIFIEDRL_ABI_VERSION, "reference", reference_score, [] { return std::string("plain loops in double, one thread"); }, reference_supports,
    nullptr, false, create<double>};
const Backend kReference32Backend = {
    UNIFIEDRL_ABI_VERSION, "reference32", reference_score, [] { return std::string("plain loops in float, one thread"); }, reference_supports,
    nullptr, false, create<float>};

}  // namespace unifiedrl
