// The CUDA executor. A step is planned once as a list of launches: ops that treat each row of the batch on its own share one, networks are matrix
// products layer by layer or fused kernels, an update is one pass over the parameters. The list is recorded as a graph and replayed; what changes
// from step to step (its number, hyper-parameters, the stop at a gradient that is not finite) lies in device memory.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "cuda/device.h"
#include "cuda/gemm.h"
#include "cuda/kernels.h"
#include "cuda/replay.h"

namespace unifiedrl::cuda {

// Parts of one device allocation, planned before it is made: place() while planning, at() afterwards.
class Arena {
 public:
  // Offset of `count` elements of a type of `size` bytes.
  int64_t place(int64_t count, int64_t size);
  int64_t bytes() const { return bytes_; }
  void allocate(const char* what);
  template <typename T>
  T* at(int64_t offset) const {
    return offset < 0 ? nullptr : reinterpret_cast<T*>(static_cast<char*>(buffer_.data()) + offset);
  }

 private:
  int64_t bytes_ = 0;
  DeviceBuffer buffer_;
};

class CudaExecutor final : public Executor {
 public:
  CudaExecutor(const Program& program, const Replay* replay, const unifiedrl_options& options);
  ~CudaExecutor() override;

  void run(Run& run) override;
  int64_t bytes() const override { return arena_.bytes() + replay_.device_bytes(); }
  std::string description() const override;
  void read_network(int32_t network, int32_t section, double* destination) const override;
  void write_network(int32_t network, int32_t section, const double* source) override;
  void read_network(int32_t network, int32_t section, float* destination) const override;
  void write_network(int32_t network, int32_t section, const float* source) override;
  void read_tensor(int32_t tensor, double* destination) const override;
  void write_tensor(int32_t tensor, const double* source) override;

 private:
  struct TensorPlace {
    int64_t data = -1;               // float, or int64 for row numbers; tapes have none
    int64_t input = -1;              // copy that products read, in their type, with rows of input_ld elements
    int64_t input_ld = 0;
    int64_t copy_op = -1;            // the RowOp that makes it
    std::vector<int64_t> layers;     // tapes: activations of each hidden layer [E, B, H_l], or only their signs where fused kernels need no more
    std::vector<int64_t> masks;      // one bit for each, for products' epilogues
    std::vector<char> masked;        // whether they are used
    int32_t network = -1;            // tapes: whose
  };
  struct NetworkPlace {
    int64_t sections[4] = {-1, -1, -1, -1};
    int64_t low = -1;                // parameters in bf16
    int64_t squares = -1;            // of parts of its gradient
    bool squared = false;            // by the latest backward pass that is planned
  };
  // Launches that ops [first, last) of the program need, in order.
  struct Item {
    size_t first, last;
    std::function<void()> launch;
  };
  // Row ops that are planned and not yet launched: they wait until something depends on them, so that others can join.
  struct Pending {
    size_t first = 0, last = 0;  // ops
    size_t begin = 0;            // in row_op_list_
    int64_t rows = 0, widest = 0;
    bool blocks = false;         // some are building blocks
    std::vector<int32_t> written;
  };
  // A loss, whose sum over the batch waits for something that reads it; with it can go the gradients that its dq leads to.
  struct Loss {
    size_t op;
    int32_t dq, loss;
    const float *q, *y;
    int64_t members, rows;
    float* result;
  };

  void place();
  void place_network_scratch(const Op& op);
  // Plans with fused kernels or without, whichever is faster here.
  void choose_plan();
  void plan(bool fused);
  void record_step();
  void start_idle();
  float time_step();
  void plan_row_op(size_t o);
  void plan_input_copy(size_t o, int32_t tensor);
  void open_rows(size_t o, int64_t rows, int64_t widest);
  void flush_rows();
  // Launches what the op reads and what still waits.
  void flush_for(const Op& op);
  bool writes_pending(const std::vector<int32_t>& tensors) const;
  void flush_losses();
  // Those that wait, if one of these tensors is among them.
  void flush_losses_of(const std::vector<int32_t>& tensors);
  void plan_forward(size_t o);
  void plan_backward(size_t o, bool to_input);
  template <typename T>
  void plan_forward_as(size_t o);
  template <typename T>
  void plan_backward_as(size_t o, bool to_input);
  // Gradients of the sums of hidden layers, from the output's down, as matrix products.
  template <typename T>
  void plan_hidden_gradients(size_t o, const OutputGradient& dz, int32_t tape, int64_t rows);
  template <typename T>
  void plan_tangent_as(size_t o);
  void plan_layer_norm(size_t o);
  void plan_layer_norm_backward(size_t o);
  void plan_diversity(size_t o);
  template <typename T>
  void plan_weight_gradients(size_t o);
  template <typename T>
  void plan_fused_weight_gradients(size_t o);
  // Whether a network's ops are fused kernels in this plan.
  template <typename T>
  bool fused(const Network& n) const;
  template <typename T>
  FusedNetwork<T> fused_network(int32_t network, int64_t rows) const;
  template <typename T>
  FusedTape<T> fused_tape(int32_t tape) const;
  // Of an Adam, and of the soft update behind it, which o then counts past.
  void plan_update(size_t& o);
  void plan_metrics(size_t first, size_t last, bool advance);
  void add(size_t first, size_t last, std::function<void()> launch);
  RowOp row_op(const Op& op, size_t o) const;
  RowOp input_copy(int32_t tensor) const;
  GemmShape hidden_gradient_shape(const Network& n, size_t layer, int64_t rows, int64_t alignment) const;
  const Gemm* product(const GemmShape& shape);

  const Tensor& info(const Op& op, size_t k) const { return program_.tensors[static_cast<size_t>(op.t[k])]; }
  const Network& network(const Op& op) const { return program_.networks[static_cast<size_t>(op.n[0])]; }
  float* data(int32_t tensor) const;
  float* section(int32_t network, int32_t section) const;
  template <typename T>
  const T* weights(int32_t network) const;   // as products read them
  template <typename T>
  Rows<T> input_rows(int32_t tensor) const;  // of a network, as products read it
  Rows<float> direct_rows(int32_t tensor) const;
  Context context() const { return {arena_.at<State>(state_), arena_.at<double>(hypers_)}; }
  bool low() const { return options_.precision == UNIFIEDRL_BF16; }
  Type operand() const;

  bool is_whole(const Run& run) const { return run.first_op == 0 && run.last_op == program_.ops.size(); }
  // Everything up to the results in host memory; finish_run then hands them out.
  void launch_run(const Run& run);
  void finish_run(Run& run) const;
  void launch_steps(const Run& run);
  State* staged_state() const;
  double* staged_hypers() const;
  float* staged_metrics() const;
  void record(Graph& graph, int64_t steps);
  void upload(void* destination, const void* source, int64_t bytes) const;
  void download(void* destination, const void* source, int64_t bytes) const;
  template <typename Visit>
  void walk_tape(int32_t tensor, Visit visit) const;
  std::vector<std::vector<float>> download_tape(int32_t tensor) const;

  Program program_;
  unifiedrl_options options_;
  int32_t device_;
  DeviceProperties properties_;
  bool plain_products_;                                    // no fused epilogues
  Arena arena_;
  mutable Stream stream_{1};
  std::vector<TensorPlace> tensors_;
  std::vector<NetworkPlace> networks_;
  int64_t hidden_[2] = {-1, -1};                           // activations that nobody keeps
  int64_t gradient_[kFusedLayers] = {};                    // gradients of the sums of each hidden layer
  int64_t hidden_elements_ = 0, gradient_elements_[kFusedLayers] = {}, partial_elements_ = 0;
  int64_t tangent_[kFusedLayers] = {}, tangent_elements_[kFusedLayers] = {};  // second derivatives: hidden layers along the direction
  int64_t addend_ = -1, addend_elements_ = 0;              // gradients that are added to others
  int64_t diversity_ = -1, diversity_elements_ = 0;
  int64_t partial_ = -1, state_ = -1, hypers_ = -1, ring_ = -1, metrics_ = -1, metric_partial_ = -1, row_ops_ = -1;
  std::vector<RowOp> row_op_list_;
  std::vector<Metric> metric_list_;
  Pending pending_;
  std::vector<Loss> losses_;
  bool fused_ = false, any_fused_ = false;
  GemmContext gemms_;
  std::vector<std::unique_ptr<Gemm>> products_;
  std::vector<Item> items_;
  DeviceReplay replay_;
  HostBuffer staging_;
  std::map<int64_t, std::unique_ptr<Graph>> graphs_;  // by steps
};

}  // namespace unifiedrl::cuda
