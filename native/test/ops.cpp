// Each op and variant in a program of its own, on random values: every back end against the reference in double; and what ops do with values
// at the edge of their range.
#include <algorithm>
#include <functional>
#include <limits>

#include "engine.h"
#include "ops/box.h"

using namespace test;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// A program under construction: constants get random values, outputs and trained networks are compared.
struct Bench {
  Program p;
  std::vector<std::pair<int32_t, int64_t>> constants, outputs;
  std::vector<int32_t> networks, trained;

  int32_t in(int64_t e, int64_t b, int64_t f) {
    constants.emplace_back(p.constant("in", e, b, f), e * b * f);
    return constants.back().first;
  }
  int32_t out(int64_t e, int64_t b, int64_t f) {
    outputs.emplace_back(p.tensor("out", e, b, f), e * b * f);
    return outputs.back().first;
  }
  int32_t network(int64_t e, std::vector<int64_t> sizes, int32_t activation = UNIFIEDRL_LINEAR) {
    networks.push_back(p.network("net", e, sizes, activation));
    return networks.back();
  }
};

struct Variant {
  const char* name;
  std::function<void(Bench&)> build;
  double tolerance = 1e-5;  // of the tensor's largest value; sums of up to 256 terms: see core/backends.cpp
};

int64_t sum_of_hidden(const std::vector<int64_t>& sizes) {
  int64_t sum = 0;
  for (size_t l = 1; l + 1 < sizes.size(); ++l) {
    sum += sizes[l];
  }
  return sum;
}

// Forward pass, parameter gradients, input gradients.
void mlp(Bench& b, int64_t members, int64_t x_members, int64_t rows, std::vector<int64_t> sizes, int32_t activation, int32_t input_tape) {
  int64_t hidden = sum_of_hidden(sizes), outputs = sizes.back(), first = sizes[0] / 2;
  int32_t net = b.network(members, sizes, activation), x = b.in(x_members, rows, sizes[0]), dy = b.in(members, rows, outputs);
  const auto tape = [&](int32_t kind) { return hidden == 0 ? UNIFIEDRL_NONE : b.p.tensor("tape", members, rows, hidden, kind); };
  int32_t y = b.out(members, rows, outputs), y2 = b.out(members, rows, outputs), whole = tape(UNIFIEDRL_TENSOR_TAPE), other = tape(input_tape);
  b.p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, whole}, {net});
  b.p.op("forward 2", UNIFIEDRL_OP_MLP_FORWARD, {x, y2, other}, {net});
  b.p.op("backward input", UNIFIEDRL_OP_MLP_BACKWARD_INPUT, {y2, other, dy, b.out(members, rows, sizes[0] - first)}, {net}, {first});
  b.p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD, {x, y, whole, dy}, {net});
  b.trained.push_back(net);
}

const std::vector<Variant>& variants() {
  constexpr int32_t kNone = UNIFIEDRL_NONE;
  static const std::vector<Variant> all = {
      {"gather", [](Bench& b) {
         int32_t rows = b.p.tensor("rows", 1, 50, 1, UNIFIEDRL_TENSOR_ROWS);
         b.p.op("sample", UNIFIEDRL_OP_SAMPLE, {rows}, {}, {3});
         for (int64_t offset : {0, 1}) {
           b.p.op("both", UNIFIEDRL_OP_GATHER, {rows, b.in(1, 1, 19), b.in(1, 1, 19), b.out(1, 50, 19)}, {}, {0, offset});
           b.p.op("shift", UNIFIEDRL_OP_GATHER, {rows, b.in(1, 1, 19), kNone, b.out(1, 50, 19)}, {}, {0, offset});
           b.p.op("scale", UNIFIEDRL_OP_GATHER, {rows, kNone, b.in(1, 1, 19), b.out(1, 50, 19)}, {}, {0, offset});
           b.p.op("flag", UNIFIEDRL_OP_GATHER, {rows, b.in(1, 1, 1), b.in(1, 1, 1), b.out(1, 50, 1)}, {}, {UNIFIEDRL_LAST_COLUMN, offset});
         }
       }, 3e-7},
      {"concat and add of members", [](Bench& b) {
         b.p.op("concat", UNIFIEDRL_OP_CONCAT, {b.in(3, 37, 5), b.in(3, 37, 2), b.out(3, 37, 7)});
         b.p.op("add", UNIFIEDRL_OP_ADD, {b.in(3, 37, 5), b.in(3, 37, 5), b.out(3, 37, 5)});
         b.p.op("sum", UNIFIEDRL_OP_MEMBER_SUM, {b.in(7, 37, 5), b.out(1, 37, 5)});
       }, 1e-6},
      {"one layer", [](Bench& b) { mlp(b, 3, 1, 37, {11, 5}, UNIFIEDRL_LINEAR, UNIFIEDRL_TENSOR_TAPE); }},
      {"one layer, one output", [](Bench& b) { mlp(b, 3, 3, 37, {11, 1}, UNIFIEDRL_LINEAR, UNIFIEDRL_TENSOR_TAPE); }},
      {"one layer, tanh", [](Bench& b) { mlp(b, 1, 1, 200, {21, 4}, UNIFIEDRL_TANH, UNIFIEDRL_TENSOR_TAPE); }},
      {"inputs of each member's own", [](Bench& b) { mlp(b, 4, 4, 37, {9, 17, 13, 1}, UNIFIEDRL_LINEAR, UNIFIEDRL_TENSOR_SIGNS); }},
      {"tape for input gradients", [](Bench& b) { mlp(b, 4, 1, 37, {9, 17, 13, 1}, UNIFIEDRL_LINEAR, UNIFIEDRL_TENSOR_TAPE); }},
      {"members with tanh", [](Bench& b) { mlp(b, 3, 1, 50, {9, 33, 3}, UNIFIEDRL_TANH, UNIFIEDRL_TENSOR_SIGNS); }},
      {"members with tanh and tape", [](Bench& b) { mlp(b, 3, 3, 50, {9, 33, 3}, UNIFIEDRL_TANH, UNIFIEDRL_TENSOR_TAPE); }},
      {"above oneDNN's threshold", [](Bench& b) { mlp(b, 2, 2, 96, {70, 80, 65, 1}, UNIFIEDRL_LINEAR, UNIFIEDRL_TENSOR_TAPE); }},
      {"target without attenuation", [](Bench& b) {
         int32_t gamma = b.p.hyper("gamma", 0.9);
         b.p.op("plain", UNIFIEDRL_OP_TD_TARGET, {b.in(1, 37, 2), b.in(1, 37, 1), kNone, b.in(6, 37, 1), b.out(6, 37, 1)}, {}, {3}, {gamma});
         b.p.op("phi", UNIFIEDRL_OP_TD_TARGET, {b.in(1, 37, 2), b.in(1, 37, 1), b.in(1, 37, 1), b.in(6, 37, 1), b.out(6, 37, 1)}, {}, {3}, {gamma});
       }, 1e-6},
      {"losses", [](Bench& b) {
         b.p.op("error", UNIFIEDRL_OP_SQUARED_ERROR, {b.in(5, 37, 1), b.in(5, 37, 1), b.out(5, 37, 1), b.out(5, 1, 1)});
         b.p.op("objective", UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE, {b.in(6, 37, 1), b.in(1, 1, 2), b.out(6, 37, 1), b.out(1, 37, 2), b.out(1, 37, 2)}, {}, {3},
                {b.p.hyper("lambda", 0.7)});
       }},
  };
  return all;
}

void fill(Engine& engine, const Bench& bench) {
  Random random(17);
  for (int32_t net : bench.networks) {
    CHECK_OK(unifiedrl_network_initialise(engine.handle, net, 23));
  }
  for (const auto& [id, size] : bench.constants) {
    engine.set_tensor(id, random.vector(size));
  }
}

void compare(const std::string& what, const std::vector<double>& found, const std::vector<double>& expected, double tolerance) {
  double scale = 0;
  for (double v : expected) {
    scale = std::max(scale, std::fabs(v));
  }
  for (size_t i = 0; i < found.size(); ++i) {
    if (!(std::fabs(found[i] - expected[i]) <= tolerance * scale)) {
      check::fail(__FILE__, __LINE__, "%s, element %d: %.9g, expected %.9g", what.c_str(), static_cast<int>(i), found[i], expected[i]);
    }
  }
}

}  // namespace

TEST(every_op_equals_the_reference) {
  for (const Variant& variant : variants()) {
    Bench bench;
    variant.build(bench);
    Store store(19, 3, 2, {37, 100, 3});
    unifiedrl_options options = {};
    options.materialise = 1;
    options.tile_rows = 16;
    options.threads = 2;
    Engine reference(bench.p, "reference", options, store.handle);
    fill(reference, bench);
    reference.run(1);
    for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
      for (int32_t isa : {0, 1, 2}) {
        std::string backend = unifiedrl_backend_name(i);
        options.isa = isa;
        unifiedrl_engine* probe = nullptr;
        if (unifiedrl_engine_create(bench.p.handle, store.handle, backend.c_str(), &options, &probe) == UNIFIEDRL_UNAVAILABLE) {
          continue;
        }
        unifiedrl_engine_close(probe);
        Engine tested(bench.p, backend.c_str(), options, store.handle);
        fill(tested, bench);
        tested.run(1);
        std::string what = backend + ", " + variant.name;
        for (const auto& [id, size] : bench.outputs) {
          compare(what + ", tensor " + std::to_string(id), tested.tensor(id, size), reference.tensor(id, size), variant.tolerance);
        }
        for (int32_t net : bench.trained) {
          compare(what + ", gradients", tested.network(net, UNIFIEDRL_GRADIENTS), reference.network(net, UNIFIEDRL_GRADIENTS), variant.tolerance);
        }
      }
    }
  }
}

// A network of single layers has no tape to look at.
TEST(a_network_without_hidden_layers_is_fused_too) {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    Bench bench;
    mlp(bench, 3, 1, 40, {7, 2}, UNIFIEDRL_LINEAR, UNIFIEDRL_TENSOR_TAPE);
    unifiedrl_options options = {};
    options.tile_rows = 16;
    Engine engine(bench.p, unifiedrl_backend_name(i), options);
    fill(engine, bench);
    engine.run(2);
  }
}

// Three steps on a constant gradient against the formula (Kingma and Ba, with decoupled decay), in double.
TEST(adam_with_decay_follows_its_formula) {
  constexpr double kRate = 1e-2, kBeta1 = 0.9, kBeta2 = 0.99, kEpsilon = 1e-6, kDecay = 0.3, kClip = 0.5;
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    for (int64_t members : {1, 3}) {
      Program p;
      int32_t net = p.network("net", members, {4, 2}), x = p.constant("x", 1, 1, 4), y = p.tensor("y", members, 1, 2);
      int32_t dy = p.constant("dy", members, 1, 2), norm = p.tensor("norm", members, 1, 1);
      std::vector<int32_t> hypers;
      for (double value : {kRate, kBeta1, kBeta2, kEpsilon, kDecay, kClip}) {
        hypers.push_back(p.hyper("adam", value));
      }
      p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, UNIFIEDRL_NONE}, {net});
      p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD, {x, y, UNIFIEDRL_NONE, dy}, {net});
      p.op("adam", UNIFIEDRL_OP_ADAM, {norm}, {net}, {1}, hypers);
      Engine engine(p, unifiedrl_backend_name(i));
      CHECK_OK(unifiedrl_network_initialise(engine.handle, net, 2));
      Random random(40);
      std::vector<float> in = random.vector(4), slope = random.vector(members * 2);
      engine.set_tensor(x, in);
      engine.set_tensor(dy, slope);
      std::vector<double> gradient(static_cast<size_t>(members * 10)), expected = engine.network(net);
      for (int64_t e = 0; e < members; ++e) {
        double squares = 0;
        const auto each = [&](const std::function<void(size_t, double)>& visit) {
          for (int64_t j = 0; j < 2; ++j) {
            double d = static_cast<double>(slope[static_cast<size_t>(e * 2 + j)]);
            for (int64_t k = 0; k < 4; ++k) {
              visit(static_cast<size_t>(e * 8 + k * 2 + j), d * static_cast<double>(in[static_cast<size_t>(k)]));
            }
            visit(static_cast<size_t>(members * 8 + e * 2 + j), d);
          }
        };
        each([&](size_t, double g) { squares += g * g; });
        double factor = std::min(1.0, kClip / (std::sqrt(squares) + 1e-6));
        each([&](size_t at, double g) { gradient[at] = factor * g; });
      }
      std::vector<double> first(gradient.size()), second(gradient.size());
      for (int t = 1; t <= 3; ++t) {
        for (size_t k = 0; k < gradient.size(); ++k) {
          first[k] = kBeta1 * first[k] + (1 - kBeta1) * gradient[k];
          second[k] = kBeta2 * second[k] + (1 - kBeta2) * gradient[k] * gradient[k];
          double m = first[k] / (1 - std::pow(kBeta1, t)), v = second[k] / (1 - std::pow(kBeta2, t));
          expected[k] -= kRate * (kDecay * expected[k] + m / (std::sqrt(v) + kEpsilon));
        }
      }
      engine.run(3);
      std::vector<double> found = engine.network(net);
      for (size_t k = 0; k < found.size(); ++k) {
        CHECK_NEAR(found[k], expected[k], 1e-6);
      }
    }
  }
}

// Boxes of no width, actions at an edge, values that are not numbers.
TEST(boxes_at_the_edge_of_their_range) {
  struct Row {
    float a, lo, hi;
    double phi, phi_without_theta, inside;  // NaN: not a number
  };
  const double nan = static_cast<double>(kNaN);
  const Row rows[] = {
      {0.5f, -1, 1, 1, 1, 1},     {1, -1, 1, 1, 1, 1},          {-1, -1, 1, 1, 1, 1},          {2, -1, 1, 0.8 * std::exp(-1.5), 0.8, 0},
      {0.5f, 0.5f, 0.5f, 1, 1, 1}, {0.6f, 0.5f, 0.5f, 0, 0.8, 0}, {-3, 0.5f, 0.5f, 0, 0.8, 0}, {kNaN, -1, 1, nan, nan, 0},
      {0, kNaN, 1, nan, nan, 0},  {0, -1, kNaN, nan, nan, 0},
  };
  const int64_t B = static_cast<int64_t>(std::size(rows));
  const auto same = [](double found, double expected) { return std::isnan(expected) ? std::isnan(found) : std::fabs(found - expected) < 1e-6; };
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    for (int64_t form : {0, 1}) {
      Program p;
      int32_t a = p.constant("a", 1, B, 1), lo = p.constant("lo", 1, B, 1), hi = p.constant("hi", 1, B, 1), phi = p.tensor("phi", 1, B, 1);
      int32_t flat = p.tensor("flat", 1, B, 1), da = p.tensor("da", 1, B, 1), d = p.tensor("d", 1, B, 1), inside = p.tensor("inside", 1, B, 1);
      int32_t beta = p.hyper("beta", 0.8), theta = p.hyper("theta", 3), zero = p.hyper("zero", 0), one = p.hyper("one", 1);
      p.op("phi", UNIFIEDRL_OP_ATTENUATION, {a, lo, hi, phi}, {}, {}, {beta, theta});
      p.op("flat", UNIFIEDRL_OP_ATTENUATION, {a, lo, hi, flat}, {}, {}, {beta, zero});
      p.op("penalty", UNIFIEDRL_OP_BOX_PENALTY, {a, lo, hi, da, d, inside}, {}, {form}, {one, one});
      unifiedrl_options options = {};
      options.materialise = 1;
      Engine engine(p, unifiedrl_backend_name(i), options);
      std::vector<float> values[3];
      for (const Row& row : rows) {
        values[0].push_back(row.a);
        values[1].push_back(row.lo);
        values[2].push_back(row.hi);
      }
      engine.set_tensor(a, values[0]);
      engine.set_tensor(lo, values[1]);
      engine.set_tensor(hi, values[2]);
      engine.run(1);
      for (int64_t b = 0; b < B; ++b) {
        size_t at = static_cast<size_t>(b);
        CHECK(same(engine.tensor(phi, B)[at], rows[b].phi));
        CHECK(same(engine.tensor(flat, B)[at], rows[b].phi_without_theta));
        CHECK(engine.tensor(inside, B)[at] == rows[b].inside);
        double penalty = engine.tensor(d, B)[at], slope = engine.tensor(da, B)[at];
        CHECK(std::isnan(rows[b].phi) ? std::isnan(penalty) : std::isfinite(penalty) && std::isfinite(slope));
        CHECK(rows[b].inside == 0 || (penalty == 0 && slope == 0));
      }
    }
  }
}

// A hidden unit that is not a number must not be taken for one that is off.
TEST(a_unit_that_is_not_a_number_reaches_the_input_gradient) {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    for (int32_t kind : {UNIFIEDRL_TENSOR_TAPE, UNIFIEDRL_TENSOR_SIGNS}) {
      Program p;
      int32_t net = p.network("net", 1, {1, 1, 2}), x = p.constant("x", 1, 1, 1), y = p.tensor("y", 1, 1, 2);
      int32_t tape = p.tensor("tape", 1, 1, 1, kind), dy = p.constant("dy", 1, 1, 2), dx = p.tensor("dx", 1, 1, 1);
      p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, tape}, {net});
      p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD_INPUT, {y, tape, dy, dx}, {net}, {0});
      Engine engine(p, unifiedrl_backend_name(i));
      engine.set_network(net, {1, 0, 1, 1, 0, 0});
      engine.set_tensor(x, {kNaN});
      engine.set_tensor(dy, {1, 1});
      engine.run(1);
      CHECK(engine.tensor(dx, 1)[0] == 2);
    }
  }
}

int main(int argc, char** argv) { return test::main(argc, argv); }
