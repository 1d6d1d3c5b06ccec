// What a back end is to the engine: a table with a score, and an executor that runs steps of a program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/program.h"
#include "core/replay.h"

namespace unifiedrl {

// Consecutive steps, run in one call.
struct Run {
  int64_t first_step, steps;  // counted from 1
  uint64_t seed;
  const double* hypers;       // current value of each slot
  float* metrics;             // [steps, slots], zeroed by the caller
  size_t first_op, last_op;   // ops [first_op, last_op) of each step: less than all only with `materialise`, and then steps is 1
  int64_t completed = 0;      // out: steps that are complete, also when the run fails
};

// One of them, for executors that go step by step.
struct StepContext {
  int64_t step;
  uint64_t seed;
  const double* hypers;
  float* metrics;  // row of this step
};

template <typename Body>
void each_step(Run& run, int32_t slots, Body body) {
  for (run.completed = 0; run.completed < run.steps; ++run.completed) {
    body(StepContext{run.first_step + run.completed, run.seed, run.hypers, run.metrics + run.completed * slots});
  }
}

class Executor {
 public:
  virtual ~Executor() = default;
  // Fails within step first_step + completed.
  virtual void run(Run& run) = 0;
  virtual int64_t bytes() const = 0;
  // One line: what sets this executor's results and speed.
  virtual std::string description() const = 0;

  // `section` as in unifiedrl.h; counts are checked by the caller.
  virtual void read_network(int32_t network, int32_t section, double* destination) const = 0;
  virtual void write_network(int32_t network, int32_t section, const double* source) = 0;
  virtual void read_network(int32_t network, int32_t section, float* destination) const = 0;
  virtual void write_network(int32_t network, int32_t section, const float* source) = 0;
  // Fails when the tensor is not kept whole. Tapes are [E, B, H] with the hidden layers side by side; signs read as 0 or 1.
  virtual void read_tensor(int32_t tensor, double* destination) const = 0;
  virtual void write_tensor(int32_t tensor, const double* source) = 0;
};

// Both a back end's own functions and those of a library that was loaded (core/plugin.h).
struct Backend {
  int32_t abi_version;
  std::string name;
  std::function<int32_t()> score;                // 0: cannot work here
  std::function<std::string()> description;      // what it runs on, or why it cannot
  std::function<bool(int32_t op)> supports;
  std::function<double(int32_t op)> tolerance;   // of "check:A,B"; null: the default (core/backends.cpp)
  bool automatic;                                // "auto" may choose it
  std::function<std::unique_ptr<Executor>(const Program& program, const Replay* replay, const unifiedrl_options& options)> create;
};

// All back ends: of this build, best first, then those loaded. They are never taken away.
std::vector<const Backend*> backends();
// unifiedrl_backend_load.
void load_backend(const std::string& name, const std::string& path);
// Executor for "auto", a name, or "check:A,B"; *chosen receives the name.
std::unique_ptr<Executor> create_executor(
    const Program& program, const Replay* replay, const std::string& name, const unifiedrl_options& options, std::string* chosen);

extern const Backend kReferenceBackend;    // double
extern const Backend kReference32Backend;  // float
extern const Backend kCpuBackend;

}  // namespace unifiedrl
