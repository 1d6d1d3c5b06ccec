// What a back end with memory of its own promises beyond conformance.cpp: precision, where the replay lies, graphs, failures. Runs on the back ends that
// UNIFIEDRL_TEST_BACKENDS names, and needs at least one.
#include <cstring>
#include <thread>

#include "engine.h"

using namespace test;

namespace {

// Those that were loaded come after those built in.
std::vector<std::string> devices() {
  std::vector<std::string> names;
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    std::string name = unifiedrl_backend_name(i);
    if (name != "cpu" && name != "reference" && name != "reference32") {
      names.push_back(name);
    }
  }
  return names;
}

std::vector<double> state(const Step& step, const Engine& engine) {
  std::vector<double> all;
  for (int32_t network : {step.critic, step.actor, step.target_critic, step.target_actor}) {
    std::vector<double> values = engine.network(network);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

std::vector<float> metrics(const Engine& engine, int64_t rows) {
  std::vector<float> values(static_cast<size_t>(rows * unifiedrl_engine_metric_slots(engine.handle)));
  int64_t count = 0;
  CHECK_OK(unifiedrl_engine_metrics(engine.handle, values.data(), rows, &count));
  CHECK(count == rows);
  return values;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / (size + 1e-30));
}

// What has been learned in some steps, at a precision.
struct Learned {
  std::vector<double> moved;
  std::vector<float> losses;
};

Learned learn(const std::string& backend, const Step& step, const Store& store, int32_t precision, int64_t steps) {
  unifiedrl_options options = {};
  options.seed = 3;
  options.precision = precision;
  Engine engine(step.p, backend.c_str(), options, store.handle);
  step.initialise(engine);
  Learned result;
  std::vector<double> start = engine.network(step.critic);
  engine.run(steps);
  result.moved = engine.network(step.critic);
  for (size_t k = 0; k < start.size(); ++k) {
    result.moved[k] -= start[k];
  }
  std::vector<float> rows = metrics(engine, steps);
  for (size_t k = 0; k < rows.size(); k += 2) {
    result.losses.push_back(rows[k]);
  }
  return result;
}

}  // namespace

TEST(there_is_a_device) {
  CHECK(!devices().empty());
  for (const std::string& name : devices()) {
    for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
      if (name == unifiedrl_backend_name(i)) {
        std::printf("%s: %s\n", name.c_str(), unifiedrl_backend_description(i));
        CHECK(unifiedrl_backend_score(i) > 0);
      }
    }
  }
}

// tf32 keeps 10 bits of each factor and bf16 7: over some hundred terms 1e-3 and 4e-3 of a layer's sums. The mean loss of a stretch of steps is within
// 1 % of fp32's; parameters go their own way, since Adam divides what is left of a small gradient by itself.
TEST(losses_at_lower_precision_follow_fp32) {
  for (const std::string& backend : devices()) {
    Store store(33, 10, 2, {300, 100});
    Step step(33, 10, 2, 3, 72, {64, 48});
    const int64_t steps = check::kSanitized ? 20 : 60, stretch = 20;
    Learned exact = learn(backend, step, store, UNIFIEDRL_FP32, steps);
    for (int32_t precision : {UNIFIEDRL_TF32, UNIFIEDRL_BF16}) {
      Learned coarse = learn(backend, step, store, precision, steps);
      for (int64_t first = 0; first < steps; first += stretch) {
        double expected = 0, found = 0;
        for (int64_t k = first; k < first + stretch; ++k) {
          expected += static_cast<double>(exact.losses[static_cast<size_t>(k)]);
          found += static_cast<double>(coarse.losses[static_cast<size_t>(k)]);
        }
        if (!(std::abs(found / expected - 1) <= 0.01)) {
          check::fail(__FILE__, __LINE__, "%s, precision %d, steps from %d: loss %g instead of %g", backend.c_str(), precision, static_cast<int>(first),
                      found / stretch, expected / stretch);
        }
      }
      double off = distance(coarse.moved, exact.moved);
      CHECK(off > 1e-6);  // it is another precision
      CHECK(off < 0.3);
    }
  }
}

// One hidden layer and three, at odd sizes: every product's path in low precision.
TEST(shapes_at_lower_precision_follow_fp32) {
  for (const std::string& backend : devices()) {
    for (const std::vector<int64_t>& hidden : {std::vector<int64_t>{9}, std::vector<int64_t>{40, 33, 20}}) {
      Store store(12, 4, 2, {150});
      Step step(12, 4, 2, 2, 65, hidden);
      Learned exact = learn(backend, step, store, UNIFIEDRL_FP32, 5);
      for (int32_t precision : {UNIFIEDRL_TF32, UNIFIEDRL_BF16}) {
        CHECK(distance(learn(backend, step, store, precision, 5).moved, exact.moved) < 0.2);
      }
    }
  }
}

TEST(a_streamed_replay_gives_the_same_bits) {
  for (const std::string& backend : devices()) {
    Store store(7, 3, 2, {37, 1, 100, 3});
    Step step(7, 3, 2, 3, 50, {16, 8});
    std::vector<double> expected;
    std::vector<float> expected_metrics;
    for (int32_t placement : {UNIFIEDRL_REPLAY_RESIDENT, UNIFIEDRL_REPLAY_STREAMED}) {
      for (int32_t materialise : {0, 1}) {
        unifiedrl_options options = {};
        options.seed = 9;
        options.replay = placement;
        options.materialise = materialise;
        Engine engine(step.p, backend.c_str(), options, store.handle);
        CHECK_CONTAINS(unifiedrl_engine_description(engine.handle), placement == UNIFIEDRL_REPLAY_STREAMED ? "streamed" : "on the device");
        step.initialise(engine);
        for (int64_t steps : {1, 16, 2, 37}) {  // below, at and above what a graph and a stage hold
          engine.run(steps);
        }
        std::vector<float> rows = metrics(engine, 56);
        if (expected.empty()) {
          expected = state(step, engine);
          expected_metrics = rows;
        }
        CHECK(state(step, engine) == expected);
        CHECK(rows == expected_metrics);
      }
    }
  }
}

TEST(a_run_of_many_steps_equals_many_runs) {
  for (const std::string& backend : devices()) {
    Store store(6, 3, 1, {64});
    Step step(6, 3, 1, 2, 16, {8, 8});
    Engine once(step.p, backend.c_str(), {}, store.handle), often(step.p, backend.c_str(), {}, store.handle);
    step.initialise(once);
    step.initialise(often);
    once.run(35);
    for (int k = 0; k < 35; ++k) {
      often.run(1);
    }
    CHECK(state(step, once) == state(step, often));
    CHECK(metrics(once, 35) == metrics(often, 35));
  }
}

// A bad row is drawn in the middle of a graph: what comes before it counts, what comes after does nothing.
TEST(a_run_stops_within_a_graph) {
  for (const std::string& backend : devices()) {
    for (int32_t placement : {UNIFIEDRL_REPLAY_RESIDENT, UNIFIEDRL_REPLAY_STREAMED}) {
      const int64_t rows = check::kSanitized ? 1300 : 4000;
      Store good(6, 3, 1, {rows}), bad(6, 3, 1, {rows});
      bad.parts[4][1234] = std::nanf("");
      Step step(6, 3, 1, 2, 64, {8});
      unifiedrl_options options = {};
      options.seed = 8;
      options.replay = placement;
      Engine expected(step.p, backend.c_str(), options, good.handle), stopped(step.p, backend.c_str(), options, bad.handle);
      step.initialise(expected);
      step.initialise(stopped);
      CHECK(unifiedrl_engine_run(stopped.handle, check::kSanitized ? 100 : 1000) == UNIFIEDRL_NOT_FINITE);
      std::string text = unifiedrl_error();
      int64_t complete = unifiedrl_engine_step(stopped.handle);
      CHECK_CONTAINS(text.c_str(), ("step " + std::to_string(complete + 1)).c_str());
      CHECK_CONTAINS(text.c_str(), "critic adam");
      CHECK(complete > 3 && complete < 900);  // 64 draws of 4,000 a step: 62 steps on average, or of 1,300: 20
      expected.run(complete);
      CHECK(state(step, expected) == state(step, stopped));
      CHECK(metrics(expected, complete) == metrics(stopped, complete));
    }
  }
}

TEST(engines_share_a_device) {
  for (const std::string& backend : devices()) {
    Store store(6, 3, 2, {64});
    Step step(6, 3, 2, 2, 16, {8, 8});
    Engine alone(step.p, backend.c_str(), {}, store.handle);
    step.initialise(alone);
    alone.run(20);
    std::vector<double> expected = state(step, alone), found[2];
    std::thread threads[2];
    for (int t = 0; t < 2; ++t) {
      threads[t] = std::thread([&, t] {
        Engine engine(step.p, backend.c_str(), {}, store.handle);
        step.initialise(engine);
        for (int k = 0; k < 4; ++k) {
          engine.run(5);
        }
        found[t] = state(step, engine);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CHECK(found[0] == expected);
    CHECK(found[1] == expected);
  }
}

// How a step's networks are run is chosen by measurement; what they give must not depend on it. In tf32 the library may cut
// operands off where the kernels round them (2^-11 of each); in bf16 activations are rounded after the bias in one and before it in the other.
TEST(fused_networks_equal_those_in_layers) {
  struct Shape {
    int64_t batch;
    std::vector<int64_t> hidden;
  };
  const Shape shapes[] = {{77, {64, 48}}, {77, {256}},       {77, {24, 40, 16, 8}},
                          {1, {64, 48}},  {131, {136, 72}}, {45, {8, 16, 24, 32, 40, 48}}};
  for (const std::string& backend : devices()) {
    for (const Shape& shape : shapes) {
      Store store(33, 10, 2, {150});
      Step step(33, 10, 2, 2, shape.batch, shape.hidden);
      for (auto [precision, close] : {std::pair(UNIFIEDRL_TF32, 3e-3), std::pair(UNIFIEDRL_BF16, 3e-2)}) {
        std::vector<double> moments[2], losses[2];
        for (int way : {0, 1}) {
          setenv("UNIFIEDRL_CUDA_NETWORKS", way == 0 ? "layered" : "fused", 1);
          unifiedrl_options options = {};
          options.precision = precision;
          Engine engine(step.p, backend.c_str(), options, store.handle);
          unsetenv("UNIFIEDRL_CUDA_NETWORKS");
          CHECK_CONTAINS(unifiedrl_engine_description(engine.handle), way == 0 ? "networks layer by layer" : "networks fused");
          step.initialise(engine);
          engine.run(1);
          for (int32_t network : {step.critic, step.actor}) {
            std::vector<double> values = engine.network(network, UNIFIEDRL_MOMENT1);
            moments[way].insert(moments[way].end(), values.begin(), values.end());
          }
          losses[way] = engine.tensor(step.loss, 4);
        }
        for (double off : {distance(moments[1], moments[0]), distance(losses[1], losses[0])}) {
          if (!(off <= close)) {
            check::fail(__FILE__, __LINE__, "%s, precision %d, batch %d, %d hidden layers: %g", backend.c_str(), precision,
                        static_cast<int>(shape.batch), static_cast<int>(shape.hidden.size()), off);
          }
        }
      }
    }
  }
}

// Biases that leave no hidden unit so close to 0 that a lower precision could switch it: one unit more or less is not rounding.
void keep_units_apart(Engine& engine, const Diverse& program, const std::vector<int64_t>& sizes) {
  std::vector<double> parameters = engine.network(program.critic);
  size_t at = 0;
  for (size_t l = 1; l < sizes.size(); ++l) {
    at += static_cast<size_t>(program.E * sizes[l - 1] * sizes[l]);
    for (int64_t k = 0; k < program.E * sizes[l]; ++k, ++at) {
      parameters[at] = l + 1 == sizes.size() ? 0.0 : (k % 3 == 0 ? -4.0 : 4.0);
    }
  }
  engine.set_network(program.critic, parameters);
}

// Whatever forms a network's gradients first, what is added to them counts in the norm and the update.
TEST(second_derivatives_at_every_precision) {
  for (const std::string& backend : devices()) {
    for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{24, 32, 16, 1}, {19, 17, 13, 1}, {40, 64, 1}, {9, 1}}) {
      Diverse program(4, 77, sizes, sizes[0] / 2);
      Engine reference(program.p, "reference");
      program.initialise(reference);
      keep_units_apart(reference, program, sizes);
      reference.run(1);
      std::vector<std::vector<double>> expected = program.results(reference);
      for (auto [precision, close] : {std::pair(UNIFIEDRL_FP32, 1e-5), std::pair(UNIFIEDRL_TF32, 3e-3), std::pair(UNIFIEDRL_BF16, 3e-2)}) {
        for (const char* way : {"layered", "fused"}) {
          setenv("UNIFIEDRL_CUDA_NETWORKS", way, 1);
          unifiedrl_options options = {};
          options.precision = precision;
          Engine engine(program.p, backend.c_str(), options);
          unsetenv("UNIFIEDRL_CUDA_NETWORKS");
          program.initialise(engine);
          keep_units_apart(engine, program, sizes);
          engine.run(1);
          std::vector<std::vector<double>> found = program.results(engine);
          for (size_t k = 0; k < expected.size(); ++k) {
            double off = distance(found[k], expected[k]);
            if (!(off <= close)) {
              check::fail(__FILE__, __LINE__, "%s, %s, precision %d, %d inputs: result %d is %g off", backend.c_str(), way, precision,
                          static_cast<int>(sizes[0]), static_cast<int>(k), off);
            }
          }
        }
      }
    }
  }
}

// A loss is formed late, with the gradients that it leads to where it can be: what reads it, at whatever place in the step, must find it there.
TEST(a_loss_is_there_for_what_reads_it) {
  enum Reader { kNobody, kMetric, kRowOp, kRowOpBehind, kNetwork, kNetworkBehind, kError };
  const int64_t E = 3, B = 21, I = 5;
  for (Reader reader : {kNobody, kMetric, kRowOp, kRowOpBehind, kNetwork, kNetworkBehind, kError}) {
    Program p;
    int32_t critic = p.network("critic", E, {I, 16, 1}), other = p.network("other", E, {1, 8, 2});
    int32_t rate = p.hyper("rate", 1e-3), beta = p.hyper("beta", 0.9), epsilon = p.hyper("epsilon", 1e-8), none = p.hyper("none", 0);
    int32_t x = p.constant("x", 1, B, I), y = p.constant("y", E, B, 1), target = p.constant("target", E, 1, 1), q = p.tensor("q", E, B, 1);
    int32_t tape = p.tensor("tape", E, B, 16, UNIFIEDRL_TENSOR_TAPE), dq = p.tensor("dq", E, B, 1), loss = p.tensor("loss", E, 1, 1);
    std::vector<std::pair<int32_t, int64_t>> results = {{loss, E}};
    const auto result = [&](const char* name, int64_t columns) {
      results.emplace_back(p.tensor(name, E, 1, columns), E * columns);
      return results.back().first;
    };
    const auto read = [&](bool behind) {
      if (reader == (behind ? kRowOpBehind : kRowOp)) {
        p.op("read", UNIFIEDRL_OP_ADD, {loss, target, result("sum", 1)});
      } else if (reader == (behind ? kNetworkBehind : kNetwork)) {
        p.op("read", UNIFIEDRL_OP_MLP_FORWARD, {loss, result("output", 2), UNIFIEDRL_NONE}, {other});
      } else if (reader == kError && !behind) {
        int32_t gradient = result("gradient", 1);
        p.op("read", UNIFIEDRL_OP_SQUARED_ERROR, {loss, target, gradient, result("loss of loss", 1)});
      } else if (reader == kMetric && !behind) {
        p.op("read", UNIFIEDRL_OP_METRIC, {loss}, {}, {0});
      }
    };
    p.op("q", UNIFIEDRL_OP_MLP_FORWARD, {x, q, tape}, {critic});
    p.op("error", UNIFIEDRL_OP_SQUARED_ERROR, {q, y, dq, loss});
    read(false);
    p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD, {x, q, tape, dq}, {critic});
    read(true);
    int32_t norm = p.tensor("norm", E, 1, 1);
    p.op("adam", UNIFIEDRL_OP_ADAM, {norm}, {critic}, {1}, {rate, beta, beta, epsilon, none, none});
    results.emplace_back(norm, E);
    Random random(4);
    std::vector<float> xs = random.vector(B * I), ys = random.vector(E * B), targets = random.vector(E);
    const auto values = [&](const char* backend, int32_t precision, int32_t materialise) {
      unifiedrl_options options = {};
      options.precision = precision;
      options.materialise = materialise;
      Engine engine(p, backend, options);
      CHECK_OK(unifiedrl_network_initialise(engine.handle, critic, 1));
      CHECK_OK(unifiedrl_network_initialise(engine.handle, other, 2));
      engine.set_tensor(x, xs);
      engine.set_tensor(y, ys);
      engine.set_tensor(target, targets);
      engine.run(1);
      std::vector<double> all;
      for (auto [id, count] : results) {
        std::vector<double> one = engine.tensor(id, count);
        all.insert(all.end(), one.begin(), one.end());
      }
      if (reader == kMetric) {
        for (float value : metrics(engine, 1)) {
          all.push_back(static_cast<double>(value));
        }
      }
      return all;
    };
    std::vector<double> expected = values("reference", UNIFIEDRL_FP32, 0);
    for (const std::string& backend : devices()) {
      for (auto [precision, close] : {std::pair(UNIFIEDRL_FP32, 1e-5), std::pair(UNIFIEDRL_TF32, 3e-3), std::pair(UNIFIEDRL_BF16, 3e-2)}) {
        for (int32_t materialise : {0, 1}) {
          setenv("UNIFIEDRL_CUDA_NETWORKS", "fused", 1);
          double off = distance(values(backend.c_str(), precision, materialise), expected);
          unsetenv("UNIFIEDRL_CUDA_NETWORKS");
          if (!(off <= close)) {
            check::fail(__FILE__, __LINE__, "%s, precision %d, materialise %d, reader %d: %g", backend.c_str(), precision, materialise, reader, off);
          }
        }
      }
    }
  }
}

// The squares of a gradient may be there with it or not, which differs from one backward pass of a network to the next: large batches
// of small networks are summed in parts.
TEST(gradients_of_a_network_are_those_of_its_latest_backward_pass) {
  const int64_t I = 6, batches[] = {5, 2100, 77, 2100};
  Program p;
  int32_t network = p.network("network", 1, {I, 16, 1});
  int32_t rate = p.hyper("rate", 1e-3), beta = p.hyper("beta", 0.9), epsilon = p.hyper("epsilon", 1e-8);
  int32_t none = p.hyper("none", 0), clip = p.hyper("clip", 0.1);
  std::vector<int32_t> x, y, q, tape, dq, loss, norm;
  for (int64_t B : batches) {
    x.push_back(p.constant("x", 1, B, I));
    y.push_back(p.constant("y", 1, B, 1));
    q.push_back(p.tensor("q", 1, B, 1));
    tape.push_back(p.tensor("tape", 1, B, 16, UNIFIEDRL_TENSOR_TAPE));
    dq.push_back(p.tensor("dq", 1, B, 1));
    loss.push_back(p.tensor("loss", 1, 1, 1));
  }
  const auto forward = [&](size_t k) {
    p.op("q", UNIFIEDRL_OP_MLP_FORWARD, {x[k], q[k], tape[k]}, {network});
    p.op("error", UNIFIEDRL_OP_SQUARED_ERROR, {q[k], y[k], dq[k], loss[k]});
  };
  const auto backward = [&](size_t k) { p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD, {x[k], q[k], tape[k], dq[k]}, {network}); };
  const auto adam = [&] {
    norm.push_back(p.tensor("norm", 1, 1, 1));
    p.op("adam", UNIFIEDRL_OP_ADAM, {norm.back()}, {network}, {1}, {rate, beta, beta, epsilon, none, clip});
  };
  forward(0);
  forward(1);
  backward(1);
  backward(0);
  adam();
  adam();
  forward(2);
  forward(3);
  backward(2);
  backward(3);
  adam();
  const auto values = [&](const char* backend, int32_t precision) {
    unifiedrl_options options = {};
    options.precision = precision;
    Engine engine(p, backend, options);
    CHECK_OK(unifiedrl_network_initialise(engine.handle, network, 1));
    Random random(4);
    for (size_t k = 0; k < x.size(); ++k) {
      engine.set_tensor(x[k], random.vector(batches[k] * I));
      engine.set_tensor(y[k], random.vector(batches[k], 0, static_cast<float>(k + 1)));
    }
    engine.run(2);
    std::vector<std::vector<double>> all = {engine.network(network, UNIFIEDRL_MOMENT1)};
    for (const std::vector<int32_t>& ids : {loss, norm}) {
      for (int32_t id : ids) {
        all.push_back(engine.tensor(id, 1));
      }
    }
    return all;
  };
  std::vector<std::vector<double>> expected = values("reference", UNIFIEDRL_FP32);
  for (const std::string& backend : devices()) {
    for (auto [precision, close] : {std::pair(UNIFIEDRL_FP32, 1e-4), std::pair(UNIFIEDRL_TF32, 3e-3), std::pair(UNIFIEDRL_BF16, 3e-2)}) {
      setenv("UNIFIEDRL_CUDA_NETWORKS", "fused", 1);
      std::vector<std::vector<double>> found = values(backend.c_str(), precision);
      unsetenv("UNIFIEDRL_CUDA_NETWORKS");
      for (size_t k = 0; k < expected.size(); ++k) {
        double off = distance(found[k], expected[k]);
        if (!(off <= close)) {
          check::fail(__FILE__, __LINE__, "%s, precision %d, result %d: %g", backend.c_str(), precision, static_cast<int>(k), off);
        }
      }
    }
  }
}

// Sums over large batches are formed in parts. Each is a sum of hundreds of terms in float: 1e-5.
TEST(gradients_of_a_large_batch_equal_the_reference) {
  for (const std::string& backend : devices()) {
    Store store(6, 3, 2, {700});
    Step step(6, 3, 2, 2, 1100, {16});
    std::vector<double> moments[2];
    for (int way : {0, 1}) {
      Engine engine(step.p, way == 0 ? "reference" : backend.c_str(), {}, store.handle);
      step.initialise(engine);
      engine.run(1);
      for (int32_t network : {step.critic, step.actor}) {
        std::vector<double> values = engine.network(network, UNIFIEDRL_MOMENT1);
        moments[way].insert(moments[way].end(), values.begin(), values.end());
      }
    }
    CHECK(distance(moments[1], moments[0]) < 1e-5);
  }
}

// The plan is made again without epilogues, while ops on rows and a loss of the first one still wait. (A device takes no notice of the variable.)
TEST(a_library_that_promises_too_much_is_made_do_without) {
  const int64_t B = 9, I = 5;
  Program p;
  int32_t flat = p.network("flat", 1, {I, 2}), network = p.network("network", 1, {I, 12, 1});
  int32_t x = p.constant("x", 1, B, I), y = p.constant("y", 1, B, 1), twice = p.tensor("twice", 1, B, I), out = p.tensor("out", 1, B, 2);
  int32_t dy = p.tensor("dy", 1, B, 1), loss = p.tensor("loss", 1, 1, 1), sum = p.tensor("sum", 1, B, 1), q = p.tensor("q", 1, B, 1);
  p.op("twice", UNIFIEDRL_OP_ADD, {x, x, twice});
  p.op("out", UNIFIEDRL_OP_MLP_FORWARD, {twice, out, UNIFIEDRL_NONE}, {flat});
  p.op("sum", UNIFIEDRL_OP_ADD, {y, y, sum});
  p.op("error", UNIFIEDRL_OP_SQUARED_ERROR, {sum, y, dy, loss});
  p.op("q", UNIFIEDRL_OP_MLP_FORWARD, {x, q, UNIFIEDRL_NONE}, {network});
  Random random(4);
  std::vector<float> xs = random.vector(B * I), ys = random.vector(B);
  const auto values = [&](const char* backend) {
    Engine engine(p, backend);
    CHECK_OK(unifiedrl_network_initialise(engine.handle, flat, 1));
    CHECK_OK(unifiedrl_network_initialise(engine.handle, network, 2));
    engine.set_tensor(x, xs);
    engine.set_tensor(y, ys);
    engine.run(1);
    std::vector<double> all;
    for (auto [id, count] : std::vector<std::pair<int32_t, int64_t>>{{twice, B * I}, {out, B * 2}, {sum, B}, {dy, B}, {loss, 1}, {q, B}}) {
      std::vector<double> one = engine.tensor(id, count);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  };
  std::vector<double> expected = values("reference");
  for (const std::string& backend : devices()) {
    setenv("UNIFIEDRL_EMULATED_EPILOGUES", "promised", 1);
    double off = distance(values(backend.c_str()), expected);
    unsetenv("UNIFIEDRL_EMULATED_EPILOGUES");
    CHECK(off < 1e-5);
  }
}

// Small batches wait for launches.
TEST(a_step_is_one_graph_of_few_nodes) {
  for (const std::string& backend : devices()) {
    // A library without some epilogue adds launches to a step in layers.
    for (auto [precision, most] : {std::pair(UNIFIEDRL_FP32, 60), std::pair(UNIFIEDRL_BF16, 20)}) {
      Store store(6, 3, 2, {64});
      Step step(6, 3, 2, 2, 256, {16, 16});
      unifiedrl_options options = {};
      options.precision = precision;
      setenv("UNIFIEDRL_CUDA_NETWORKS", "fused", 1);
      Engine engine(step.p, backend.c_str(), options, store.handle);
      unsetenv("UNIFIEDRL_CUDA_NETWORKS");
      std::string text = unifiedrl_engine_description(engine.handle);
      size_t at = text.find("a graph of ");
      CHECK(at != std::string::npos);
      int nodes = std::atoi(text.c_str() + at + std::strlen("a graph of "));
      std::printf("%s\n", text.c_str());
      CHECK(nodes > 0 && nodes <= most);
    }
  }
}

TEST(what_a_device_lacks_is_refused_with_a_reason) {
  for (const std::string& backend : devices()) {
    Store store(6, 3, 1, {64});
    Step step(6, 3, 1, 2, 16, {8});
    unifiedrl_options options = {};
    options.device = 99;
    unifiedrl_engine* engine = nullptr;
    CHECK(unifiedrl_engine_create(step.p.handle, store.handle, backend.c_str(), &options, &engine) == UNIFIEDRL_INVALID_ARGUMENT);
    CHECK_CONTAINS(unifiedrl_error(), "99");
    CHECK(engine == nullptr);
  }
}

// A program that leaves too little of the device for the replay.
TEST(a_replay_that_does_not_fit_is_streamed) {
  const char* limit = std::getenv("UNIFIEDRL_EMULATED_MEMORY_MIB");
  if (limit == nullptr || std::atoi(limit) > 256) {
    std::printf("skipped: set UNIFIEDRL_EMULATED_MEMORY_MIB to 256 or less on the emulated device\n");
    return;
  }
  for (const std::string& backend : devices()) {
    int64_t rows = std::atoi(limit) * int64_t{1024} * 1024 / 4 / 1000;
    std::vector<float> column(static_cast<size_t>(rows * 1000), 0.5f);
    std::vector<uint8_t> last(static_cast<size_t>(rows), 1);
    int64_t width = 1000;
    unifiedrl_replay* replay = nullptr;
    const float* columns[] = {column.data()};
    CHECK_OK(unifiedrl_replay_create(&width, 1, &replay));
    CHECK_OK(unifiedrl_replay_add(replay, columns, last.data(), rows));
    Program p;
    int32_t drawn = p.tensor("rows", 1, 8, 1, UNIFIEDRL_TENSOR_ROWS), out = p.tensor("out", 1, 8, 1000);
    p.op("sample", UNIFIEDRL_OP_SAMPLE, {drawn}, {}, {0});
    p.op("gather", UNIFIEDRL_OP_GATHER, {drawn, UNIFIEDRL_NONE, UNIFIEDRL_NONE, out}, {}, {0, 0});
    unifiedrl_options options = {};
    {
      Engine engine(p, backend.c_str(), options, replay);
      CHECK_CONTAINS(unifiedrl_engine_description(engine.handle), "streamed");
      CHECK_CONTAINS(unifiedrl_engine_description(engine.handle), "are left of the device");
      engine.run(20);
      CHECK(engine.tensor(out, 8000)[7999] == 0.5);
    }
    options.replay = UNIFIEDRL_REPLAY_RESIDENT;
    unifiedrl_engine* engine = nullptr;
    CHECK(unifiedrl_engine_create(p.handle, replay, backend.c_str(), &options, &engine) == UNIFIEDRL_OUT_OF_MEMORY);
    CHECK_CONTAINS(unifiedrl_error(), "let it be streamed");
    unifiedrl_replay_close(replay);
  }
}

int main(int argc, char** argv) { return test::main(argc, argv); }
