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
    const int64_t steps = 60, stretch = 20;
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
      Store good(6, 3, 1, {4000}), bad(6, 3, 1, {4000});
      bad.parts[4][1234] = std::nanf("");
      Step step(6, 3, 1, 2, 64, {8});
      unifiedrl_options options = {};
      options.seed = 8;
      options.replay = placement;
      Engine expected(step.p, backend.c_str(), options, good.handle), stopped(step.p, backend.c_str(), options, bad.handle);
      step.initialise(expected);
      step.initialise(stopped);
      CHECK(unifiedrl_engine_run(stopped.handle, 1000) == UNIFIEDRL_NOT_FINITE);
      std::string text = unifiedrl_error();
      int64_t complete = unifiedrl_engine_step(stopped.handle);
      CHECK_CONTAINS(text.c_str(), ("step " + std::to_string(complete + 1)).c_str());
      CHECK_CONTAINS(text.c_str(), "critic adam");
      CHECK(complete > 3 && complete < 900);  // 64 draws of 4,000 a step: 62 steps on average
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

// How a step's networks are run is chosen by measurement; what they give must not depend on it. In tf32 both round the same operands, and only the order of
// sums differs; in bf16 activations are rounded after the bias in one and before it in the other.
TEST(fused_networks_equal_those_in_layers) {
  for (const std::string& backend : devices()) {
    for (const std::vector<int64_t>& hidden : {std::vector<int64_t>{64, 48}, std::vector<int64_t>{256}, std::vector<int64_t>{24, 40, 16, 8}}) {
      Store store(33, 10, 2, {150});
      Step step(33, 10, 2, 2, 77, hidden);
      for (auto [precision, close] : {std::pair(UNIFIEDRL_TF32, 1e-4), std::pair(UNIFIEDRL_BF16, 3e-2)}) {
        std::vector<double> moments[2];
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
        }
        double off = distance(moments[1], moments[0]);
        if (!(off <= close)) {
          check::fail(__FILE__, __LINE__, "%s, precision %d, %d hidden layers: %g", backend.c_str(), precision, static_cast<int>(hidden.size()), off);
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

// Small batches wait for launches.
TEST(a_step_is_one_graph_of_few_nodes) {
  for (const std::string& backend : devices()) {
    for (auto [precision, most] : {std::pair(UNIFIEDRL_FP32, 42), std::pair(UNIFIEDRL_BF16, 20)}) {
      Store store(6, 3, 2, {64});
      Step step(6, 3, 2, 2, 256, {16, 16});
      unifiedrl_options options = {};
      options.precision = precision;
      Engine engine(step.p, backend.c_str(), options, store.handle);
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
