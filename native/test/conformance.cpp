// Every back end against the reference in double, and what all of them promise.
#include <unistd.h>

#include "engine.h"
#include "ops/random.h"

using namespace test;

namespace {

std::vector<std::string> backends_under_test() {
  std::vector<std::string> names;
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    if (std::string(unifiedrl_backend_name(i)) != "reference") {
      names.push_back(unifiedrl_backend_name(i));
    }
  }
  return names;
}

bool has_cpu() {
  for (const std::string& name : backends_under_test()) {
    if (name == "cpu") {
      return true;
    }
  }
  return false;
}

struct Case {
  int64_t S, A, G, m, B;
  std::vector<int64_t> hidden;
  int64_t form;
  double clip;
  int64_t tile;
};

// Odd sizes, one to three hidden layers, batches with and without a part of a tile at the end, sizes below and above oneDNN's threshold.
const Case kCases[] = {
    {5, 3, 2, 3, 6, {8, 8}, 0, 0, 16},      {7, 2, 1, 4, 33, {17, 12}, 1, 0.01, 16}, {4, 5, 3, 2, 1, {9}, 0, 0, 0},
    {33, 10, 2, 4, 100, {64, 48}, 0, 1, 32}, {12, 4, 2, 2, 600, {40, 33, 20}, 1, 0, 64}, {20, 6, 1, 2, 64, {96, 80}, 0, 0, 0},
};

// Distance of two vectors relative to the size of the second.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / (size + 1e-30));
}

std::vector<double> minus(std::vector<double> a, const std::vector<double>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] -= b[i];
  }
  return a;
}

}  // namespace

TEST(philox_known_answers) {
  unifiedrl::Philox4 zero = unifiedrl::philox(0, 0, 0);
  CHECK(zero.x[0] == 0x6627e8d5 && zero.x[1] == 0xe169c58d && zero.x[2] == 0xbc57ac4c && zero.x[3] == 0x9b00dbd8);
  unifiedrl::Philox4 ones = unifiedrl::philox(~0ull, ~0ull, ~0ull);
  CHECK(ones.x[0] == 0x408f276d && ones.x[1] == 0x41c83b0e && ones.x[2] == 0xa20bc7c6 && ones.x[3] == 0x6d5451fd);
  unifiedrl::Philox4 pi = unifiedrl::philox(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x0370734413198a2eull);
  CHECK(pi.x[0] == 0xd16cfe09 && pi.x[1] == 0x94fdcceb && pi.x[2] == 0x5001e420 && pi.x[3] == 0x24126ea1);
}

TEST(uniform_numbers_stay_above_minus_one_and_reach_one) {
  CHECK(unifiedrl::uniform_signed(0) > -1);
  CHECK(unifiedrl::uniform_signed(~0u) == 1);
  CHECK(unifiedrl::uniform_signed(~0u - 256) < 1);
}

// All tensors and gradients of the first step. Float sums of up to 600 terms of order 1 are good to about 600 * 2^-24 = 4e-5 at worst and 2e-6
// as a rule; 1e-5 of the tensor's own size holds for all ops here.
TEST(every_tensor_equals_the_reference) {
  for (const std::string& backend : backends_under_test()) {
    for (const Case& c : kCases) {
      Store store(c.S, c.A, c.G, {37, 100, 3});
      Step step(c.S, c.A, c.G, c.m, c.B, c.hidden, c.form, c.clip);
      unifiedrl_options options = {};
      options.materialise = 1;
      options.seed = 42;
      options.threads = 2;
      options.tile_rows = static_cast<int32_t>(c.tile);
      Engine reference(step.p, "reference", options, store.handle), tested(step.p, backend.c_str(), options, store.handle);
      step.initialise(reference);
      step.initialise(tested);
      for (int32_t network : {step.actor, step.target_actor, step.critic, step.target_critic}) {
        CHECK(reference.network(network) == tested.network(network));
      }
      reference.run(1);
      tested.run(1);
      CHECK(reference.tensor(step.rows, c.B) == tested.tensor(step.rows, c.B));
      for (const auto& [id, size] : step.readable) {
        double d = distance(tested.tensor(id, size), reference.tensor(id, size));
        if (!(d <= 1e-5)) {
          check::fail(__FILE__, __LINE__, "%s: tensor %d differs by %g", backend.c_str(), id, d);
        }
      }
      for (int32_t network : {step.actor, step.critic}) {
        double d = distance(tested.network(network, UNIFIEDRL_GRADIENTS), reference.network(network, UNIFIEDRL_GRADIENTS));
        if (!(d <= 1e-5)) {
          check::fail(__FILE__, __LINE__, "%s: gradients of network %d differ by %g", backend.c_str(), network, d);
        }
      }
    }
  }
}

// Parameters after 1, 10 and 100 steps as back ends run by default (fused): distance moved, relative. After one step of 1e-3 the rounding of
// parameters of order 0.5 (3e-8) is 3e-5 of it at worst, and less later: below 1e-5 is seen throughout. The exception is the case of S = 33,
// where a hidden unit that is 0 but for rounding switches the other way in float (at step 2 or 3 of `reference32`); Adam then moves that unit's
// weights at full speed, and one unit of some hundred is up to 1e-2.
TEST(parameters_follow_the_reference) {
  const std::vector<int64_t> compared = check::kSanitized ? std::vector<int64_t>{1, 10} : std::vector<int64_t>{1, 10, 100};
  for (const std::string& backend : backends_under_test()) {
    for (const Case& c : kCases) {
      Store store(c.S, c.A, c.G, {37, 100, 3});
      Step step(c.S, c.A, c.G, c.m, c.B, c.hidden, c.form, c.clip);
      unifiedrl_options options = {};
      options.seed = 42;
      options.threads = 2;
      options.tile_rows = static_cast<int32_t>(c.tile);
      Engine reference(step.p, "reference", options, store.handle), tested(step.p, backend.c_str(), options, store.handle);
      step.initialise(reference);
      step.initialise(tested);
      const int32_t networks[] = {step.critic, step.actor, step.target_critic, step.target_actor};
      std::vector<double> start[4];
      for (int k = 0; k < 4; ++k) {
        start[k] = reference.network(networks[k]);
      }
      bool switches = c.S == 33;
      int64_t done = 0;
      for (int64_t until : compared) {
        reference.run(until - done);
        tested.run(until - done);
        done = until;
        for (int k = 0; k < 4; ++k) {
          if (k >= 2 && until < 3) {  // targets are not due
            CHECK(tested.network(networks[k]) == start[k]);
            continue;
          }
          double d = distance(minus(tested.network(networks[k]), start[k]), minus(reference.network(networks[k]), start[k]));
          if (!(d <= (switches && until > 1 ? 2e-2 : 1e-4))) {
            check::fail(__FILE__, __LINE__, "%s, S = %d, after %d steps: network %d is %g off", backend.c_str(), static_cast<int>(c.S),
                        static_cast<int>(until), k, d);
          }
        }
      }
      CHECK(unifiedrl_engine_step(tested.handle) == compared.back());
    }
  }
}

// Threads share the work, never the result; fusing neither.
TEST(cpu_results_do_not_depend_on_threads_or_fusion) {
  if (!has_cpu()) {
    return;
  }
  for (const Case& c : kCases) {
    Store store(c.S, c.A, c.G, {37, 100, 3});
    Step step(c.S, c.A, c.G, c.m, c.B, c.hidden, c.form, c.clip);
    std::vector<double> expected;
    for (int32_t threads : {1, 2, 3}) {
      for (int32_t materialise : {0, 1}) {
        unifiedrl_options options = {};
        options.threads = threads;
        options.materialise = materialise;
        options.tile_rows = 32;
        Engine engine(step.p, "cpu", options, store.handle);
        step.initialise(engine);
        engine.run(20);
        std::vector<double> found = engine.network(step.critic), actor = engine.network(step.actor);
        found.insert(found.end(), actor.begin(), actor.end());
        if (expected.empty()) {
          expected = found;
        }
        CHECK(found == expected);
      }
    }
  }
}

TEST(every_instruction_set_follows_the_reference) {
  if (!has_cpu()) {
    return;
  }
  for (const Case& c : kCases) {
    Store store(c.S, c.A, c.G, {90, 50});
    Step step(c.S, c.A, c.G, c.m, c.B, c.hidden, c.form, c.clip);
    Engine reference(step.p, "reference", {}, store.handle);
    step.initialise(reference);
    reference.run(1);
    for (int32_t isa : {1, 2, 3}) {
      for (int32_t materialise : {0, 1}) {
        unifiedrl_options options = {};
        options.isa = isa;
        options.materialise = materialise;
        options.tile_rows = static_cast<int32_t>(c.tile);
        unifiedrl_engine* probe = nullptr;
        int32_t status = unifiedrl_engine_create(step.p.handle, store.handle, "cpu", &options, &probe);
        if (status == UNIFIEDRL_UNAVAILABLE) {
          std::printf("note: this processor lacks instruction set %d\n", isa);
          continue;
        }
        CHECK(status == UNIFIEDRL_OK);
        unifiedrl_engine_close(probe);
        Engine tested(step.p, "cpu", options, store.handle);
        step.initialise(tested);
        tested.run(1);
        CHECK(distance(tested.network(step.critic, UNIFIEDRL_MOMENT1), reference.network(step.critic, UNIFIEDRL_MOMENT1)) <= 1e-5);
        CHECK(distance(tested.network(step.actor, UNIFIEDRL_MOMENT1), reference.network(step.actor, UNIFIEDRL_MOMENT1)) <= 1e-5);
      }
    }
  }
}

// Another critic's weights must not reach a critic's update: its loss is its own.
TEST(no_gradient_crosses_critics) {
  for (const std::string& backend : backends_under_test()) {
    Store store(6, 3, 2, {64});
    Step step(6, 3, 2, 2, 16, {8, 8});
    Engine a(step.p, backend.c_str(), {}, store.handle), b(step.p, backend.c_str(), {}, store.handle);
    step.initialise(a);
    step.initialise(b);
    std::vector<double> weights = b.network(step.critic);
    int64_t first_layer = 9 * 8;
    for (int64_t i = 0; i < first_layer; ++i) {
      weights[static_cast<size_t>(2 * first_layer + i)] += 0.5;  // member 2's first layer
    }
    b.set_network(step.critic, weights);
    a.run(1);
    b.run(1);
    std::vector<double> after_a = a.network(step.critic), after_b = b.network(step.critic);
    for (int64_t member = 0; member < 4; ++member) {
      bool equal = true;
      for (int64_t i = 0; i < first_layer; ++i) {
        size_t at = static_cast<size_t>(member * first_layer + i);
        equal = equal && after_a[at] == after_b[at];
      }
      CHECK(equal == (member != 2));
    }
  }
}

TEST(rows_are_drawn_alike_and_uniformly) {
  Store store(2, 2, 1, {10, 1, 29});
  Program p;
  int64_t B = 4000;
  int32_t rows = p.tensor("rows", 1, B, 1, UNIFIEDRL_TENSOR_ROWS), out = p.tensor("out", 1, B, 2);
  p.op("sample", UNIFIEDRL_OP_SAMPLE, {rows}, {}, {7});
  p.op("gather", UNIFIEDRL_OP_GATHER, {rows, UNIFIEDRL_NONE, UNIFIEDRL_NONE, out}, {}, {0, 1});
  std::vector<double> expected;
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    unifiedrl_options options = {};
    options.materialise = 1;
    options.seed = 99;
    Engine engine(p, unifiedrl_backend_name(i), options, store.handle);
    engine.run(2);
    std::vector<double> drawn = engine.tensor(rows, B);
    expected = expected.empty() ? drawn : expected;
    CHECK(drawn == expected);
    std::vector<int> counts(40);
    std::vector<double> gathered = engine.tensor(out, B * 2);
    for (int64_t b = 0; b < B; ++b) {
      size_t row = static_cast<size_t>(drawn[static_cast<size_t>(b)]);
      ++counts[row];
      size_t next = store.last[row] != 0 ? row : row + 1;  // the next state of a session's last row is its own
      CHECK(gathered[static_cast<size_t>(2 * b)] == static_cast<double>(store.columns[0][2 * next]));
    }
    for (int count : counts) {
      CHECK(count > 50 && count < 160);  // 100 expected, sd 10
    }
  }
}

TEST(engines_describe_themselves) {
  Program p;
  int32_t x = p.constant("x", 1, 1, 1), y = p.tensor("y", 1, 1, 1);
  p.op("add", UNIFIEDRL_OP_ADD, {x, x, y});
  Engine plain(p, "reference");
  CHECK_CONTAINS(unifiedrl_engine_description(plain.handle), "double");
  if (has_cpu()) {
    unifiedrl_options options = {};
    options.tile_rows = 48;
    options.threads = 2;
    options.isa = 1;
    Engine engine(p, "cpu", options);
    for (const char* part : {"baseline loops", "tiles of 48 rows", "2 threads"}) {
      CHECK_CONTAINS(unifiedrl_engine_description(engine.handle), part);
    }
  }
  CHECK(std::string(unifiedrl_engine_description(nullptr)).empty());
}

TEST(targets_move_only_when_due) {
  for (const std::string& backend : backends_under_test()) {
    Store store(6, 3, 1, {64});
    Step step(6, 3, 1, 2, 16, {8}, 0, 0, 4);
    for (auto [target, source] : {std::pair(step.target_critic, step.critic), std::pair(step.target_actor, step.actor)}) {
      Engine engine(step.p, backend.c_str(), {}, store.handle);
      step.initialise(engine);
      std::vector<double> before = engine.network(target);
      engine.run(3);
      CHECK(engine.network(target) == before);
      engine.run(1);
      std::vector<double> after = engine.network(target), online = engine.network(source);
      for (size_t i = 0; i < after.size(); ++i) {
        CHECK_NEAR(after[i], 0.08 * online[i] + 0.92 * before[i], 1e-6);
      }
    }
  }
}

TEST(a_gradient_that_is_not_finite_stops_the_run) {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    Store store(6, 3, 1, {64});
    store.parts[4][17] = std::nanf("");
    Step step(6, 3, 1, 2, 256, {8});
    Engine engine(step.p, unifiedrl_backend_name(i), {}, store.handle);
    step.initialise(engine);
    std::vector<double> before = engine.network(step.critic);
    CHECK(unifiedrl_engine_run(engine.handle, 5) == UNIFIEDRL_NOT_FINITE);
    CHECK_CONTAINS(unifiedrl_error(), "critic adam");
    CHECK_CONTAINS(unifiedrl_error(), "step 1");
    CHECK(engine.network(step.critic) == before);
    CHECK(unifiedrl_engine_step(engine.handle) == 0);
    // The step is half done: going on takes a decision.
    CHECK(unifiedrl_engine_run(engine.handle, 1) == UNIFIEDRL_INVALID_ARGUMENT);
    CHECK_CONTAINS(unifiedrl_error(), "within step 1");
    CHECK_OK(unifiedrl_engine_set_step(engine.handle, 0));
    CHECK(unifiedrl_engine_run(engine.handle, 1) == UNIFIEDRL_NOT_FINITE);
    engine.set_network(step.critic, before);
    CHECK(unifiedrl_engine_run(engine.handle, 1) == UNIFIEDRL_NOT_FINITE);
  }
}

TEST(metrics_are_means_of_their_step) {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    Store store(6, 3, 1, {64});
    Step step(6, 3, 1, 2, 16, {8});
    unifiedrl_options options = {};
    options.materialise = 1;
    Engine engine(step.p, unifiedrl_backend_name(i), options, store.handle);
    step.initialise(engine);
    engine.run(3);
    CHECK(unifiedrl_engine_metric_slots(engine.handle) == 2);
    float rows[10];
    int64_t count = 0;
    CHECK_OK(unifiedrl_engine_metrics(engine.handle, rows, 5, &count));
    CHECK(count == 3);
    std::vector<double> loss = engine.tensor(step.loss, 2);
    CHECK_NEAR(static_cast<double>(rows[4]), (loss[0] + loss[1]) / 2, 1e-6);
    CHECK_OK(unifiedrl_engine_metrics(engine.handle, rows, 5, &count));
    CHECK(count == 0);
  }
}

TEST(check_back_end_accepts_equals) {
  for (const std::string& backend : backends_under_test()) {
    const Case& c = kCases[3];
    Store store(c.S, c.A, c.G, {90, 50});
    Step step(c.S, c.A, c.G, c.m, c.B, c.hidden);
    Engine engine(step.p, ("check:reference," + backend).c_str(), {}, store.handle);
    step.initialise(engine);
    engine.run(20);
  }
}

struct DiverseCase {
  int64_t members, rows;
  std::vector<int64_t> sizes;
  int64_t first;
};
const DiverseCase kDiverseCases[] = {
    {2, 1, {5, 1}, 2}, {3, 37, {9, 17, 13, 1}, 4}, {4, 70, {24, 32, 16, 1}, 20}, {2, 100, {33, 64, 1}, 0}, {10, 50, {40, 96, 80, 1}, 30}};

// Gradients that another op adds to, as back ends run by default: the norm and the update are of the whole.
TEST(second_derivatives_follow_the_reference) {
  for (const std::string& backend : backends_under_test()) {
    for (const DiverseCase& c : kDiverseCases) {
      Diverse program(c.members, c.rows, c.sizes, c.first);
      for (int32_t materialise : {0, 1}) {
        unifiedrl_options options = {};
        options.threads = 2;
        options.tile_rows = 16;
        options.materialise = materialise;
        Engine reference(program.p, "reference", options), tested(program.p, backend.c_str(), options);
        program.initialise(reference);
        program.initialise(tested);
        reference.run(1);
        tested.run(1);
        std::vector<std::vector<double>> expected = program.results(reference), found = program.results(tested);
        for (size_t k = 0; k < expected.size(); ++k) {
          double off = distance(found[k], expected[k]);
          if (!(off <= 1e-5)) {
            check::fail(__FILE__, __LINE__, "%s, %d rows, materialise %d: result %d is %g off", backend.c_str(), static_cast<int>(c.rows), materialise,
                        static_cast<int>(k), off);
          }
        }
        tested.run(3);
      }
      Engine both(program.p, ("check:reference," + backend).c_str());
      program.initialise(both);
      both.run(10);
    }
  }
}

TEST(cpu_second_derivatives_do_not_depend_on_threads_or_fusion) {
  if (!has_cpu()) {
    return;
  }
  for (const DiverseCase& c : kDiverseCases) {
    Diverse program(c.members, c.rows, c.sizes, c.first);
    std::vector<std::vector<double>> expected;
    for (int32_t threads : {1, 3}) {
      for (int32_t materialise : {0, 1}) {
        unifiedrl_options options = {};
        options.threads = threads;
        options.materialise = materialise;
        options.tile_rows = 32;
        Engine engine(program.p, "cpu", options);
        program.initialise(engine);
        engine.run(5);
        std::vector<std::vector<double>> found = program.results(engine);
        expected = expected.empty() ? found : expected;
        CHECK(found == expected);
      }
    }
  }
}

TEST(bad_programs_are_refused_with_a_reason) {
  Program p;
  int32_t id;
  CHECK(unifiedrl_program_tensor(p.handle, "t", UNIFIEDRL_TENSOR_WORK, 0, 1, 1, &id) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK_CONTAINS(unifiedrl_error(), "t");
  int64_t sizes[] = {3, -1};
  CHECK(unifiedrl_program_network(p.handle, "n", 1, sizes, 2, UNIFIEDRL_LINEAR, &id) == UNIFIEDRL_INVALID_ARGUMENT);
  int32_t x = p.constant("x", 1, 4, 3), y = p.tensor("y", 2, 4, 2), net = p.network("net", 2, {5, 2});
  CHECK(p.try_op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, UNIFIEDRL_NONE}, {net}) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK_CONTAINS(unifiedrl_error(), "forward");
  CHECK(p.try_op("op", 99, {x}) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(p.try_op("op", UNIFIEDRL_OP_ADD, {x, 77, y}) == UNIFIEDRL_INVALID_ARGUMENT);
  int32_t z = p.tensor("z", 1, 4, 3), u = p.tensor("u", 1, 4, 3);
  CHECK(p.try_op("early", UNIFIEDRL_OP_ADD, {x, z, u}) == UNIFIEDRL_INVALID_ARGUMENT);  // z has no value yet
  CHECK_CONTAINS(unifiedrl_error(), "z");
  CHECK(unifiedrl_program_create(nullptr) == UNIFIEDRL_INVALID_ARGUMENT);
  unifiedrl_engine* engine = nullptr;
  CHECK(unifiedrl_engine_create(p.handle, nullptr, "gpu9000", nullptr, &engine) != UNIFIEDRL_OK);
  CHECK_CONTAINS(unifiedrl_error(), "reference");
  CHECK(engine == nullptr);
}

TEST(too_little_memory_is_a_status) {
  Program p;
  int32_t x = p.constant("x", 1, 1 << 20, 1 << 20), y = p.tensor("y", 1, 1 << 20, 1 << 20);
  p.op("add", UNIFIEDRL_OP_ADD, {x, x, y});
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    unifiedrl_engine* engine = nullptr;
    CHECK(unifiedrl_engine_create(p.handle, nullptr, unifiedrl_backend_name(i), nullptr, &engine) == UNIFIEDRL_OUT_OF_MEMORY);
    CHECK(engine == nullptr);
  }
}

// Each tensor fits, their sum does not: nothing may be allocated before that is known.
TEST(memory_is_checked_for_the_sum) {
  int64_t physical = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  int64_t rows = physical / 4 / 1024 / 5 * 2;  // 0.4 of the memory in float32
  Program p;
  int32_t x = p.constant("x", 1, rows, 1024), y = p.constant("y", 1, rows, 1024), sum = p.tensor("sum", 1, rows, 1024);
  p.op("add", UNIFIEDRL_OP_ADD, {x, y, sum});
  std::vector<std::string> names = backends_under_test();
  names.push_back("reference");
  names.push_back("check:reference,reference32");
  for (const std::string& name : names) {
    unifiedrl_engine* engine = nullptr;
    CHECK(unifiedrl_engine_create(p.handle, nullptr, name.c_str(), nullptr, &engine) == UNIFIEDRL_OUT_OF_MEMORY);
    CHECK_CONTAINS(unifiedrl_error(), "the program needs");
  }
}

TEST(policy_equals_the_network) {
  for (int64_t rows : {1, 47, 130}) {
    Program p;
    int32_t net = p.network("net", 1, {37, 65, 30, 10}, UNIFIEDRL_TANH), x = p.constant("x", 1, rows, 37), y = p.tensor("y", 1, rows, 10);
    p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, UNIFIEDRL_NONE}, {net});
    unifiedrl_options options = {};
    options.materialise = 1;
    Engine engine(p, "reference", options);
    CHECK_OK(unifiedrl_network_initialise(engine.handle, net, 21));
    Random random(6);
    std::vector<float> input = random.vector(rows * 37), shift = random.vector(37), scale = random.vector(37, 0.5f, 2), normal = input;
    for (size_t i = 0; i < input.size(); ++i) {
      normal[i] = (input[i] - shift[i % 37]) * scale[i % 37];
    }
    engine.set_tensor(x, normal);
    engine.run(1);
    std::vector<double> expected = engine.tensor(y, rows * 10);
    std::vector<float> parameters;
    for (double v : engine.network(net)) {
      parameters.push_back(static_cast<float>(v));
    }
    int64_t sizes[] = {37, 65, 30, 10};
    unifiedrl_policy* policy = nullptr;
    CHECK_OK(unifiedrl_policy_create(sizes, 4, UNIFIEDRL_TANH, parameters.data(), shift.data(), scale.data(), 0, &policy));
    std::vector<float> found(expected.size());
    CHECK_OK(unifiedrl_policy_run(policy, input.data(), rows, found.data()));
    for (size_t i = 0; i < found.size(); ++i) {
      CHECK_NEAR(static_cast<double>(found[i]), expected[i], 1e-5);
    }
    unifiedrl_policy_close(policy);
    CHECK(unifiedrl_policy_run(policy, input.data(), 1, found.data()) == UNIFIEDRL_INVALID_ARGUMENT);
  }
}

int main(int argc, char** argv) { return test::main(argc, argv); }
