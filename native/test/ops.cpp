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

// Building blocks, on few rows and on so many that they are split.
void elementwise(Bench& b, int64_t members, int64_t rows, int64_t columns) {
  constexpr int32_t kNone = UNIFIEDRL_NONE;
  const auto in = [&] { return b.in(members, rows, columns); };
  const auto out = [&] { return b.out(members, rows, columns); };
  int32_t low = b.p.hyper("low", -0.5), high = b.p.hyper("high", 0.25), one = b.p.hyper("one", 1.5), two = b.p.hyper("two", -2), zero = b.p.hyper("zero", 0);
  b.p.op("normal", UNIFIEDRL_OP_NOISE, {out()}, {}, {7, 0}, {one, zero});
  b.p.op("cut", UNIFIEDRL_OP_NOISE, {out()}, {}, {8, 0}, {one, b.p.hyper("limit", 0.75)});
  b.p.op("uniform", UNIFIEDRL_OP_NOISE, {out()}, {}, {9, 1}, {one, zero});
  b.p.op("clip", UNIFIEDRL_OP_CLIP, {in(), out(), out()}, {}, {}, {low, high});
  b.p.op("combine", UNIFIEDRL_OP_COMBINE, {in(), in(), out()}, {}, {}, {one, two, high});
  b.p.op("affine", UNIFIEDRL_OP_COMBINE, {in(), kNone, out()}, {}, {}, {two, one, high});
  b.p.op("shared", UNIFIEDRL_OP_COMBINE, {b.in(1, rows, 1), b.in(members, 1, columns), out()}, {}, {}, {one, two, high});
  b.p.op("multiply", UNIFIEDRL_OP_MULTIPLY, {in(), in(), out()});
  b.p.op("scalar", UNIFIEDRL_OP_MULTIPLY, {b.in(1, 1, 1), in(), out()});
  b.p.op("weight", UNIFIEDRL_OP_EXP_WEIGHT, {in(), in(), out()}, {}, {}, {b.p.hyper("beta", 3), b.p.hyper("cap", 20)});
  b.p.op("weight of one", UNIFIEDRL_OP_EXP_WEIGHT, {in(), kNone, out()}, {}, {}, {two, one});
  b.p.op("normaliser", UNIFIEDRL_OP_NORMALISER, {in(), b.out(1, 1, 1)}, {}, {}, {b.p.hyper("scale", 2.5)});
}

void reductions(Bench& b, int64_t members, int64_t rows, int64_t n, int64_t columns) {
  int32_t w = b.p.hyper("w", 0.75), temperature = b.p.hyper("temperature", 0.5);
  b.p.op("extreme", UNIFIEDRL_OP_GROUP_EXTREME, {b.in(6, rows, columns), b.out(2, rows, columns), b.out(6, rows, columns)}, {}, {3}, {w});
  for (int64_t kind : {UNIFIEDRL_SUM, UNIFIEDRL_MEAN, UNIFIEDRL_MAX, UNIFIEDRL_LOG_SUM_EXP}) {
    b.p.op("rows", UNIFIEDRL_OP_ROW_REDUCE, {b.in(members, rows * n, columns), b.out(members, rows, columns), b.out(members, rows * n, columns)}, {},
           {n, kind}, {temperature});
    b.p.op("rows and columns", UNIFIEDRL_OP_ROW_REDUCE, {b.in(members, rows * n, columns), b.out(members, rows, 1), b.out(members, rows * n, columns)}, {},
           {n, kind}, {temperature});
  }
}

// Each reads rows that an op before it wrote.
void layouts(Bench& b, int64_t members, int64_t rows, int64_t n, int64_t columns) {
  int32_t sum = b.out(members, rows, columns), repeated = b.out(members, rows * n, columns), shape = b.out(members, rows, n * columns);
  b.p.op("add", UNIFIEDRL_OP_ADD, {b.in(members, rows, columns), b.in(members, rows, columns), sum});
  b.p.op("slice of a sum", UNIFIEDRL_OP_SLICE, {sum, b.out(1, rows - 1, 1)}, {}, {members - 1, 1, columns - 1});
  b.p.op("repeat", UNIFIEDRL_OP_REPEAT, {sum, repeated}, {}, {n});
  int32_t both = b.out(members, rows * n + rows, columns);
  b.p.op("below", UNIFIEDRL_OP_CONCAT_ROWS, {repeated, sum, both});
  b.p.op("above", UNIFIEDRL_OP_CONCAT_ROWS, {sum, repeated, b.out(members, rows * n + rows, columns)});
  b.p.op("slice", UNIFIEDRL_OP_SLICE, {both, b.out(members, rows, columns)}, {}, {0, rows / 2, 0});
  b.p.op("reshape", UNIFIEDRL_OP_RESHAPE, {repeated, shape});
  // As many rows as what it reads, which the same launch could write: each row must wait for another one.
  int32_t scaled = b.out(members, rows, columns), turned = b.out(members, rows, columns), last = b.out(members, rows, columns);
  b.p.op("scaled", UNIFIEDRL_OP_MULTIPLY, {sum, b.in(1, 1, 1), scaled});
  b.p.op("same", UNIFIEDRL_OP_RESHAPE, {scaled, turned});
  b.p.op("next", UNIFIEDRL_OP_SLICE, {both, last}, {}, {0, rows * n, 0});
  b.p.op("product", UNIFIEDRL_OP_MULTIPLY, {turned, last, b.out(members, rows, columns)});
}

// Heads are of order 1 and limits cut some of them off.
void gaussians(Bench& b, int64_t members, int64_t rows, int64_t dimensions) {
  constexpr int32_t kNone = UNIFIEDRL_NONE;
  int32_t low = b.p.hyper("low", -0.75), high = b.p.hyper("high", 0.5);
  for (int64_t squash : {0, 1}) {
    int32_t head = b.in(members, rows, 2 * dimensions), noise = b.in(members, rows, dimensions), action = b.out(members, rows, dimensions);
    int32_t daction = b.in(members, rows, dimensions), dlog_prob = b.in(members, rows, 1);
    b.p.op("sample", UNIFIEDRL_OP_GAUSSIAN_SAMPLE, {head, noise, action, b.out(members, rows, 1)}, {}, {squash}, {low, high});
    for (int given : {1, 2, 3}) {
      b.p.op("backward", UNIFIEDRL_OP_GAUSSIAN_SAMPLE_BACKWARD,
             {head, noise, action, (given & 1) != 0 ? daction : kNone, (given & 2) != 0 ? dlog_prob : kNone, b.out(members, rows, 2 * dimensions)}, {},
             {squash}, {low, high});
    }
    for (int64_t shared : {int64_t{1}, members}) {
      b.p.op("log_prob", UNIFIEDRL_OP_GAUSSIAN_LOG_PROB,
             {head, b.in(shared, rows, dimensions), b.out(members, rows, 1), b.out(members, rows, 2 * dimensions)}, {}, {squash}, {low, high});
    }
  }
  b.p.op("kl", UNIFIEDRL_OP_GAUSSIAN_KL, {b.in(members, rows, 2 * dimensions), b.out(members, rows, 1), b.out(members, rows, 2 * dimensions)}, {}, {},
         {low, high});
  for (int64_t shared : {int64_t{1}, members}) {
    b.p.op("expectile", UNIFIEDRL_OP_EXPECTILE, {b.in(shared, rows, 1), b.in(members, rows, 1), b.out(members, rows, 1), b.out(members, rows, 1)}, {}, {},
           {b.p.hyper("tau", 0.7)});
  }
}

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

// Forward pass; gradients of a loss; then those of SUM (direction * dx) beside them.
void tangent(Bench& b, int64_t members, int64_t x_members, int64_t rows, std::vector<int64_t> sizes, int64_t first, int64_t columns) {
  int64_t hidden = sum_of_hidden(sizes), outputs = sizes.back();
  int32_t net = b.network(members, sizes), x = b.in(x_members, rows, sizes[0]), y = b.out(members, rows, outputs);
  int32_t tape = hidden == 0 ? UNIFIEDRL_NONE : b.p.tensor("tape", members, rows, hidden, UNIFIEDRL_TENSOR_TAPE), dy = b.in(members, rows, outputs);
  b.p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, tape}, {net});
  b.p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD, {x, y, tape, b.in(members, rows, outputs)}, {net});
  b.p.op("tangent", UNIFIEDRL_OP_MLP_BACKWARD_TANGENT, {y, tape, dy, b.in(members, rows, columns)}, {net}, {first});
  b.p.op("again", UNIFIEDRL_OP_MLP_BACKWARD_TANGENT, {y, tape, b.in(members, rows, outputs), b.in(members, rows, 1)}, {net}, {sizes[0] - 1});
  b.trained.push_back(net);
}

void layer_norm(Bench& b, int64_t members, int64_t rows, int64_t columns) {
  int32_t epsilon = b.p.hyper("epsilon", 1e-5);
  for (int64_t relu : {0, 1}) {
    for (int64_t parameters : {0, 1}) {
      int32_t net = b.network(members, {1, columns}), x = b.in(members, rows, columns), stat = b.out(members, rows, 2);
      b.p.op("norm", UNIFIEDRL_OP_LAYER_NORM, {x, b.out(members, rows, columns), stat}, {net}, {relu}, {epsilon});
      b.p.op("norm backward", UNIFIEDRL_OP_LAYER_NORM_BACKWARD, {x, stat, b.in(members, rows, columns), b.out(members, rows, columns)}, {net},
             {relu, parameters});
      if (parameters == 1) {
        b.trained.push_back(net);
      }
    }
  }
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
      // A few roundings, and exponents of at most 6 in magnitude.
      {"element by element", [](Bench& b) { elementwise(b, 2, 5, 3); }, 3e-6},
      {"element by element, many rows", [](Bench& b) { elementwise(b, 3, 700, 4); }, 3e-6},
      {"reductions", [](Bench& b) { reductions(b, 2, 3, 4, 3); }, 3e-6},
      {"reductions of many rows", [](Bench& b) { reductions(b, 1, 300, 5, 7); }, 3e-6},
      {"reductions of single rows and columns", [](Bench& b) { reductions(b, 3, 37, 1, 1); }, 3e-6},
      {"layouts", [](Bench& b) { layouts(b, 2, 6, 3, 2); }, 3e-7},
      {"layouts of many rows", [](Bench& b) { layouts(b, 3, 300, 4, 5); }, 3e-7},
      // Sums of up to ten terms, of which the largest are z^2 / 2 with z up to 5: exp, log1p and the product are each within some u.
      {"Gaussians", [](Bench& b) { gaussians(b, 2, 5, 3); }, 3e-6},
      {"Gaussians of many rows", [](Bench& b) { gaussians(b, 3, 600, 10); }, 3e-6},
      {"Gaussians of one dimension", [](Bench& b) { gaussians(b, 1, 37, 1); }, 3e-6},
      {"layer norm", [](Bench& b) { layer_norm(b, 3, 37, 21); }},
      {"layer norm of many columns", [](Bench& b) { layer_norm(b, 1, 70, 100); }},
      {"layer norm of many rows", [](Bench& b) { layer_norm(b, 2, 600, 5); }},
      {"second derivatives", [](Bench& b) { tangent(b, 3, 1, 37, {9, 17, 13, 1}, 4, 5); }},
      {"second derivatives of wide layers", [](Bench& b) { tangent(b, 2, 2, 96, {70, 80, 65, 3}, 3, 20); }},
      {"second derivatives of fused layers", [](Bench& b) { tangent(b, 2, 1, 50, {24, 32, 16, 1}, 20, 4); }},
      {"second derivatives of one layer", [](Bench& b) { tangent(b, 3, 1, 37, {11, 2}, 0, 11); }},
      {"diversity", [](Bench& b) {
         b.p.op("two", UNIFIEDRL_OP_DIVERSITY, {b.in(2, 37, 3), b.out(1, 37, 1), b.out(2, 37, 3)});
         b.p.op("ten", UNIFIEDRL_OP_DIVERSITY, {b.in(10, 130, 12), b.out(1, 130, 1), b.out(10, 130, 12)});
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

// The tolerances of "check:A,B", which scale differences otherwise than this test does.
TEST(every_op_passes_the_check_against_the_reference) {
  for (const Variant& variant : variants()) {
    Bench bench;
    variant.build(bench);
    Store store(19, 3, 2, {37, 100, 3});
    for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
      Engine engine(bench.p, (std::string("check:reference,") + unifiedrl_backend_name(i)).c_str(), {}, store.handle);
      fill(engine, bench);
      engine.run(2);
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

// One op on every back end; check(engine) sees its results.
void on_every_backend(const Program& p, const std::vector<std::pair<int32_t, std::vector<float>>>& constants, const std::function<void(Engine&)>& check) {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    Engine engine(p, unifiedrl_backend_name(i));
    for (const auto& [id, values] : constants) {
      engine.set_tensor(id, values);
    }
    engine.run(1);
    check(engine);
  }
}

// NaN stands for any value that is not a number.
void check_values(const std::vector<double>& found, const std::vector<double>& expected, double tolerance = 1e-6) {
  CHECK(found.size() == expected.size());
  for (size_t k = 0; k < found.size(); ++k) {
    if (std::isnan(expected[k])) {
      CHECK(std::isnan(found[k]));
    } else {
      CHECK_NEAR(found[k], expected[k], tolerance);
    }
  }
}

const double kNot = static_cast<double>(kNaN);

TEST(clip_includes_its_ends_and_keeps_what_is_not_a_number) {
  Program p;
  int32_t x = p.constant("x", 1, 1, 6), out = p.tensor("out", 1, 1, 6), inside = p.tensor("inside", 1, 1, 6);
  p.op("clip", UNIFIEDRL_OP_CLIP, {x, out, inside}, {}, {}, {p.hyper("low", -0.5), p.hyper("high", 0.25)});
  on_every_backend(p, {{x, {-0.5f, 0.25f, 0, -2, 3, kNaN}}}, [&](Engine& engine) {
    check_values(engine.tensor(out, 6), {-0.5, 0.25, 0, -0.5, 0.25, kNot});
    check_values(engine.tensor(inside, 6), {1, 1, 1, 0, 0, 0});
  });
}

TEST(combine_and_multiply_broadcast) {
  Program p;
  int32_t x = p.constant("x", 2, 1, 2), y = p.constant("y", 1, 3, 1), sum = p.tensor("sum", 2, 3, 2), product = p.tensor("product", 2, 3, 2);
  int32_t plain = p.tensor("plain", 2, 1, 2);
  p.op("combine", UNIFIEDRL_OP_COMBINE, {x, y, sum}, {}, {}, {p.hyper("a", 2), p.hyper("b", -1), p.hyper("c", 10)});
  p.op("plain", UNIFIEDRL_OP_COMBINE, {x, UNIFIEDRL_NONE, plain}, {}, {}, {p.hyper("a", 2), p.hyper("b", 5), p.hyper("c", 1)});
  p.op("multiply", UNIFIEDRL_OP_MULTIPLY, {x, y, product});
  on_every_backend(p, {{x, {1, 2, 3, 4}}, {y, {5, 6, 7}}}, [&](Engine& engine) {
    check_values(engine.tensor(sum, 12), {7, 9, 6, 8, 5, 7, 11, 13, 10, 12, 9, 11});
    check_values(engine.tensor(plain, 4), {3, 5, 7, 9});
    check_values(engine.tensor(product, 12), {5, 10, 6, 12, 7, 14, 15, 20, 18, 24, 21, 28});
  });
}

TEST(the_first_of_equal_extremes_has_the_share) {
  Program p;
  int32_t q = p.constant("q", 3, 4, 1), out = p.tensor("out", 1, 4, 1), share = p.tensor("share", 3, 4, 1);
  p.op("extreme", UNIFIEDRL_OP_GROUP_EXTREME, {q, out, share}, {}, {3}, {p.hyper("w", 0.75)});
  int32_t x = p.constant("x", 1, 8, 2), kinds[4], shares[4];
  for (int64_t kind : {UNIFIEDRL_SUM, UNIFIEDRL_MEAN, UNIFIEDRL_MAX, UNIFIEDRL_LOG_SUM_EXP}) {
    kinds[kind] = p.tensor("reduced", 1, 4, 1);
    shares[kind] = p.tensor("share", 1, 8, 2);
    p.op("reduce", UNIFIEDRL_OP_ROW_REDUCE, {x, kinds[kind], shares[kind]}, {}, {2, kind}, {p.hyper("temperature", 0.01)});
  }
  // Rows of q: all equal; ties of two; distinct; with NaN. Rows of x, of two each: ties; equal; far apart; with NaN.
  on_every_backend(
      p, {{q, {1, 2, 1, 1, 1, 2, 3, kNaN, 1, -1, 2, 3}}, {x, {1, 3, 3, 2, 0.5f, 0.5f, 0.5f, 0.5f, -80, 90, 0, 1, kNaN, 1, 1, 2}}}, [&](Engine& engine) {
        check_values(engine.tensor(out, 4), {1, 0.75 * -1 + 0.25 * 2, 0.75 * 1 + 0.25 * 3, kNot});
        check_values(engine.tensor(share, 12), {1, 0.25, 0.75, kNot, 0, 0, 0.25, kNot, 0, 0.75, 0, kNot});
        check_values(engine.tensor(kinds[UNIFIEDRL_SUM], 4), {9, 2, 11, kNot});
        check_values(engine.tensor(kinds[UNIFIEDRL_MEAN], 4), {2.25, 0.5, 2.75, kNot});
        check_values(engine.tensor(kinds[UNIFIEDRL_MAX], 4), {3, 0.5, 90, kNot});
        check_values(engine.tensor(kinds[UNIFIEDRL_LOG_SUM_EXP], 4), {3 + 0.01 * std::log(2), 0.5 + 0.01 * std::log(4), 90, kNot});
        check_values(engine.tensor(shares[UNIFIEDRL_MAX], 16), {0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, kNot, kNot, kNot, kNot});
        check_values(engine.tensor(shares[UNIFIEDRL_LOG_SUM_EXP], 16),
                     {0, 0.5, 0.5, 0, 0.25, 0.25, 0.25, 0.25, 0, 1, 0, 0, kNot, kNot, kNot, kNot});
      });
}

TEST(layouts_put_values_where_they_belong) {
  Program p;
  int32_t x = p.constant("x", 2, 2, 2), y = p.constant("y", 2, 1, 2), repeated = p.tensor("repeated", 2, 4, 2), both = p.tensor("both", 2, 3, 2);
  int32_t slice = p.tensor("slice", 1, 2, 1), shape = p.tensor("shape", 2, 1, 4);
  p.op("repeat", UNIFIEDRL_OP_REPEAT, {x, repeated}, {}, {2});
  p.op("concat_rows", UNIFIEDRL_OP_CONCAT_ROWS, {x, y, both});
  p.op("slice", UNIFIEDRL_OP_SLICE, {both, slice}, {}, {1, 1, 1});
  p.op("reshape", UNIFIEDRL_OP_RESHAPE, {x, shape});
  on_every_backend(p, {{x, {1, 2, 3, 4, 5, 6, 7, 8}}, {y, {9, 10, 11, 12}}}, [&](Engine& engine) {
    check_values(engine.tensor(repeated, 16), {1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8, 7, 8});
    check_values(engine.tensor(both, 12), {1, 2, 3, 4, 9, 10, 5, 6, 7, 8, 11, 12});
    check_values(engine.tensor(slice, 2), {8, 12});
    check_values(engine.tensor(shape, 8), {1, 2, 3, 4, 5, 6, 7, 8});
  });
}

// log(1 - tanh(u)^2) = 2 log 2 - 2 |u| to within 2 exp(-2 |u|), where tanh(u) itself is 1 in float32.
// Rows: -1 and 3, no variance, not a number; the gain is (2, 1) and the bias (0.5, 0), the variance's epsilon 4.
TEST(layer_norm_of_rows_without_variance) {
  const double deviation = std::sqrt(8.0), flat = 0.5;
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    for (int64_t relu : {0, 1}) {
      Program p;
      int32_t net = p.network("net", 1, {1, 2}), x = p.constant("x", 1, 3, 2), y = p.tensor("y", 1, 3, 2), stat = p.tensor("stat", 1, 3, 2);
      int32_t dy = p.constant("dy", 1, 3, 2), dx = p.tensor("dx", 1, 3, 2);
      p.op("norm", UNIFIEDRL_OP_LAYER_NORM, {x, y, stat}, {net}, {relu}, {p.hyper("epsilon", 4)});
      p.op("backward", UNIFIEDRL_OP_LAYER_NORM_BACKWARD, {x, stat, dy, dx}, {net}, {relu, 0});
      unifiedrl_options options = {};
      options.materialise = 1;
      Engine engine(p, unifiedrl_backend_name(i), options);
      engine.set_network(net, {2, 1, 0.5, 0});
      engine.set_tensor(x, {-1, 3, 7, 7, kNaN, 1});
      engine.set_tensor(dy, {1, 0, 1, 0, 1, 0});
      engine.run(1);
      if (relu == 0) {
        check_values(engine.tensor(stat, 6), {1, 1 / deviation, 7, flat, kNot, kNot});
        check_values(engine.tensor(y, 6), {0.5 - 4 / deviation, 2 / deviation, 0.5, 0, kNot, kNot});
        // g = (2, 0), mean 1, xhat = (-2, 2) / sd, mean of g xhat -2 / sd: dx = (1 - 4 / 8, -1 + 4 / 8) / sd
        check_values(engine.tensor(dx, 6), {0.5 / deviation, -0.5 / deviation, 0.5, -0.5, kNot, kNot});
      } else {  // h = (0, 3), variance 2.25
        check_values(engine.tensor(stat, 6), {1.5, 0.4, 7, flat, kNot, kNot});
        check_values(engine.tensor(y, 6), {0.5 - 1.2, 0.6, 0.5, 0, kNot, kNot});
        // xhat = (-0.6, 0.6), mean of g xhat -0.6: the second column's 0.4 (-1 + 0.36), and nothing through the unit that is off
        check_values(engine.tensor(dx, 6), {0, 0.4 * (-1 + 0.36), 0.5, -0.5, kNot, kNot});
      }
    }
  }
}

// Rows: equal directions, opposite ones, at right angles, none at all, not a number.
TEST(diversity_of_gradients_at_known_angles) {
  Program p;
  int32_t g = p.constant("g", 2, 5, 2), d = p.tensor("d", 1, 5, 1), dg = p.tensor("dg", 2, 5, 2);
  p.op("diversity", UNIFIEDRL_OP_DIVERSITY, {g, d, dg});
  on_every_backend(p, {{g, {3, 4, 3, 4, 2, 0, 0, 0, kNaN, 1, /* the other member */ 6, 8, -6, -8, 0, 4, 0, 0, 1, 1}}}, [&](Engine& engine) {
    // Both orders of the pair count: twice its cosine.
    check_values(engine.tensor(d, 5), {2, -2, 0, 0, kNot});
    // At right angles the gradient is the other's direction, twice, divided by the length and by the rows.
    std::vector<double> found = engine.tensor(dg, 20);
    check_values(found, {0, 0, 0, 0, 0, 0.2, 0, 0, kNot, kNot, 0, 0, 0, 0, 0.1, 0, 0, 0, kNot, kNot});
  });
}

TEST(squashed_densities_far_from_zero) {
  const std::vector<float> means = {30, -30, 12, 0, 1000, kNaN};
  const int64_t B = static_cast<int64_t>(means.size());
  Program p;
  int32_t head = p.constant("head", 1, B, 2), noise = p.constant("noise", 1, B, 1), one = p.constant("one", 1, B, 1), given = p.constant("given", 1, B, 1);
  int32_t action = p.tensor("action", 1, B, 1), log_prob = p.tensor("log_prob", 1, B, 1), dhead = p.tensor("dhead", 1, B, 2);
  int32_t of_given = p.tensor("of_given", 1, B, 1), dgiven = p.tensor("dgiven", 1, B, 2), low = p.hyper("low", -20), high = p.hyper("high", 2);
  p.op("sample", UNIFIEDRL_OP_GAUSSIAN_SAMPLE, {head, noise, action, log_prob}, {}, {1}, {low, high});
  p.op("backward", UNIFIEDRL_OP_GAUSSIAN_SAMPLE_BACKWARD, {head, noise, action, UNIFIEDRL_NONE, one, dhead}, {}, {1}, {low, high});
  p.op("given", UNIFIEDRL_OP_GAUSSIAN_LOG_PROB, {head, given, of_given, dgiven}, {}, {1}, {low, high});
  std::vector<float> heads;
  for (float mean : means) {
    heads.insert(heads.end(), {mean, 5});  // log_std is cut to 2
  }
  heads[7] = kNaN;  // of the mean 0
  const std::vector<float> actions = {1, -1, 2, 0, 0, 0};
  on_every_backend(p, {{head, heads}, {noise, std::vector<float>(static_cast<size_t>(B))}, {one, std::vector<float>(static_cast<size_t>(B), 1)}, {given, actions}},
                   [&](Engine& engine) {
                     const double density = -2 - 0.5 * std::log(2 * M_PI), log4 = 2 * std::log(2);
                     check_values(engine.tensor(log_prob, B), {density - log4 + 60, density - log4 + 60, density - log4 + 24, kNot, density - log4 + 2000, kNot});
                     check_values(engine.tensor(dhead, 2 * B), {2, 0, -2, 0, 2, 0, kNot, kNot, 2, 0, kNot, 0});
                     const double u = std::atanh(1 - 1e-6), sd = std::exp(2), correction = std::log(1 - std::pow(1 - 1e-6, 2));
                     const auto of = [&](double mean, double at, double c) { return density - 0.5 * std::pow((at - mean) / sd, 2) - c; };
                     check_values(engine.tensor(of_given, B),
                                  {of(30, u, correction), of(-30, -u, correction), of(12, u, correction), kNot, of(1000, 0, 0), kNot}, 1e-5);
                     std::vector<double> slope = engine.tensor(dgiven, 2 * B);
                     CHECK_NEAR(slope[0], (u - 30) / (sd * sd), 1e-6);
                     CHECK(slope[1] == 0 && slope[9] == 0 && std::isnan(slope[7]) && std::isnan(slope[10]));
                   });
}

TEST(weights_and_losses_at_the_edge_of_their_range) {
  Program p;
  int32_t x = p.constant("x", 1, 5, 1), y = p.constant("y", 1, 5, 1), weight = p.tensor("weight", 1, 5, 1), loss = p.tensor("loss", 1, 5, 1);
  int32_t dv = p.tensor("dv", 1, 5, 1), none = p.constant("none", 1, 5, 1), scale = p.tensor("scale", 1, 1, 1), of_nothing = p.tensor("of nothing", 1, 1, 1);
  int32_t kl = p.tensor("kl", 1, 5, 1), head = p.constant("head", 1, 5, 2), dhead = p.tensor("dhead", 1, 5, 2), broken = p.tensor("broken", 1, 1, 1);
  p.op("weight", UNIFIEDRL_OP_EXP_WEIGHT, {x, y, weight}, {}, {}, {p.hyper("beta", 3), p.hyper("cap", 100)});
  p.op("expectile", UNIFIEDRL_OP_EXPECTILE, {x, y, loss, dv}, {}, {}, {p.hyper("tau", 0.7)});
  p.op("broken", UNIFIEDRL_OP_NORMALISER, {x, broken}, {}, {}, {p.hyper("scale", 3)});
  p.op("scale", UNIFIEDRL_OP_NORMALISER, {y, scale}, {}, {}, {p.hyper("scale", 3)});
  p.op("of nothing", UNIFIEDRL_OP_NORMALISER, {none, of_nothing}, {}, {}, {p.hyper("scale", 3)});
  p.op("kl", UNIFIEDRL_OP_GAUSSIAN_KL, {head, kl, dhead}, {}, {}, {p.hyper("low", -1), p.hyper("high", 1)});
  on_every_backend(p, {{x, {2, 0, 500, -500, kNaN}}, {y, {1, 2, 0, 1, -1}}, {head, {0, 0, 2, -4, -1, 4, 0, kNaN, kNaN, 0}}}, [&](Engine& engine) {
    check_values(engine.tensor(weight, 5), {std::exp(3), std::exp(-6), 100, 0, kNot});
    check_values(engine.tensor(loss, 5), {0.7, 0.3 * 4, 0.7 * 250000, 0.3 * 501 * 501, kNot});
    check_values(engine.tensor(dv, 5), {-2 * 0.7 / 5, 2 * 0.3 * 2 / 5, -2 * 0.7 * 500 / 5, 2 * 0.3 * 501 / 5, kNot});
    check_values(engine.tensor(scale, 1), {3});
    CHECK_NEAR(engine.tensor(of_nothing, 1)[0] / 3e8, 1, 1e-6);
    CHECK(std::isnan(engine.tensor(broken, 1)[0]));
    check_values(engine.tensor(kl, 5), {0, (4 + std::exp(-2) - 1 + 2) / 2, (1 + std::exp(2) - 1 - 2) / 2, kNot, kNot});
    check_values(engine.tensor(dhead, 10), {0, 0, 2, 0, -1, 0, 0, kNot, kNot, 0});
  });
}

// Moments of 200,000 draws, within five of their standard errors; equal streams draw the same, others do not; nor does another step.
TEST(noise_has_its_distribution_and_streams_are_independent) {
  const int64_t n = 200000;
  for (int64_t distribution : {0, 1}) {
    Program p;
    int32_t one = p.hyper("one", 1), none = p.hyper("none", 0), a = p.tensor("a", 1, n, 1), again = p.tensor("again", 1, 1, n), other = p.tensor("other", 1, n, 1);
    int32_t scaled = p.tensor("scaled", 1, n, 1);
    p.op("a", UNIFIEDRL_OP_NOISE, {a}, {}, {3, distribution}, {one, none});
    p.op("again", UNIFIEDRL_OP_NOISE, {again}, {}, {3, distribution}, {one, none});
    p.op("other", UNIFIEDRL_OP_NOISE, {other}, {}, {4, distribution}, {one, none});
    p.op("scaled", UNIFIEDRL_OP_NOISE, {scaled}, {}, {3, distribution}, {p.hyper("scale", 2), p.hyper("limit", 0.5)});
    Engine engine(p, unifiedrl_backend_name(0));
    engine.run(1);
    std::vector<double> x = engine.tensor(a, n), y = engine.tensor(other, n), cut = engine.tensor(scaled, n);
    CHECK(x == engine.tensor(again, n));
    engine.run(1);
    std::vector<double> next = engine.tensor(a, n);
    double sum = 0, squares = 0, fourth = 0, with_other = 0, with_next = 0, with_neighbour = 0, below = 0;
    for (size_t k = 0; k < x.size(); ++k) {
      sum += x[k];
      squares += x[k] * x[k];
      fourth += std::pow(x[k], 4);
      with_other += x[k] * y[k];
      with_next += x[k] * next[k];
      with_neighbour += x[k] * x[(k + 1) % x.size()];
      below += x[k] < -0.5 ? 1 : 0;
      CHECK(distribution == 0 || std::fabs(x[k]) <= 1);
      CHECK(cut[k] == std::fmin(std::fmax(2 * x[k], -0.5), 0.5));
    }
    const double draws = static_cast<double>(n), variance = distribution == 0 ? 1 : 1.0 / 3, kurtosis = distribution == 0 ? 3 : 0.2;
    const double eighth = distribution == 0 ? 105 : 1.0 / 9, tail = distribution == 0 ? 0.5 * std::erfc(0.5 / std::sqrt(2.0)) : 0.25;
    CHECK(std::fabs(sum / draws) < 5 * std::sqrt(variance / draws));
    CHECK(std::fabs(squares / draws - variance) < 5 * std::sqrt((kurtosis - variance * variance) / draws));
    CHECK(std::fabs(fourth / draws - kurtosis) < 5 * std::sqrt((eighth - kurtosis * kurtosis) / draws));
    CHECK(std::fabs(below / draws - tail) < 5 * std::sqrt(tail * (1 - tail) / draws));
    for (double product : {with_other, with_next, with_neighbour}) {
      CHECK(std::fabs(product / draws) < 5 * variance / std::sqrt(draws));
    }
  }
}

// With a period of 2, Adam's k-th update is at step 2 k, and the soft update keeps its own period; the norm is formed at every step.
TEST(adam_has_a_period) {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    for (int32_t materialise : {0, 1}) {
      for (int64_t members : {1, 2}) {
        const auto run = [&](int64_t period, int64_t target_period, int64_t steps, std::vector<double>* target, double* norm) {
          Program p;
          int32_t net = p.network("net", members, {4, 2}), copy = p.network("copy", members, {4, 2}), x = p.constant("x", 1, 3, 4);
          int32_t y = p.tensor("y", members, 3, 2), dy = p.constant("dy", members, 3, 2), norms = p.tensor("norm", members, 1, 1);
          std::vector<int32_t> hypers;
          for (double value : {1e-2, 0.9, 0.99, 1e-6, 0.3, 0.5}) {
            hypers.push_back(p.hyper("adam", value));
          }
          p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, UNIFIEDRL_NONE}, {net});
          p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD, {x, y, UNIFIEDRL_NONE, dy}, {net});
          p.op("adam", UNIFIEDRL_OP_ADAM, {norms}, {net}, {period}, hypers);
          p.op("move", UNIFIEDRL_OP_SOFT_UPDATE, {}, {copy, net}, {target_period}, {p.hyper("w", 0.5)});
          p.op("metric", UNIFIEDRL_OP_METRIC, {norms}, {}, {0});
          unifiedrl_options options = {};
          options.materialise = materialise;
          Engine engine(p, unifiedrl_backend_name(i), options);
          CHECK_OK(unifiedrl_network_initialise(engine.handle, net, 2));
          CHECK_OK(unifiedrl_network_initialise(engine.handle, copy, 3));
          Random random(41);
          engine.set_tensor(x, random.vector(12));
          engine.set_tensor(dy, random.vector(members * 6));
          engine.run(steps);
          *target = engine.network(copy);
          std::vector<float> rows(static_cast<size_t>(steps));
          int64_t drained = 0;
          CHECK_OK(unifiedrl_engine_metrics(engine.handle, rows.data(), steps, &drained));
          CHECK(drained == steps);
          for (float row : rows) {
            CHECK(row > 0 && row == rows[0]);
          }
          *norm = static_cast<double>(rows[0]);
          return engine.network(net);
        };
        std::vector<double> target, plain_target;
        double norm, plain_norm;
        check_values(run(2, 1, 7, &target, &norm), run(1, 1, 3, &plain_target, &plain_norm), 1e-7);
        CHECK_NEAR(norm, plain_norm, 1e-6);
        // Between Adam's updates the target still moves: it is nearer to the network than where both move together.
        CHECK(target != plain_target);
        std::vector<double> rarely = run(2, 3, 3, &target, &norm), once = run(1, 1, 1, &plain_target, &plain_norm);
        check_values(rarely, once, 1e-7);
        check_values(target, plain_target, 1e-7);
      }
    }
  }
}

int main(int argc, char** argv) { return test::main(argc, argv); }
