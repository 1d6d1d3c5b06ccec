// What a back end is to the engine: a table with a score, and an executor that runs a range of a program's ops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/program.h"
#include "core/replay.h"

namespace unifiedrl {

// What changes from step to step.
struct StepContext {
  int64_t step;          // counted from 1
  uint64_t seed;
  const double* hypers;  // current value of each slot
  float* metrics;        // row of this step
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Runs ops [first, last) of one step. Only executors created with `materialise` are given less than all ops.
  virtual void run(const StepContext& context, size_t first, size_t last) = 0;
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

struct Backend {
  int32_t abi_version;
  const char* name;
  int32_t (*score)();                    // 0: cannot work here
  std::string (*description)();          // what it runs on, or why it cannot
  bool (*supports)(int32_t op);
  std::unique_ptr<Executor> (*create)(const Program& program, const Replay* replay, const unifiedrl_options& options);
};

// All back ends of this build, best first.
const std::vector<const Backend*>& backends();
// Executor for "auto", a name, or "check:A,B"; *chosen receives the name.
std::unique_ptr<Executor> create_executor(
    const Program& program, const Replay* replay, const std::string& name, const unifiedrl_options& options, std::string* chosen);

extern const Backend kReferenceBackend;    // double
extern const Backend kReference32Backend;  // float
extern const Backend kCpuBackend;

}  // namespace unifiedrl
