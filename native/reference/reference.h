// The oracle: every op as plain loops over whole tensors, in the order of its definition. Slow and obvious on purpose.
#pragma once

#include <cstdint>
#include <vector>

#include "core/backend.h"

namespace unifiedrl::reference {

template <typename T>
class ReferenceExecutor final : public Executor {
 public:
  ReferenceExecutor(const Program& program, const Replay* replay);

  void run(Run& run) override;
  int64_t bytes() const override { return bytes_; }
  std::string description() const override { return sizeof(T) == 8 ? "plain loops in double, one thread" : "plain loops in float, one thread"; }
  void read_network(int32_t network, int32_t section, double* destination) const override;
  void write_network(int32_t network, int32_t section, const double* source) override;
  void read_network(int32_t network, int32_t section, float* destination) const override;
  void write_network(int32_t network, int32_t section, const float* source) override;
  void read_tensor(int32_t tensor, double* destination) const override;
  void write_tensor(int32_t tensor, const double* source) override;

 private:
  void run_op(const Op& op, const StepContext& context);
  void sample(const Op& op, const StepContext& context);
  void gather(const Op& op);
  void concat(const Op& op);
  void mlp_forward(const Op& op);
  void mlp_backward(const Op& op);
  void mlp_backward_input(const Op& op);
  void member_sum(const Op& op);
  void attenuate(const Op& op, const StepContext& context);
  void td_targets(const Op& op, const StepContext& context);
  void squared_error(const Op& op);
  void ensemble_objective(const Op& op, const StepContext& context);
  void box_penalties(const Op& op, const StepContext& context);
  void adam_update(const Op& op, const StepContext& context);
  void soft_updates(const Op& op, const StepContext& context);
  void metric(const Op& op, const StepContext& context);
  void block(const Op& op, const StepContext& context);
  void normalise_layer(const Op& op, const StepContext& context);
  void normalise_layer_backward(const Op& op);
  void gradient_diversity(const Op& op);
  void mlp_backward_tangent(const Op& op);

  const Tensor& info(const Op& op, size_t k) const { return program_.tensors[static_cast<size_t>(op.t[k])]; }
  const Network& network(const Op& op, size_t k = 0) const { return program_.networks[static_cast<size_t>(op.n[k])]; }
  T* data(int32_t tensor) { return tensors_[static_cast<size_t>(tensor)].data(); }
  // One member of a tensor; a tensor with a single member is shared by all.
  T* member(const Op& op, size_t k, int64_t e) {
    const Tensor& t = info(op, k);
    return data(op.t[k]) + (t.members == 1 ? 0 : e * t.rows * t.columns);
  }
  T* section(const Op& op, int32_t s, size_t k = 0) { return networks_[static_cast<size_t>(op.n[k])].sections[s].data(); }
  T hyper(const Op& op, const StepContext& context, size_t k) const { return static_cast<T>(context.hypers[op.h[k]]); }

  struct Sections {
    std::vector<T> sections[4];
  };

  const Program& program_;
  const Replay* replay_;
  std::vector<std::vector<T>> tensors_;
  std::vector<std::vector<int64_t>> rows_;  // of ROWS tensors
  std::vector<Sections> networks_;
  std::vector<T> above_, below_;  // one row of a layer's activations or gradients
  std::vector<T> tangent_;        // one row of every layer's inputs
  std::vector<T> inverse_;        // one value a member
  int64_t bytes_ = 0;
};

}  // namespace unifiedrl::reference
