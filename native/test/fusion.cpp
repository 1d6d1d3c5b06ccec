// Programs whose ops share a region of the CPU back end: fused, materialised and reference give the same moments and parameters.
#include <functional>

#include "engine.h"

using namespace test;

namespace {

constexpr int64_t kMembers = 3, kRows = 40;  // three tiles of 16 rows

// Two ensembles and the ops of a regression on each of them.
struct Pair {
  Program p;
  int32_t nets[2], x[2], target[2];
  std::vector<int32_t> adam_hypers;
  int count = 0;

  Pair() {
    for (int k = 0; k < 2; ++k) {
      nets[k] = p.network(k == 0 ? "a" : "b", kMembers, k == 0 ? std::vector<int64_t>{5, 9, 1} : std::vector<int64_t>{5, 7, 6, 1});
      x[k] = p.constant("x", 1, kRows, 5);
      target[k] = p.constant("target", kMembers, kRows, 1);
    }
    for (double value : {1e-2, 0.9, 0.999, 1e-8, 0.0, 0.0}) {
      adam_hypers.push_back(p.hyper("adam", value));
    }
  }

  struct Pass {
    int32_t net, x, y, tape, dy;
  };
  // Forward pass of network k on input `input`, and its squared error.
  Pass forward(int k, int input) {
    Pass pass{nets[k], x[input], p.tensor("y", kMembers, kRows, 1), p.tensor("tape", kMembers, kRows, k == 0 ? 9 : 13, UNIFIEDRL_TENSOR_TAPE),
              p.tensor("dy", kMembers, kRows, 1)};
    p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {pass.x, pass.y, pass.tape}, {pass.net});
    p.op("error", UNIFIEDRL_OP_SQUARED_ERROR, {pass.y, target[input], pass.dy, p.tensor("loss", kMembers, 1, 1)});
    return pass;
  }
  void backward(const Pass& pass) { p.op("backward", UNIFIEDRL_OP_MLP_BACKWARD, {pass.x, pass.y, pass.tape, pass.dy}, {pass.net}); }
  void adam(int k) { p.op("adam", UNIFIEDRL_OP_ADAM, {p.tensor("norm", kMembers, 1, 1)}, {nets[k]}, {1}, adam_hypers); }
  // An op that no region takes in.
  void barrier() { p.op("barrier", UNIFIEDRL_OP_METRIC, {target[0]}, {}, {count++}); }

  void initialise(Engine& engine) const {
    Random random(31);
    for (int k = 0; k < 2; ++k) {
      CHECK_OK(unifiedrl_network_initialise(engine.handle, nets[k], 5));
      engine.set_tensor(x[k], random.vector(kRows * 5));
      engine.set_tensor(target[k], random.vector(kMembers * kRows));
    }
  }
};

// What is left of both networks after a few steps.
std::vector<double> state(const Pair& pair, const char* backend, int32_t materialise, int32_t threads, std::vector<int> trained) {
  unifiedrl_options options = {};
  options.materialise = materialise;
  options.threads = threads;
  options.tile_rows = 16;
  Engine engine(pair.p, backend, options);
  pair.initialise(engine);
  engine.run(3);
  std::vector<double> all;
  for (int k : trained) {
    for (int32_t section : {UNIFIEDRL_PARAMETERS, UNIFIEDRL_MOMENT1}) {
      std::vector<double> values = engine.network(pair.nets[k], section);
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  return all;
}

void check_fusion(const std::function<void(Pair&)>& ops, std::vector<int> trained) {
  Pair pair;
  ops(pair);
  std::vector<double> expected = state(pair, "reference", 0, 1, trained);
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    std::vector<double> whole = state(pair, unifiedrl_backend_name(i), 1, 1, trained);
    for (size_t k = 0; k < whole.size(); ++k) {
      CHECK_NEAR(whole[k], expected[k], 1e-5);
    }
    for (int32_t threads : {1, 2, 3}) {
      CHECK(state(pair, unifiedrl_backend_name(i), 0, threads, trained) == whole);
    }
  }
}

}  // namespace

TEST(two_ensembles_keep_their_own_gradients) {
  check_fusion(
      [](Pair& pair) {
        Pair::Pass a = pair.forward(0, 0);
        pair.backward(a);
        Pair::Pass b = pair.forward(1, 1);
        pair.backward(b);
        pair.adam(0);
        pair.adam(1);
      },
      {0, 1});
}

TEST(the_last_of_two_backward_passes_counts) {
  check_fusion(
      [](Pair& pair) {
        Pair::Pass first = pair.forward(0, 0), second = pair.forward(0, 1);
        pair.backward(first);
        pair.backward(second);
        pair.adam(0);
      },
      {0});
}

TEST(gradients_outlive_their_region_where_a_later_one_uses_them) {
  check_fusion(
      [](Pair& pair) {
        Pair::Pass first = pair.forward(0, 0);
        pair.backward(first);
        pair.barrier();
        pair.adam(0);  // from another region
        pair.barrier();
        Pair::Pass second = pair.forward(0, 1);
        pair.backward(second);
        pair.adam(0);  // from its own
      },
      {0});
}

TEST(two_updates_of_one_network_in_one_step) {
  check_fusion(
      [](Pair& pair) {
        for (int input : {0, 1}) {
          Pair::Pass a = pair.forward(0, input), b = pair.forward(1, input);
          pair.backward(b);
          pair.backward(a);
          pair.adam(1);
          pair.adam(0);
        }
      },
      {0, 1});
}

int main(int argc, char** argv) { return test::main(argc, argv); }
