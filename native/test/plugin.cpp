// Back ends in libraries of their own (unifiedrl_backend.h): what they give, what is refused, and that nothing thrown or broken passes.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "engine.h"

using namespace test;

namespace {

std::string library(const std::string& kind) { return std::string(PLUGIN_FOLDER) + "/libplugin_" + kind + ".so"; }

int32_t load(const std::string& name, const std::string& path) { return unifiedrl_backend_load(name.c_str(), path.c_str()); }

// A back end of this library under this name; loaded once, however many tests use it.
const char* loaded(const char* name, const char* kind) {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    if (std::string(unifiedrl_backend_name(i)) == name) {
      return name;
    }
  }
  CHECK_OK(load(name, library(kind)));
  return name;
}

int32_t index_of(const std::string& name) {
  int32_t found = -1;
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    if (name == unifiedrl_backend_name(i)) {
      CHECK(found == -1);
      found = i;
    }
  }
  return found;
}

std::vector<float> metrics(const Engine& engine) {
  std::vector<float> rows(2 * 100);
  int64_t count = 0;
  CHECK_OK(unifiedrl_engine_metrics(engine.handle, rows.data(), 100, &count));
  rows.resize(static_cast<size_t>(2 * count));
  return rows;
}

// out = x + x, element by element.
struct Twice {
  Program p;
  int32_t x = p.constant("x", 1, 1, 3), out = p.tensor("out", 1, 1, 3);
  Twice() { p.op("twice", UNIFIEDRL_OP_ADD, {x, x, out}); }
};

// To the last bit, also where they are not numbers.
bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

void check_same_networks(const Step& step, const Engine& a, const Engine& b) {
  for (int32_t network : {step.actor, step.critic}) {
    for (int32_t section : {UNIFIEDRL_PARAMETERS, UNIFIEDRL_GRADIENTS, UNIFIEDRL_MOMENT1, UNIFIEDRL_MOMENT2}) {
      CHECK(same(a.network(network, section), b.network(network, section)));
    }
  }
  CHECK(same(a.network(step.target_actor), b.network(step.target_actor)));
  CHECK(same(a.network(step.target_critic), b.network(step.target_critic)));
}

}  // namespace

TEST(a_loaded_back_end_gives_the_same_bits) {
  const char* name = loaded("again", "reference");
  CHECK(unifiedrl_backend_score(index_of(name)) == 1);
  CHECK(std::string(unifiedrl_backend_description(index_of(name))) == unifiedrl_backend_description(index_of("reference")));
  for (int32_t materialise : {0, 1}) {
    Store store(7, 3, 2, {37, 100, 3});
    Step step(7, 3, 2, 3, 33, {17, 12}, 1, 0.01);
    unifiedrl_options options = {};
    options.materialise = materialise;
    options.seed = 42;
    Engine own(step.p, "reference", options, store.handle), other(step.p, name, options, store.handle);
    CHECK(std::string(unifiedrl_engine_backend(other.handle)) == name);
    CHECK(std::string(unifiedrl_engine_description(other.handle)) == unifiedrl_engine_description(own.handle));
    CHECK(unifiedrl_engine_bytes(other.handle) == unifiedrl_engine_bytes(own.handle));
    step.initialise(own);
    step.initialise(other);
    for (Engine* engine : {&own, &other}) {
      engine->run(1);
      engine->run(19);
      // What a caller changes between runs reaches the library: a hyper-parameter, a constant, parameters and moments in both precisions.
      CHECK_OK(unifiedrl_engine_set_hyper(engine->handle, 0, 0.5));
      engine->set_tensor(step.weights, {0.3f, 0.9f});
      std::vector<double> critic = engine->network(step.critic);
      critic[5] = 0.123456789012345;
      engine->set_network(step.critic, critic);
      std::vector<float> moment(static_cast<size_t>(unifiedrl_network_size(engine->handle, step.actor)), 0.01f);
      int64_t size = static_cast<int64_t>(moment.size());
      CHECK_OK(unifiedrl_network_write(engine->handle, step.actor, UNIFIEDRL_MOMENT2, moment.data(), size));
      CHECK(engine->network(step.critic)[5] == 0.123456789012345);
      engine->run(11);
    }
    CHECK(unifiedrl_engine_step(other.handle) == 31);
    check_same_networks(step, own, other);
    std::vector<float> rows = metrics(other);
    CHECK(rows.size() == 62 && rows == metrics(own));
    for (const auto& [id, size] : step.readable) {
      CHECK(same(own.tensor(id, size), other.tensor(id, size)));
    }
    CHECK(own.tensor(step.rows, step.B) == other.tensor(step.rows, step.B));
    std::vector<float> a(static_cast<size_t>(unifiedrl_network_size(own.handle, step.critic))), b(a.size());
    int64_t size = static_cast<int64_t>(a.size());
    CHECK_OK(unifiedrl_network_read(own.handle, step.critic, UNIFIEDRL_MOMENT1, a.data(), size));
    CHECK_OK(unifiedrl_network_read(other.handle, step.critic, UNIFIEDRL_MOMENT1, b.data(), size));
    CHECK(a == b && a[0] != 0);
  }
}

TEST(a_failure_within_a_run_crosses_as_it_is) {
  Store store(6, 3, 1, {100, 300});
  Step step(6, 3, 1, 2, 4, {8});
  unifiedrl_options options = {};
  options.seed = 6;
  spoil_reward(store, step, options.seed, 3);
  Engine own(step.p, "reference", options, store.handle), other(step.p, loaded("again", "reference"), options, store.handle);
  std::string text[2];
  std::vector<float> rows[2];
  int at = 0;
  for (Engine* engine : {&own, &other}) {
    step.initialise(*engine);
    CHECK(unifiedrl_engine_run(engine->handle, 5) == UNIFIEDRL_NOT_FINITE);
    text[at] = unifiedrl_error();
    CHECK(unifiedrl_engine_step(engine->handle) == 2);
    rows[at] = metrics(*engine);
    CHECK(rows[at].size() == 4);
    CHECK(unifiedrl_engine_run(engine->handle, 1) == UNIFIEDRL_INVALID_ARGUMENT);
    CHECK_CONTAINS(unifiedrl_error(), "within step 3");
    ++at;
  }
  CHECK_CONTAINS(text[1], "step 3: op 'critic adam' at step 3");
  CHECK(text[0] == text[1] && rows[0] == rows[1]);
  check_same_networks(step, own, other);
}

TEST(a_library_refuses_with_its_own_reason) {
  Store store(6, 3, 1, {50});
  Step step(6, 3, 1, 2, 4, {8});
  unifiedrl_engine* engine = nullptr;
  unifiedrl_options options = {};
  options.precision = UNIFIEDRL_BF16;
  CHECK(unifiedrl_engine_create(step.p.handle, store.handle, loaded("again", "reference"), &options, &engine) == UNIFIEDRL_UNAVAILABLE);
  CHECK_CONTAINS(unifiedrl_error(), "unifiedrl_engine_create: precision is 2 (bf16), but back end 'reference' has only fp32");
  Program p;
  int32_t x = p.constant("x", 2, 1, 3), out = p.tensor("out", 1, 1, 3);
  p.op("sum", UNIFIEDRL_OP_MEMBER_SUM, {x, out});
  CHECK(unifiedrl_engine_create(p.handle, nullptr, loaded("off", "off"), nullptr, &engine) == UNIFIEDRL_UNAVAILABLE);
  CHECK_CONTAINS(unifiedrl_error(), "back end 'off' lacks member_sum, which op 'sum' needs");
  CHECK(engine == nullptr);
}

TEST(check_compares_a_loaded_back_end) {
  Store store(6, 3, 2, {50});
  Step step(6, 3, 2, 2, 16, {8, 8});
  for (const char* names : {"check:reference,again", "check:again,reference32", "check:again,again"}) {
    loaded("again", "reference");
    Engine engine(step.p, names, {}, store.handle);
    CHECK(std::string(unifiedrl_engine_backend(engine.handle)) == names);
    step.initialise(engine);
    engine.run(5);
  }
}

// "off" is 1e-3 off and says that it may be 1e-2 off after an addition: whichever side it is on, its tolerance counts there, and only there.
TEST(check_uses_the_larger_tolerance) {
  loaded("off", "off");
  for (const char* names : {"check:reference,off", "check:off,reference"}) {
    Twice twice;
    Engine adds(twice.p, names);
    adds.set_tensor(twice.x, {1, 2, 3});
    adds.run(2);
    Program p;
    int32_t x = p.constant("x", 1, 1, 3), out = p.tensor("out", 1, 1, 6);
    p.op("side by side", UNIFIEDRL_OP_CONCAT, {x, x, out});
    Engine copies(p, names);
    copies.set_tensor(x, {1, 2, 3});
    CHECK(unifiedrl_engine_run(copies.handle, 1) == UNIFIEDRL_MISMATCH);
    CHECK_CONTAINS(unifiedrl_error(), "op 'side by side' (concat): tensor 'out', element 0");
  }
}

TEST(auto_takes_the_best_that_lets_itself_be_taken) {
  Twice twice;
  loaded("again", "reference");
  unifiedrl_engine* engine = nullptr;
  if (index_of("off") == -1) {
    int32_t status = unifiedrl_engine_create(twice.p.handle, nullptr, "auto", nullptr, &engine);
    CHECK(status == UNIFIEDRL_UNAVAILABLE || std::string(unifiedrl_engine_backend(engine)) == "cpu");
    unifiedrl_engine_close(engine);
  }
  loaded("off", "off");
  Engine best(twice.p, "auto");
  CHECK(std::string(unifiedrl_engine_backend(best.handle)) == "off");
}

TEST(rows_of_metrics_come_zeroed) {
  Twice twice;
  twice.p.op("metric", UNIFIEDRL_OP_METRIC, {twice.x}, {}, {0});
  Engine engine(twice.p, loaded("off", "off"));
  engine.set_tensor(twice.x, {1, 2, 3});
  for (int64_t steps : {3000, 1, 3000}) {
    engine.run(steps);
  }
}

TEST(nothing_thrown_passes) {
  Program p;
  int32_t net = p.network("net", 1, {1, 1}), x = p.constant("x", 1, 1, 1), y = p.tensor("y", 1, 1, 1);
  p.op("forward", UNIFIEDRL_OP_MLP_FORWARD, {x, y, UNIFIEDRL_NONE}, {net});
  Engine engine(p, loaded("off", "off"));
  float values[2] = {};
  CHECK(unifiedrl_network_read(engine.handle, net, UNIFIEDRL_PARAMETERS, values, 2) == UNIFIEDRL_INTERNAL);
  CHECK_CONTAINS(unifiedrl_error(), "unifiedrl_network_read: the device is gone");
  CHECK(unifiedrl_network_write(engine.handle, net, UNIFIEDRL_PARAMETERS, values, 2) == UNIFIEDRL_INTERNAL);
  CHECK_CONTAINS(unifiedrl_error(), "unknown type");
  CHECK(std::string(unifiedrl_engine_description(engine.handle)) == "no description");
}

TEST(what_breaks_the_rules_is_caught) {
  Twice twice;
  Engine engine(twice.p, loaded("unruly", "unruly"));
  CHECK(std::string(unifiedrl_engine_description(engine.handle)) == "breaks the rules");
  CHECK(unifiedrl_engine_run(engine.handle, 1) == UNIFIEDRL_INTERNAL);
  CHECK_CONTAINS(unifiedrl_error(), "completed 0 of 1 steps");
  CHECK(unifiedrl_engine_step(engine.handle) == 0);
  CHECK(unifiedrl_engine_run(engine.handle, 4) == UNIFIEDRL_INTERNAL);
  CHECK_CONTAINS(unifiedrl_error(), "unknown status 77: no such status");
  CHECK(unifiedrl_engine_step(engine.handle) == 4);  // 99 of 4 are not believed
  twice.p.op("again", UNIFIEDRL_OP_ADD, {twice.x, twice.x, twice.p.tensor("more", 1, 1, 3)});
  unifiedrl_engine* other = nullptr;
  CHECK(unifiedrl_engine_create(twice.p.handle, nullptr, "unruly", nullptr, &other) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK_CONTAINS(unifiedrl_error(), "2 ops");
}

// Each is listed with the reason, and asking for it gives the reason.
TEST(what_is_no_back_end_is_listed_with_the_reason) {
  std::string text_file = "no_library.so";
  std::ofstream(text_file) << "not a library\n";
  struct Refused {
    const char* name;
    std::string path;
    std::vector<std::string> reasons;
  };
  std::string here = std::to_string(UNIFIEDRL_ABI_VERSION), there = std::to_string(UNIFIEDRL_ABI_VERSION + 90);
  for (const Refused& r : {Refused{"absent", "/nowhere/libabsent.so", {"does not load", "/nowhere/libabsent.so", "No such file"}},
                           {"text", "./" + text_file, {"does not load", text_file}},
                           {"symbol", library("without_function"), {"is not a back end", "unifiedrl_backend"}},
                           {"version", library("of_another_version"), {"has version " + there, "needs version " + here}},
                           {"table", library("without_table"), {"gives no table for version " + here}},
                           {"function", library("without_run"), {"lacks a function"}}}) {
    CHECK(load(r.name, r.path) == UNIFIEDRL_UNAVAILABLE);
    std::string failure = unifiedrl_error();
    int32_t index = index_of(r.name);
    CHECK(index >= 0 && unifiedrl_backend_score(index) == 0);
    std::string description = unifiedrl_backend_description(index);
    Twice twice;
    unifiedrl_engine* engine = nullptr;
    CHECK(unifiedrl_engine_create(twice.p.handle, nullptr, r.name, nullptr, &engine) == UNIFIEDRL_UNAVAILABLE);
    std::string refusal = unifiedrl_error();
    for (const std::string& text : {failure, description, refusal}) {
      CHECK_CONTAINS(text, "library '" + r.path + "'");
      for (const std::string& reason : r.reasons) {
        CHECK_CONTAINS(text, reason);
      }
    }
    CHECK(unifiedrl_engine_create(twice.p.handle, nullptr, ("check:reference," + std::string(r.name)).c_str(), nullptr, &engine) ==
          UNIFIEDRL_UNAVAILABLE);
    CHECK(engine == nullptr);
  }
  std::remove(text_file.c_str());
}

TEST(names_are_taken_once_unless_the_load_failed) {
  loaded("again", "reference");
  int32_t count = unifiedrl_backend_count();
  for (const char* name : {"again", "reference", "reference32"}) {
    CHECK(load(name, library("reference")) == UNIFIEDRL_INVALID_ARGUMENT);
    CHECK_CONTAINS(unifiedrl_error(), "there is a back end '" + std::string(name) + "' already");
  }
  for (const char* name : {"", "auto", "check:a,b", "a,b", "a=b"}) {
    CHECK(load(name, library("reference")) == UNIFIEDRL_INVALID_ARGUMENT);
  }
  CHECK(load("empty", "") == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(unifiedrl_backend_load(nullptr, "x") == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(unifiedrl_backend_load("x", nullptr) == UNIFIEDRL_INVALID_ARGUMENT);
  CHECK(unifiedrl_backend_count() == count);

  CHECK(load("late", "/nowhere/first.so") == UNIFIEDRL_UNAVAILABLE);
  int32_t index = index_of("late");
  const char* name = unifiedrl_backend_name(index);
  CHECK(load("late", library("of_another_version")) == UNIFIEDRL_UNAVAILABLE);
  CHECK_CONTAINS(unifiedrl_backend_description(index), "version");
  CHECK_OK(load("late", library("reference")));
  CHECK(index_of("late") == index && unifiedrl_backend_count() == count + 1 && unifiedrl_backend_score(index) == 1);
  CHECK(std::string(name) == "late");  // what was handed out stays
  Twice twice;
  Engine engine(twice.p, "late");
  engine.set_tensor(twice.x, {1, 2, 3});
  engine.run(1);
  CHECK(engine.tensor(twice.out, 3)[2] == 6);
  CHECK(load("late", library("reference")) == UNIFIEDRL_INVALID_ARGUMENT);
}

TEST(threads_may_load_at_once) {
  std::atomic<int> ready{0}, won{0}, refused{0}, listed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      ++ready;
      while (ready < 8) {
        std::this_thread::yield();
      }
      int32_t status = load("contested", library("off"));
      won += status == UNIFIEDRL_OK;
      refused += status == UNIFIEDRL_INVALID_ARGUMENT;
      std::string own = "own" + std::to_string(t);
      for (int k = 0; k < 20; ++k) {
        load(own, "/nowhere/" + std::to_string(k));
        for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
          listed += own == unifiedrl_backend_name(i) && unifiedrl_backend_score(i) == 0;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(won == 1 && refused == 7 && listed == 8 * 20);
}

int main(int argc, char** argv) { return test::main(argc, argv); }
