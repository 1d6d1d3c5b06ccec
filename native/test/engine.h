// The C ABI as tests like to use it, and a whole UnifiedRL step as a program.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "check.h"
#include "ops/random.h"
#include "unifiedrl.h"

namespace test {

#define CHECK_OK(call)                                                           \
  do {                                                                           \
    if ((call) != UNIFIEDRL_OK) {                                                \
      check::fail(__FILE__, __LINE__, "%s: %s", #call, unifiedrl_error());       \
    }                                                                            \
  } while (false)

// check::main with the back ends that UNIFIEDRL_TEST_BACKENDS names as "name=path,name=path": tests of every back end run on them too.
inline int main(int argc, char** argv) {
  const char* listed = std::getenv("UNIFIEDRL_TEST_BACKENDS");
  std::istringstream pairs(listed == nullptr ? "" : listed);
  for (std::string pair; std::getline(pairs, pair, ',');) {
    size_t equals = pair.find('=');
    std::string name = pair.substr(0, equals), path = equals == std::string::npos ? "" : pair.substr(equals + 1);
    if (unifiedrl_backend_load(name.c_str(), path.c_str()) != UNIFIEDRL_OK) {
      std::printf("FAILED UNIFIEDRL_TEST_BACKENDS\n  %s\n", unifiedrl_error());
      return 1;
    }
  }
  return check::main(argc, argv);
}

struct Program {
  unifiedrl_program* handle = nullptr;
  Program() { CHECK_OK(unifiedrl_program_create(&handle)); }
  ~Program() { unifiedrl_program_close(handle); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  int32_t tensor(const char* name, int64_t e, int64_t b, int64_t f, int32_t kind = UNIFIEDRL_TENSOR_WORK) {
    int32_t id = -1;
    CHECK_OK(unifiedrl_program_tensor(handle, name, kind, e, b, f, &id));
    return id;
  }
  int32_t constant(const char* name, int64_t e, int64_t b, int64_t f) { return tensor(name, e, b, f, UNIFIEDRL_TENSOR_CONSTANT); }
  int32_t network(const char* name, int64_t e, std::vector<int64_t> sizes, int32_t activation = UNIFIEDRL_LINEAR) {
    int32_t id = -1;
    CHECK_OK(unifiedrl_program_network(handle, name, e, sizes.data(), static_cast<int32_t>(sizes.size()), activation, &id));
    return id;
  }
  int32_t hyper(const char* name, double value) {
    int32_t id = -1;
    CHECK_OK(unifiedrl_program_hyper(handle, name, value, &id));
    return id;
  }
  int32_t try_op(const char* name, int32_t code, std::vector<int32_t> t, std::vector<int32_t> n = {}, std::vector<int64_t> i = {},
                 std::vector<int32_t> h = {}) {
    return unifiedrl_program_op(handle, name, code, t.data(), static_cast<int32_t>(t.size()), n.data(), static_cast<int32_t>(n.size()), i.data(),
                                static_cast<int32_t>(i.size()), h.data(), static_cast<int32_t>(h.size()));
  }
  void op(const char* name, int32_t code, std::vector<int32_t> t, std::vector<int32_t> n = {}, std::vector<int64_t> i = {},
          std::vector<int32_t> h = {}) {
    CHECK_OK(try_op(name, code, t, n, i, h));
  }
};

struct Engine {
  unifiedrl_engine* handle = nullptr;
  Engine(const Program& program, const char* backend, unifiedrl_options options = {}, const unifiedrl_replay* replay = nullptr) {
    CHECK_OK(unifiedrl_engine_create(program.handle, replay, backend, &options, &handle));
  }
  ~Engine() { unifiedrl_engine_close(handle); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void run(int64_t steps) { CHECK_OK(unifiedrl_engine_run(handle, steps)); }
  std::vector<double> network(int32_t id, int32_t section = UNIFIEDRL_PARAMETERS) const {
    std::vector<double> values(static_cast<size_t>(unifiedrl_network_size(handle, id)));
    CHECK_OK(unifiedrl_network_read64(handle, id, section, values.data(), static_cast<int64_t>(values.size())));
    return values;
  }
  void set_network(int32_t id, const std::vector<double>& values, int32_t section = UNIFIEDRL_PARAMETERS) {
    CHECK_OK(unifiedrl_network_write64(handle, id, section, values.data(), static_cast<int64_t>(values.size())));
  }
  std::vector<double> tensor(int32_t id, int64_t count) const {
    std::vector<double> values(static_cast<size_t>(count));
    CHECK_OK(unifiedrl_tensor_read64(handle, id, values.data(), count));
    return values;
  }
  void set_tensor64(int32_t id, const std::vector<double>& values) {
    CHECK_OK(unifiedrl_tensor_write64(handle, id, values.data(), static_cast<int64_t>(values.size())));
  }
  void set_tensor(int32_t id, const std::vector<float>& values) {
    CHECK_OK(unifiedrl_tensor_write(handle, id, values.data(), static_cast<int64_t>(values.size())));
  }
};

class Random {
 public:
  explicit Random(uint32_t seed) : generator_(seed) {}
  float operator()(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator_); }
  int64_t integer(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(generator_); }
  std::vector<float> vector(int64_t n, float low = -1, float high = 1) {
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) {
      v = (*this)(low, high);
    }
    return values;
  }

 private:
  std::mt19937 generator_;
};

// A replay of random rows in several segments: state S, action A, box low A, box high A, reward G.
struct Store {
  std::vector<std::vector<float>> columns;
  std::vector<uint8_t> last;
  std::vector<std::vector<float>> parts;  // what the replay reads
  std::vector<std::vector<uint8_t>> flags;
  unifiedrl_replay* handle = nullptr;
  ~Store() { unifiedrl_replay_close(handle); }
  Store(int64_t s, int64_t a, int64_t g, std::vector<int64_t> segments, uint32_t seed = 5) {
    Random random(seed);
    int64_t rows = 0;
    for (int64_t segment : segments) {
      rows += segment;
    }
    std::vector<int64_t> widths = {s, a, a, a, g};
    for (int64_t width : widths) {
      columns.push_back(random.vector(rows * width));
    }
    for (size_t i = 0; i < columns[1].size(); ++i) {  // boxes around 0, so that policies lie inside some and outside others
      float centre = 0.2f * columns[2][i];
      columns[2][i] = centre - 0.1f;
      columns[3][i] = centre + 0.1f;
    }
    last.resize(static_cast<size_t>(rows));
    for (uint8_t& flag : last) {
      flag = random(0, 1) < 0.2f ? 1 : 0;
    }
    CHECK_OK(unifiedrl_replay_create(widths.data(), 5, &handle));
    int64_t first = 0;
    for (int64_t segment : segments) {
      last[static_cast<size_t>(first + segment - 1)] = 1;
      // Each segment lies in memory of its own: reading on from one into the next must not go unnoticed.
      std::vector<const float*> addresses;
      for (size_t c = 0; c < widths.size(); ++c) {
        const float* from = columns[c].data() + first * widths[c];
        parts.emplace_back(from, from + segment * widths[c]);
        addresses.push_back(parts.back().data());
      }
      flags.emplace_back(last.data() + first, last.data() + first + segment);
      CHECK_OK(unifiedrl_replay_add(handle, addresses.data(), flags.back().data(), segment));
      first += segment;
    }
  }
};

// One UnifiedRL step (specification section 0) as a program.
struct Step {
  int64_t S, A, G, m, B;
  Program p;
  int32_t actor, target_actor, critic, target_critic;
  int32_t rows, state, next_state, reward, done, y, q, loss, norm, mu, da, inside, weights;
  std::vector<std::pair<int32_t, int64_t>> readable;  // work tensors and their sizes

  Step(int64_t s, int64_t a, int64_t g, int64_t group, int64_t b, std::vector<int64_t> hidden, int64_t form = 0, double clip = 0, int64_t period = 3)
      : S(s), A(a), G(g), m(group), B(b) {
    int64_t E = G * m, H = 0;
    std::vector<int64_t> actor_sizes = {S}, critic_sizes = {S + A};
    for (int64_t h : hidden) {
      actor_sizes.push_back(h);
      critic_sizes.push_back(h);
      H += h;
    }
    actor_sizes.push_back(A);
    critic_sizes.push_back(1);
    actor = p.network("actor", 1, actor_sizes, UNIFIEDRL_TANH);
    target_actor = p.network("target_actor", 1, actor_sizes, UNIFIEDRL_TANH);
    critic = p.network("critic", E, critic_sizes);
    target_critic = p.network("target_critic", E, critic_sizes);
    int32_t gamma = p.hyper("gamma", 0.9), beta = p.hyper("beta", 0.8), theta = p.hyper("theta", 3.0), lambda = p.hyper("lambda", 0.2);
    int32_t eta = p.hyper("eta", 1.2), omega = p.hyper("omega", 3.0), rate = p.hyper("rate", 1e-3), beta1 = p.hyper("beta1", 0.9);
    int32_t beta2 = p.hyper("beta2", 0.999), epsilon = p.hyper("epsilon", 1e-8), decay = p.hyper("decay", 0), limit = p.hyper("clip", clip);
    int32_t w = p.hyper("w", 0.08);
    rows = p.tensor("rows", 1, B, 1, UNIFIEDRL_TENSOR_ROWS);
    weights = p.constant("weights", 1, 1, G);
    state = work("state", 1, S);
    next_state = work("next_state", 1, S);
    int32_t action = work("action", 1, A), low = work("low", 1, A), high = work("high", 1, A), next_low = work("next_low", 1, A);
    int32_t next_high = work("next_high", 1, A);
    reward = work("reward", 1, G);
    done = work("done", 1, 1);
    p.op("sample", UNIFIEDRL_OP_SAMPLE, {rows}, {}, {0});
    gather(state, 0, 0);
    gather(next_state, 0, 1);
    gather(action, 1, 0);
    gather(low, 2, 0);
    gather(high, 3, 0);
    gather(next_low, 2, 1);
    gather(next_high, 3, 1);
    gather(reward, 4, 0);
    gather(done, UNIFIEDRL_LAST_COLUMN, 0);
    int32_t sa = work("state_action", 1, S + A), next_action = work("next_action", 1, A), next_sa = work("next_state_action", 1, S + A);
    int32_t phi = work("phi", 1, 1), next_q = work("next_q", E, 1), dq = work("dq", E, 1);
    y = work("y", E, 1);
    q = work("q", E, 1);
    loss = p.tensor("loss", E, 1, 1);
    norm = p.tensor("norm", E, 1, 1);
    int32_t tape = p.tensor("tape", E, B, H, UNIFIEDRL_TENSOR_TAPE);
    p.op("concat", UNIFIEDRL_OP_CONCAT, {state, action, sa});
    p.op("next action", UNIFIEDRL_OP_MLP_FORWARD, {next_state, next_action, UNIFIEDRL_NONE}, {target_actor});
    p.op("next concat", UNIFIEDRL_OP_CONCAT, {next_state, next_action, next_sa});
    p.op("attenuation", UNIFIEDRL_OP_ATTENUATION, {next_action, next_low, next_high, phi}, {}, {}, {beta, theta});
    p.op("next q", UNIFIEDRL_OP_MLP_FORWARD, {next_sa, next_q, UNIFIEDRL_NONE}, {target_critic});
    p.op("target", UNIFIEDRL_OP_TD_TARGET, {reward, done, phi, next_q, y}, {}, {m}, {gamma});
    p.op("q", UNIFIEDRL_OP_MLP_FORWARD, {sa, q, tape}, {critic});
    p.op("error", UNIFIEDRL_OP_SQUARED_ERROR, {q, y, dq, loss});
    p.op("critic backward", UNIFIEDRL_OP_MLP_BACKWARD, {sa, q, tape, dq}, {critic});
    p.op("critic adam", UNIFIEDRL_OP_ADAM, {norm}, {critic}, {1}, {rate, beta1, beta2, epsilon, decay, limit});
    p.op("critic target", UNIFIEDRL_OP_SOFT_UPDATE, {}, {target_critic, critic}, {period}, {w});
    mu = work("mu", 1, A);
    int32_t actor_tape = p.tensor("actor_tape", 1, B, H, UNIFIEDRL_TENSOR_TAPE), smu = work("state_mu", 1, S + A), q_mu = work("q_mu", E, 1);
    int32_t signs = p.tensor("signs", E, B, H, UNIFIEDRL_TENSOR_SIGNS), dq_mu = work("dq_mu", E, 1), mean = work("mean", 1, G), sd = work("sd", 1, G);
    int32_t da_e = work("da_members", E, A), da_q = work("da_q", 1, A), da_box = work("da_box", 1, A), d = work("d", 1, 1);
    inside = work("inside", 1, 1);
    da = work("da", 1, A);
    int32_t actor_norm = p.tensor("actor_norm", 1, 1, 1);
    p.op("mu", UNIFIEDRL_OP_MLP_FORWARD, {state, mu, actor_tape}, {actor});
    p.op("mu concat", UNIFIEDRL_OP_CONCAT, {state, mu, smu});
    p.op("q mu", UNIFIEDRL_OP_MLP_FORWARD, {smu, q_mu, signs}, {critic});
    p.op("objective", UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE, {q_mu, weights, dq_mu, mean, sd}, {}, {m}, {lambda});
    p.op("to action", UNIFIEDRL_OP_MLP_BACKWARD_INPUT, {q_mu, signs, dq_mu, da_e}, {critic}, {S});
    p.op("sum", UNIFIEDRL_OP_MEMBER_SUM, {da_e, da_q});
    p.op("penalty", UNIFIEDRL_OP_BOX_PENALTY, {mu, low, high, da_box, d, inside}, {}, {form}, {eta, omega});
    p.op("add", UNIFIEDRL_OP_ADD, {da_q, da_box, da});
    p.op("actor backward", UNIFIEDRL_OP_MLP_BACKWARD, {state, mu, actor_tape, da}, {actor});
    p.op("actor adam", UNIFIEDRL_OP_ADAM, {actor_norm}, {actor}, {1}, {rate, beta1, beta2, epsilon, decay, limit});
    p.op("actor target", UNIFIEDRL_OP_SOFT_UPDATE, {}, {target_actor, actor}, {period}, {w});
    p.op("loss metric", UNIFIEDRL_OP_METRIC, {loss}, {}, {0});
    p.op("inside metric", UNIFIEDRL_OP_METRIC, {inside}, {}, {1});
  }

  void initialise(Engine& engine) const {
    CHECK_OK(unifiedrl_network_initialise(engine.handle, actor, 1));
    CHECK_OK(unifiedrl_network_initialise(engine.handle, target_actor, 2));
    CHECK_OK(unifiedrl_network_initialise(engine.handle, critic, 3));
    CHECK_OK(unifiedrl_network_initialise(engine.handle, target_critic, 4));
    std::vector<float> w;
    for (int64_t g = 0; g < G; ++g) {
      w.push_back(0.5f + 0.25f * static_cast<float>(g));
    }
    engine.set_tensor(weights, w);
  }

 private:
  int32_t work(const char* name, int64_t e, int64_t f) {
    int32_t id = p.tensor(name, e, B, f);
    readable.emplace_back(id, e * B * f);
    return id;
  }
  void gather(int32_t out, int64_t column, int64_t offset) {
    p.op("gather", UNIFIEDRL_OP_GATHER, {rows, UNIFIEDRL_NONE, UNIFIEDRL_NONE, out}, {}, {column, offset});
  }
};

// Members that normalise their inputs and learn from a loss and from the similarity of their input gradients: second derivatives, and every op that
// writes, or adds to, gradients of one network.
struct Diverse {
  int64_t E, B, in, first, A;
  Program p;
  int32_t affine, critic, x, dq, critic_norm, affine_norm, d;

  Diverse(int64_t members, int64_t rows, std::vector<int64_t> sizes, int64_t first_column) : E(members), B(rows), in(sizes[0]), first(first_column) {
    A = in - first;
    int64_t H = 0;
    for (size_t l = 1; l + 1 < sizes.size(); ++l) {
      H += sizes[l];
    }
    affine = p.network("affine", E, {1, in});
    critic = p.network("critic", E, sizes);
    x = p.constant("x", E, B, in);
    dq = p.constant("dq", E, B, 1);
    int32_t h = p.tensor("h", E, B, in), stat = p.tensor("stat", E, B, 2), q = p.tensor("q", E, B, 1), dh = p.tensor("dh", E, B, in);
    int32_t tape = H == 0 ? UNIFIEDRL_NONE : p.tensor("tape", E, B, H, UNIFIEDRL_TENSOR_TAPE), g = p.tensor("g", E, B, A);
    int32_t dg = p.tensor("dg", E, B, A), dx = p.tensor("dx", E, B, in);
    d = p.tensor("d", 1, B, 1);
    critic_norm = p.tensor("critic_norm", E, 1, 1);
    affine_norm = p.tensor("affine_norm", E, 1, 1);
    p.op("normalise", UNIFIEDRL_OP_LAYER_NORM, {x, h, stat}, {affine}, {1}, {p.hyper("norm epsilon", 1e-5)});
    p.op("q", UNIFIEDRL_OP_MLP_FORWARD, {h, q, tape}, {critic});
    p.op("to action", UNIFIEDRL_OP_MLP_BACKWARD_INPUT, {q, tape, dq, g}, {critic}, {first});
    p.op("to input", UNIFIEDRL_OP_MLP_BACKWARD_INPUT, {q, tape, dq, dh}, {critic}, {0});
    p.op("diversity", UNIFIEDRL_OP_DIVERSITY, {g, d, dg});
    p.op("loss", UNIFIEDRL_OP_MLP_BACKWARD, {h, q, tape, dq}, {critic});
    p.op("second", UNIFIEDRL_OP_MLP_BACKWARD_TANGENT, {q, tape, dq, dg}, {critic}, {first});
    p.op("normalise backward", UNIFIEDRL_OP_LAYER_NORM_BACKWARD, {x, stat, dh, dx}, {affine}, {1, 1});
    std::vector<int32_t> hypers;
    for (double value : {1e-3, 0.9, 0.999, 1e-8, 0.0, 0.5}) {
      hypers.push_back(p.hyper("adam", value));
    }
    p.op("critic adam", UNIFIEDRL_OP_ADAM, {critic_norm}, {critic}, {1}, hypers);
    p.op("affine adam", UNIFIEDRL_OP_ADAM, {affine_norm}, {affine}, {1}, hypers);
    p.op("metric", UNIFIEDRL_OP_METRIC, {d}, {}, {0});
  }

  void initialise(Engine& engine) const {
    CHECK_OK(unifiedrl_network_initialise(engine.handle, critic, 5));
    std::vector<double> parameters(static_cast<size_t>(2 * E * in), 1.0);  // gain 1, bias 0
    std::fill(parameters.begin() + E * in, parameters.end(), 0.0);
    engine.set_network(affine, parameters);
    Random random(6);
    engine.set_tensor(x, random.vector(E * B * in));
    engine.set_tensor(dq, random.vector(E * B));
  }

  // What the updates were made of: first moments of both networks, and the norms.
  std::vector<std::vector<double>> results(const Engine& engine) const {
    return {engine.network(critic, UNIFIEDRL_MOMENT1), engine.network(affine, UNIFIEDRL_MOMENT1), engine.tensor(critic_norm, E),
            engine.tensor(affine_norm, E)};
  }
};

// Makes a reward of `store` not a number that `step` draws at step `at`, and not before.
inline void spoil_reward(Store& store, const Step& step, uint64_t seed, int64_t at) {
  int64_t rows = static_cast<int64_t>(store.last.size());
  std::set<int64_t> before;
  for (int64_t t = 1; t <= at; ++t) {
    for (int64_t b = 0; b < step.B; ++b) {
      int64_t row = unifiedrl::sample_row(seed, t, 0, b, rows);
      if (t < at) {
        before.insert(row);
      } else if (before.count(row) == 0) {
        for (size_t segment = 0; segment < store.flags.size(); ++segment) {
          int64_t size = static_cast<int64_t>(store.flags[segment].size());
          if (row < size) {
            store.parts[5 * segment + 4][static_cast<size_t>(row * step.G)] = std::nanf("");
            return;
          }
          row -= size;
        }
      }
    }
  }
  check::fail(__FILE__, __LINE__, "step %d draws no row of its own", static_cast<int>(at));
}

}  // namespace test
