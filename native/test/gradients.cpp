// Every derivative of the reference back end against central differences, in double.
#include <functional>

#include "engine.h"

using namespace test;

namespace {

constexpr double kStep = 1e-6;
// Central differences in double with this step are good to about 1e-9 of values of order 1; 1e-6 leaves room for sums.
constexpr double kTolerance = 1e-6;

// Numerical gradient of f at each element of x, compared with `expected`.
template <typename F>
void check_gradient(std::vector<double> x, const std::vector<double>& expected, F f) {
  CHECK(x.size() == expected.size());
  double scale = 0;
  for (double g : expected) {
    scale = std::fmax(scale, std::fabs(g));
  }
  CHECK(scale > 0);
  for (size_t i = 0; i < x.size(); ++i) {
    double before = x[i];
    x[i] = before + kStep;
    double up = f(x);
    x[i] = before - kStep;
    double down = f(x);
    x[i] = before;
    CHECK_NEAR(expected[i] / scale, (up - down) / (2 * kStep) / scale, kTolerance);
  }
}

double dot(const std::vector<double>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * static_cast<double>(b[i]);
  }
  return sum;
}

std::vector<double> widen(const std::vector<float>& x) { return std::vector<double>(x.begin(), x.end()); }

struct Shape {
  int64_t members, rows;
  std::vector<int64_t> sizes;
  int32_t activation;
  bool shared;
};

const Shape kShapes[] = {
    {1, 3, {4, 2}, UNIFIEDRL_LINEAR, true},         {2, 5, {3, 7, 1}, UNIFIEDRL_LINEAR, true},      {3, 4, {5, 6, 4, 2}, UNIFIEDRL_TANH, true},
    {2, 3, {4, 5, 3}, UNIFIEDRL_TANH, false},       {5, 2, {2, 3, 4, 5, 1}, UNIFIEDRL_LINEAR, false}, {1, 1, {1, 1, 1}, UNIFIEDRL_TANH, true},
};

}  // namespace

TEST(gradient_of_network_parameters) {
  for (const Shape& shape : kShapes) {
    Program p;
    int64_t hidden = 0;
    for (size_t l = 1; l + 1 < shape.sizes.size(); ++l) {
      hidden += shape.sizes[l];
    }
    int64_t out = shape.sizes.back(), x_members = shape.shared ? 1 : shape.members;
    int32_t net = p.network("net", shape.members, shape.sizes, shape.activation);
    int32_t x = p.constant("x", x_members, shape.rows, shape.sizes[0]), y = p.tensor("y", shape.members, shape.rows, out);
    int32_t tape = hidden == 0 ? UNIFIEDRL_NONE : p.tensor("tape", shape.members, shape.rows, hidden, UNIFIEDRL_TENSOR_TAPE);
    int32_t dy = p.constant("dy", shape.members, shape.rows, out);
    p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, tape}, {net});
    p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD, {x, y, tape, dy}, {net});
    unifiedrl_options options = {};
    options.materialise = 1;
    Engine engine(p, "reference", options);
    CHECK_OK(unifiedrl_network_initialise(engine.handle, net, 11));
    Random random(3);
    std::vector<float> weights = random.vector(shape.members * shape.rows * out);
    engine.set_tensor(x, random.vector(x_members * shape.rows * shape.sizes[0]));
    engine.set_tensor(dy, weights);
    engine.run(1);
    check_gradient(engine.network(net), engine.network(net, UNIFIEDRL_GRADIENTS), [&](const std::vector<double>& parameters) {
      engine.set_network(net, parameters);
      engine.run(1);
      return dot(engine.tensor(y, static_cast<int64_t>(weights.size())), weights);
    });
  }
}

TEST(gradient_of_network_input) {
  for (const Shape& shape : kShapes) {
    for (int32_t kind : {UNIFIEDRL_TENSOR_TAPE, UNIFIEDRL_TENSOR_SIGNS}) {
      Program p;
      int64_t hidden = 0;
      for (size_t l = 1; l + 1 < shape.sizes.size(); ++l) {
        hidden += shape.sizes[l];
      }
      int64_t in = shape.sizes[0], out = shape.sizes.back(), first = in / 2, columns = in - first;
      int32_t net = p.network("net", shape.members, shape.sizes, shape.activation);
      int32_t x = p.constant("x", shape.members, shape.rows, in), y = p.tensor("y", shape.members, shape.rows, out);
      int32_t tape = hidden == 0 ? UNIFIEDRL_NONE : p.tensor("tape", shape.members, shape.rows, hidden, kind);
      int32_t dy = p.constant("dy", shape.members, shape.rows, out), dx = p.tensor("dx", shape.members, shape.rows, columns);
      p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, tape}, {net});
      p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD_INPUT, {y, tape, dy, dx}, {net}, {first});
      unifiedrl_options options = {};
      options.materialise = 1;
      Engine engine(p, "reference", options);
      CHECK_OK(unifiedrl_network_initialise(engine.handle, net, 12));
      std::vector<double> parameters = engine.network(net);
      for (double& value : parameters) {
        value += 0.2;  // so that even a network of one hidden unit has one that is on
      }
      engine.set_network(net, parameters);
      Random random(4);
      std::vector<float> weights = random.vector(shape.members * shape.rows * out);
      std::vector<double> input = widen(random.vector(shape.members * shape.rows * in));
      engine.set_tensor64(x, input);
      engine.set_tensor(dy, weights);
      engine.run(1);
      std::vector<double> gradient = engine.tensor(dx, shape.members * shape.rows * columns);
      std::vector<size_t> places;  // of the columns that the op gives
      std::vector<double> moved;
      for (int64_t row = 0; row < shape.members * shape.rows; ++row) {
        for (int64_t c = 0; c < columns; ++c) {
          places.push_back(static_cast<size_t>(row * in + first + c));
          moved.push_back(input[places.back()]);
        }
      }
      check_gradient(moved, gradient, [&](const std::vector<double>& values) {
        for (size_t i = 0; i < places.size(); ++i) {
          input[places[i]] = values[i];
        }
        engine.set_tensor64(x, input);
        engine.run(1);
        return dot(engine.tensor(y, static_cast<int64_t>(weights.size())), weights);
      });
    }
  }
}

// Losses act on q, which a linear network of one input makes out of its parameters: q_e,b = W_e x_b + bias_e with x one-hot gives every q its
// own double-precision parameter.
TEST(gradient_of_squared_error) {
  int64_t E = 3, B = 4;
  Program p;
  int32_t net = p.network("net", E, {B, 1}), x = p.constant("x", 1, B, B), q = p.tensor("q", E, B, 1), y = p.constant("y", E, B, 1);
  int32_t dq = p.tensor("dq", E, B, 1), loss = p.tensor("loss", E, 1, 1);
  p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, q, UNIFIEDRL_NONE}, {net});
  p.op("error", UNIFIEDRL_OP_SQUARED_ERROR, {q, y, dq, loss});
  unifiedrl_options options = {};
  options.materialise = 1;
  Engine engine(p, "reference", options);
  Random random(8);
  std::vector<float> one_hot(static_cast<size_t>(B * B));
  for (int64_t b = 0; b < B; ++b) {
    one_hot[static_cast<size_t>(b * B + b)] = 1;
  }
  engine.set_tensor(x, one_hot);
  engine.set_tensor(y, random.vector(E * B));
  std::vector<double> parameters = widen(random.vector(E * B + E));
  engine.set_network(net, parameters);
  engine.run(1);
  std::vector<double> expected = engine.tensor(dq, E * B);
  std::vector<double> head(parameters.begin(), parameters.begin() + E * B);
  check_gradient(head, expected, [&](const std::vector<double>& values) {
    std::copy(values.begin(), values.end(), parameters.begin());
    engine.set_network(net, parameters);
    engine.run(1);
    double sum = 0;
    for (double l : engine.tensor(loss, E)) {
      sum += l;
    }
    return sum;
  });
}

TEST(gradient_of_ensemble_objective) {
  int64_t G = 2, m = 3, E = G * m, B = 4;
  Program p;
  int32_t net = p.network("net", E, {B, 1}), x = p.constant("x", 1, B, B), q = p.tensor("q", E, B, 1), w = p.constant("w", 1, 1, G);
  int32_t dq = p.tensor("dq", E, B, 1), mean = p.tensor("mean", 1, B, G), sd = p.tensor("sd", 1, B, G), lambda = p.hyper("lambda", 0.7);
  p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, q, UNIFIEDRL_NONE}, {net});
  p.op("objective", UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE, {q, w, dq, mean, sd}, {}, {m}, {lambda});
  unifiedrl_options options = {};
  options.materialise = 1;
  Engine engine(p, "reference", options);
  Random random(9);
  std::vector<float> one_hot(static_cast<size_t>(B * B)), weights = {0.75f, 1.5f};
  for (int64_t b = 0; b < B; ++b) {
    one_hot[static_cast<size_t>(b * B + b)] = 1;
  }
  engine.set_tensor(x, one_hot);
  engine.set_tensor(w, weights);
  std::vector<double> parameters = widen(random.vector(E * B + E));
  engine.set_network(net, parameters);
  engine.run(1);
  std::vector<double> expected = engine.tensor(dq, E * B);
  std::vector<double> head(parameters.begin(), parameters.begin() + E * B);
  check_gradient(head, expected, [&](const std::vector<double>& values) {
    std::copy(values.begin(), values.end(), parameters.begin());
    engine.set_network(net, parameters);
    engine.run(1);
    std::vector<double> means = engine.tensor(mean, B * G), deviations = engine.tensor(sd, B * G);
    double sum = 0;
    for (int64_t b = 0; b < B; ++b) {
      for (int64_t g = 0; g < G; ++g) {
        size_t at = static_cast<size_t>(b * G + g);
        sum += static_cast<double>(weights[static_cast<size_t>(g)]) * (-means[at] + 0.7 * deviations[at]) / static_cast<double>(B);
      }
    }
    return sum;
  });
}

TEST(gradient_of_box_penalty) {
  for (int64_t form : {0, 1}) {
    // In each row: far below, below, inside, above, far above (clamped); from row to row a little different.
    int64_t B = 3, A = 5;
    Program p;
    int32_t a = p.constant("a", 1, B, A), lo = p.constant("lo", 1, B, A), hi = p.constant("hi", 1, B, A), da = p.tensor("da", 1, B, A);
    int32_t d = p.tensor("d", 1, B, 1), inside = p.tensor("inside", 1, B, 1), eta = p.hyper("eta", 1.3), omega = p.hyper("omega", 3.1);
    p.op("penalty", UNIFIEDRL_OP_BOX_PENALTY, {a, lo, hi, da, d, inside}, {}, {form}, {eta, omega});
    Engine engine(p, "reference");
    std::vector<float> low, high;
    std::vector<double> action;
    for (int64_t b = 0; b < B; ++b) {
      float shift = 0.013f * static_cast<float>(b);
      for (float edge : {-0.1f, -0.1f, -0.1f, -0.2f, -0.1f}) {
        low.push_back(edge - shift);
      }
      for (float edge : {0.2f, 0.2f, 0.2f, 0.1f, 0.1f}) {
        high.push_back(edge + shift);
      }
      for (double value : {-0.4, -0.15, 0.05, 0.3, 2.5}) {
        action.push_back(value + 0.007 * static_cast<double>(b));
      }
    }
    engine.set_tensor(lo, low);
    engine.set_tensor(hi, high);
    engine.set_tensor64(a, action);
    engine.run(1);
    std::vector<double> expected = engine.tensor(da, B * A);
    for (int64_t b = 0; b < B; ++b) {
      CHECK(expected[static_cast<size_t>(b * A + 2)] == 0);
      CHECK(expected[static_cast<size_t>(b * A + 4)] == 0);
      CHECK(engine.tensor(inside, B)[static_cast<size_t>(b)] == 0);
    }
    check_gradient(action, expected, [&](const std::vector<double>& values) {
      engine.set_tensor64(a, values);
      engine.run(1);
      double sum = 0;
      for (double value : engine.tensor(d, B)) {
        sum += value;
      }
      return 1.3 * sum / static_cast<double>(B);
    });
  }
}

namespace {

// One op on constants x, and optional others, in a program of its own: derivatives of its outputs with respect to x against differences.
struct OneOp {
  Program p;
  std::vector<std::pair<int32_t, std::vector<double>>> constants;
  std::vector<std::pair<int32_t, int64_t>> outputs;

  int32_t in(int64_t e, int64_t b, int64_t f, std::vector<double> values) {
    constants.emplace_back(p.constant("in", e, b, f), values);
    return constants.back().first;
  }
  int32_t out(int64_t e, int64_t b, int64_t f) {
    outputs.emplace_back(p.tensor("out", e, b, f), e * b * f);
    return outputs.back().first;
  }
};

// The gradient that `derived` forms of the outputs must be that of `value`, with respect to constant `at`.
void check_op(const OneOp& one, size_t at, const std::function<std::vector<double>(Engine&)>& derived, const std::function<double(Engine&)>& value) {
  Engine engine(one.p, "reference");
  for (const auto& [id, values] : one.constants) {
    engine.set_tensor64(id, values);
  }
  engine.run(1);
  const auto& [id, values] = one.constants[at];
  check_gradient(values, derived(engine), [&, id = id](const std::vector<double>& moved) {
    engine.set_tensor64(id, moved);
    engine.run(1);
    return value(engine);
  });
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

std::vector<double> values(uint32_t seed, int64_t n, float low = -1, float high = 1) { return widen(Random(seed).vector(n, low, high)); }

// Heads [E, B, 2A] whose log_std lie below -0.9, inside, and above 0.7 in turn.
std::vector<double> heads(uint32_t seed, int64_t rows, int64_t dimensions) {
  std::vector<double> head = values(seed, rows * 2 * dimensions);
  for (int64_t row = 0, turn = 0; row < rows; ++row) {
    for (int64_t k = 0; k < dimensions; ++k, ++turn) {
      double& log_std = head[static_cast<size_t>((2 * row + 1) * dimensions + k)];
      log_std = turn % 4 == 1 ? -1 + 0.05 * log_std : turn % 4 == 3 ? 0.8 + 0.05 * log_std : 0.6 * log_std;
    }
  }
  return head;
}

}  // namespace

TEST(share_of_clip) {
  OneOp one;
  int32_t x = one.in(2, 3, 4, values(21, 24)), out = one.out(2, 3, 4), inside = one.out(2, 3, 4);
  one.p.op("clip", UNIFIEDRL_OP_CLIP, {x, out, inside}, {}, {}, {one.p.hyper("low", -0.4), one.p.hyper("high", 0.6)});
  std::vector<double> weights = values(22, 24);
  check_op(
      one, 0,
      [&](Engine& engine) {
        std::vector<double> result = engine.tensor(inside, 24);
        for (size_t k = 0; k < result.size(); ++k) {
          result[k] *= weights[k];
        }
        return result;
      },
      [&](Engine& engine) { return dot(engine.tensor(out, 24), weights); });
}

TEST(share_of_group_extreme) {
  const int64_t G = 2, m = 3, B = 4, F = 2;
  OneOp one;
  int32_t q = one.in(G * m, B, F, values(23, G * m * B * F)), out = one.out(G, B, F), share = one.out(G * m, B, F);
  one.p.op("extreme", UNIFIEDRL_OP_GROUP_EXTREME, {q, out, share}, {}, {m}, {one.p.hyper("w", 0.75)});
  check_op(
      one, 0, [&](Engine& engine) { return engine.tensor(share, G * m * B * F); },
      [&](Engine& engine) { return dot(engine.tensor(out, G * B * F), std::vector<double>(static_cast<size_t>(G * B * F), 1)); });
}

TEST(share_of_row_reduce) {
  const int64_t E = 2, B = 3, n = 4, F = 3;
  for (int64_t kind : {UNIFIEDRL_SUM, UNIFIEDRL_MEAN, UNIFIEDRL_MAX, UNIFIEDRL_LOG_SUM_EXP}) {
    for (int64_t columns : {int64_t{1}, F}) {
      OneOp one;
      int32_t x = one.in(E, B * n, F, values(24, E * B * n * F)), out = one.out(E, B, columns), share = one.out(E, B * n, F);
      one.p.op("reduce", UNIFIEDRL_OP_ROW_REDUCE, {x, out, share}, {}, {n, kind}, {one.p.hyper("temperature", 0.5)});
      check_op(
          one, 0, [&](Engine& engine) { return engine.tensor(share, E * B * n * F); },
          [&](Engine& engine) { return dot(engine.tensor(out, E * B * columns), std::vector<double>(static_cast<size_t>(E * B * columns), 1)); });
    }
  }
}

TEST(gradient_of_gaussian_sample) {
  const int64_t E = 2, B = 3, A = 4;
  for (int64_t squash : {0, 1}) {
    for (int given : {1, 2, 3}) {  // daction, dlog_prob, both
      OneOp one;
      int32_t low = one.p.hyper("low", -0.9), high = one.p.hyper("high", 0.7);
      std::vector<double> to_action = values(26, E * B * A), to_log_prob = values(27, E * B);
      int32_t head = one.in(E, B, 2 * A, heads(25, E * B, A)), noise = one.in(E, B, A, values(28, E * B * A, -2, 2));
      int32_t daction = (given & 1) != 0 ? one.in(E, B, A, to_action) : UNIFIEDRL_NONE;
      int32_t dlog_prob = (given & 2) != 0 ? one.in(E, B, 1, to_log_prob) : UNIFIEDRL_NONE;
      int32_t action = one.out(E, B, A), log_prob = one.out(E, B, 1), dhead = one.out(E, B, 2 * A);
      one.p.op("sample", UNIFIEDRL_OP_GAUSSIAN_SAMPLE, {head, noise, action, log_prob}, {}, {squash}, {low, high});
      one.p.op("backward", UNIFIEDRL_OP_GAUSSIAN_SAMPLE_BACKWARD, {head, noise, action, daction, dlog_prob, dhead}, {}, {squash}, {low, high});
      check_op(
          one, 0, [&](Engine& engine) { return engine.tensor(dhead, E * B * 2 * A); },
          [&](Engine& engine) {
            return ((given & 1) != 0 ? dot(engine.tensor(action, E * B * A), to_action) : 0) +
                   ((given & 2) != 0 ? dot(engine.tensor(log_prob, E * B), to_log_prob) : 0);
          });
    }
  }
}

TEST(gradient_of_gaussian_log_prob) {
  const int64_t E = 2, B = 3, A = 4;
  for (int64_t squash : {0, 1}) {
    for (int64_t members : {int64_t{1}, E}) {
      OneOp one;
      int32_t head = one.in(E, B, 2 * A, heads(29, E * B, A)), action = one.in(members, B, A, values(30, members * B * A));
      int32_t log_prob = one.out(E, B, 1), dhead = one.out(E, B, 2 * A);
      one.p.op("log_prob", UNIFIEDRL_OP_GAUSSIAN_LOG_PROB, {head, action, log_prob, dhead}, {}, {squash},
               {one.p.hyper("low", -0.9), one.p.hyper("high", 0.7)});
      check_op(
          one, 0, [&](Engine& engine) { return engine.tensor(dhead, E * B * 2 * A); },
          [&](Engine& engine) { return dot(engine.tensor(log_prob, E * B), std::vector<double>(static_cast<size_t>(E * B), 1)); });
    }
  }
}

TEST(gradient_of_gaussian_kl) {
  const int64_t E = 2, B = 3, A = 4;
  OneOp one;
  int32_t head = one.in(E, B, 2 * A, heads(31, E * B, A)), kl = one.out(E, B, 1), dhead = one.out(E, B, 2 * A);
  one.p.op("kl", UNIFIEDRL_OP_GAUSSIAN_KL, {head, kl, dhead}, {}, {}, {one.p.hyper("low", -0.9), one.p.hyper("high", 0.7)});
  check_op(
      one, 0, [&](Engine& engine) { return engine.tensor(dhead, E * B * 2 * A); },
      [&](Engine& engine) { return dot(engine.tensor(kl, E * B), std::vector<double>(static_cast<size_t>(E * B), 1)); });
}

TEST(gradient_of_expectile) {
  const int64_t E = 3, B = 5;
  for (int64_t members : {int64_t{1}, E}) {
    OneOp one;
    int32_t q = one.in(members, B, 1, values(32, members * B)), v = one.in(E, B, 1, values(33, E * B));
    int32_t loss = one.out(E, B, 1), dv = one.out(E, B, 1);
    one.p.op("expectile", UNIFIEDRL_OP_EXPECTILE, {q, v, loss, dv}, {}, {}, {one.p.hyper("tau", 0.7)});
    check_op(
        one, 1, [&](Engine& engine) { return engine.tensor(dv, E * B); },
        [&](Engine& engine) { return dot(engine.tensor(loss, E * B), std::vector<double>(static_cast<size_t>(E * B), 1.0 / static_cast<double>(B))); });
  }
}

// With respect to x, and to gain and bias.
TEST(gradient_of_layer_norm) {
  int64_t E = 2, B = 3, F = 5;
  for (int64_t relu : {0, 1}) {
    Program p;
    int32_t net = p.network("affine", E, {1, F}), x = p.constant("x", E, B, F), y = p.tensor("y", E, B, F), stat = p.tensor("stat", E, B, 2);
    int32_t dy = p.constant("dy", E, B, F), dx = p.tensor("dx", E, B, F), epsilon = p.hyper("epsilon", 1e-3);
    p.op("norm", UNIFIEDRL_OP_LAYER_NORM, {x, y, stat}, {net}, {relu}, {epsilon});
    p.op("backward", UNIFIEDRL_OP_LAYER_NORM_BACKWARD, {x, stat, dy, dx}, {net}, {relu, 1});
    unifiedrl_options options = {};
    options.materialise = 1;
    Engine engine(p, "reference", options);
    Random random(21);
    std::vector<float> weights = random.vector(E * B * F);
    std::vector<double> input = widen(random.vector(E * B * F)), parameters = widen(random.vector(2 * E * F));
    engine.set_tensor64(x, input);
    engine.set_tensor(dy, weights);
    engine.set_network(net, parameters);
    const auto value = [&] {
      engine.run(1);
      return dot(engine.tensor(y, E * B * F), weights);
    };
    engine.run(1);
    engine.run(1);  // the gradients are those of one step
    std::vector<double> gradients = engine.network(net, UNIFIEDRL_GRADIENTS);
    check_gradient(input, engine.tensor(dx, E * B * F), [&](const std::vector<double>& values) {
      engine.set_tensor64(x, values);
      return value();
    });
    engine.set_tensor64(x, input);
    check_gradient(parameters, gradients, [&](const std::vector<double>& values) {
      engine.set_network(net, values);
      return value();
    });
  }
}

TEST(gradient_of_diversity) {
  int64_t E = 4, B = 3, A = 3;
  Program p;
  int32_t g = p.constant("g", E, B, A), d = p.tensor("d", 1, B, 1), dg = p.tensor("dg", E, B, A);
  p.op("diversity", UNIFIEDRL_OP_DIVERSITY, {g, d, dg});
  Engine engine(p, "reference");
  std::vector<double> values = widen(Random(22).vector(E * B * A));
  engine.set_tensor64(g, values);
  engine.run(1);
  std::vector<double> gradient = engine.tensor(dg, E * B * A);
  check_gradient(values, gradient, [&](const std::vector<double>& moved) {
    engine.set_tensor64(g, moved);
    engine.run(1);
    double sum = 0;
    for (double row : engine.tensor(d, B)) {
      sum += row;
    }
    return sum / static_cast<double>(B);
  });
}

// The parameters' gradients of SUM (direction * dx), beside those of an ordinary loss that are there already.
TEST(gradient_of_input_gradient) {
  for (const Shape& shape : kShapes) {
    if (shape.activation != UNIFIEDRL_LINEAR) {
      continue;
    }
    Program p;
    int64_t hidden = 0;
    for (size_t l = 1; l + 1 < shape.sizes.size(); ++l) {
      hidden += shape.sizes[l];
    }
    int64_t E = shape.members, B = shape.rows, in = shape.sizes[0], out = shape.sizes.back(), first = in / 2, columns = in == 3 ? 1 : in - first;
    int32_t net = p.network("net", E, shape.sizes), x = p.constant("x", shape.shared ? 1 : E, B, in), y = p.tensor("y", E, B, out);
    int32_t tape = hidden == 0 ? UNIFIEDRL_NONE : p.tensor("tape", E, B, hidden, UNIFIEDRL_TENSOR_TAPE), dy = p.constant("dy", E, B, out);
    int32_t above = p.constant("above", E, B, out), dx = p.tensor("dx", E, B, columns), direction = p.constant("direction", E, B, columns);
    p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, tape}, {net});
    p.op("loss", UNIFIEDRL_OP_MLP_BACKWARD, {x, y, tape, dy}, {net});
    p.op("input", UNIFIEDRL_OP_MLP_BACKWARD_INPUT, {y, tape, above, dx}, {net}, {first});
    p.op("tangent", UNIFIEDRL_OP_MLP_BACKWARD_TANGENT, {y, tape, above, direction}, {net}, {first});
    unifiedrl_options options = {};
    options.materialise = 1;
    Engine engine(p, "reference", options);
    CHECK_OK(unifiedrl_network_initialise(engine.handle, net, 11));
    Random random(3);
    std::vector<float> weights = random.vector(E * B * out), along = random.vector(E * B * columns);
    engine.set_tensor(x, random.vector((shape.shared ? 1 : E) * B * in));
    engine.set_tensor(dy, weights);
    engine.set_tensor(above, random.vector(E * B * out));
    engine.set_tensor(direction, along);
    engine.run(2);
    check_gradient(engine.network(net), engine.network(net, UNIFIEDRL_GRADIENTS), [&](const std::vector<double>& parameters) {
      engine.set_network(net, parameters);
      engine.run(1);
      return dot(engine.tensor(y, E * B * out), weights) + dot(engine.tensor(dx, E * B * columns), along);
    });
  }
}

int main(int argc, char** argv) { return test::main(argc, argv); }
