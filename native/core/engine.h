// An engine: a program planned for one back end, with its step counter, hyper-parameters and metrics.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/replay.h"

namespace unifiedrl {

class Engine {
 public:
  Engine(const Program& program, Replay* replay, const std::string& backend, const unifiedrl_options& options);

  void run(int64_t steps);
  int64_t step() const { return step_; }
  void set_step(int64_t step);
  void set_hyper(int32_t id, double value);
  int64_t drain_metrics(float* destination, int64_t max_rows);
  int64_t bytes() const;
  const std::string& backend() const { return backend_; }
  const std::string& description() const { return description_; }
  const Program& program() const { return program_; }

  template <typename T>
  void read_network(int32_t network, int32_t section, T* destination, int64_t count) const {
    check_section(network, section, count);
    executor_->read_network(network, section, destination);
  }
  template <typename T>
  void write_network(int32_t network, int32_t section, const T* source, int64_t count) {
    check_section(network, section, count);
    executor_->write_network(network, section, source);
    if (section == UNIFIEDRL_PARAMETERS) {
      stopped_ = false;
    }
  }
  const Network& network(int32_t id) const;
  void initialise(int32_t network, uint64_t seed);

  void read_tensor(int32_t tensor, double* destination, int64_t count) const;
  void read_tensor(int32_t tensor, float* destination, int64_t count) const;
  void write_tensor(int32_t tensor, const float* source, int64_t count);
  void write_tensor(int32_t tensor, const double* source, int64_t count);

 private:
  const Tensor& tensor(int32_t id, int64_t count) const;
  void check_section(int32_t network, int32_t section, int64_t count) const;

  Program program_;
  std::string backend_, description_;
  uint64_t seed_;
  std::vector<double> hypers_;
  std::vector<float> ring_;  // metrics of the last steps
  int64_t step_ = 0, written_ = 0, drained_ = 0;
  bool stopped_ = false;  // by a gradient that was not finite: some ops of that step ran, others did not
  std::unique_ptr<Replay, Replay::Release> replay_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace unifiedrl
