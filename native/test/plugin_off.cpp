// A back end that reads every tensor 0.1 % too large, allows for it after UNIFIEDRL_OP_ADD only, lacks an op, insists on rows of metrics that are
// zero, and throws what it should not.
#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "core/plugin.h"

namespace unifiedrl {
namespace {

class OffExecutor final : public Executor {
 public:
  OffExecutor(std::unique_ptr<Executor> inner, int64_t slots) : inner_(std::move(inner)), slots_(slots) {}

  void run(Run& run) override {
    if (std::any_of(run.metrics, run.metrics + run.steps * slots_, [](float x) { return x != 0; })) {
      throw std::logic_error("the metrics are not zero");
    }
    inner_->run(run);
  }
  int64_t bytes() const override { return inner_->bytes(); }
  std::string description() const override { throw std::runtime_error("no description"); }
  void read_network(int32_t network, int32_t section, double* destination) const override { inner_->read_network(network, section, destination); }
  void write_network(int32_t network, int32_t section, const double* source) override { inner_->write_network(network, section, source); }
  void read_network(int32_t, int32_t, float*) const override { throw std::runtime_error("the device is gone"); }
  void write_network(int32_t, int32_t, const float*) override { throw 7; }
  void read_tensor(int32_t tensor, double* destination) const override {
    inner_->read_tensor(tensor, destination);
    *destination *= 1.001;
  }
  void write_tensor(int32_t tensor, const double* source) override { inner_->write_tensor(tensor, source); }

 private:
  std::unique_ptr<Executor> inner_;
  int64_t slots_;
};

const Backend kOffBackend = {
    UNIFIEDRL_ABI_VERSION,
    "off",
    [] { return 1000; },
    [] { return std::string("0.1 % off"); },
    [](int32_t op) { return op != UNIFIEDRL_OP_MEMBER_SUM; },
    [](int32_t op) { return op == UNIFIEDRL_OP_ADD ? 1e-2 : 0.0; },
    true,
    [](const Program& program, const Replay* replay, const unifiedrl_options& options) {
      return std::make_unique<OffExecutor>(kReferenceBackend.create(program, replay, options), program.metric_slots);
    }};

}  // namespace
}  // namespace unifiedrl

const unifiedrl_backend_table* unifiedrl_backend(int32_t) {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));  // so that loads on several threads overlap
  return unifiedrl::export_backend(unifiedrl::kOffBackend);
}
