// The CPU executor. Consecutive ops that treat the members of an ensemble independently form a *region*: a worker takes one member,
// walks the batch in tiles through all ops of the region, and then updates that member's parameters, so that activations, gradients and
// weights stay in the core's own cache. Tensors used only inside a region exist one tile at a time.
#pragma once

#include <string>
#include <vector>

#include "core/backend.h"
#include "cpu/buffer.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"
#include "cpu/pool.h"

namespace unifiedrl::cpu {

class CpuExecutor final : public Executor {
 public:
  CpuExecutor(const Program& program, const Replay* replay, const unifiedrl_options& options);

  void run(Run& run) override;
  int64_t bytes() const override { return bytes_; }
  std::string description() const override;
  void read_network(int32_t network, int32_t section, double* destination) const override;
  void write_network(int32_t network, int32_t section, const double* source) override;
  void read_network(int32_t network, int32_t section, float* destination) const override;
  void write_network(int32_t network, int32_t section, const float* source) override;
  void read_tensor(int32_t tensor, double* destination) const override;
  void write_tensor(int32_t tensor, const double* source) override;

 private:
  struct Region {
    size_t first, last;   // ops
    int64_t members;      // 0: one op that is not member by member
    int64_t rows, tile;
    bool accumulates;     // gradients or losses are summed over tiles: tiles of a member run in order on one worker
  };
  struct Storage {
    bool whole;
    Buffer data;              // all of it, or one tile for each worker
    int64_t worker_stride = 0;
    int64_t rows = 0;         // kept: of the batch, or of a tile
  };
  struct NetworkStorage {
    Buffer sections[4];       // gradients only when whole
    bool whole_gradients = false;
    int64_t gradient_offset = 0;  // otherwise: of one member's gradients in the worker's memory
  };
  struct Worker {
    Buffer scratch[3];        // [tile, widest layer]
    Buffer tangents;          // [tile, hidden units] of a second derivative, or what the members' gradients have in common
    Buffer gradients;         // one member of each network that a region trains
  };
  // Where an op stands: member, first row of its tile, rows in it.
  struct Place {
    int64_t member, row, rows;
    int32_t worker;
    bool first_tile;
  };

  void plan();
  void allocate();
  // Whether each backward pass of a network and the updates that use it stand in one region; its gradients then stay with the worker.
  bool gradients_stay(int32_t network, const std::vector<size_t>& region_of) const;
  // Places the gradients that stay with the worker; the result is what a worker needs for them, in floats.
  int64_t place_gradients(const std::vector<size_t>& region_of);
  void run_region(const Region& region, const StepContext& context);
  void run_tile_op(const Op& op, const StepContext& context, const Place& place);
  void run_member_op(const Op& op, const StepContext& context, int64_t member, int32_t worker);
  void run_whole_op(const Op& op, const StepContext& context);
  void run_block_op(const Op& op, const StepContext& context);
  void mlp_forward(const Op& op, const Place& place);
  void mlp_backward(const Op& op, const Place& place);
  void mlp_backward_input(const Op& op, const Place& place);
  void mlp_backward_tangent(const Op& op, const Place& place);
  void layer_norm(const Op& op, const StepContext& context, const Place& place);
  void layer_norm_backward(const Op& op, const Place& place);
  void diversity(const Op& op);
  void adam(const Op& op, const StepContext& context, int64_t member, int32_t worker);
  void gather(const Op& op);

  // Tensor at a place; `member` 0 is used where the tensor is shared.
  float* at(int32_t tensor, const Place& place) const;
  float* whole(int32_t tensor) const;
  // Activations of one hidden layer on a tape, [tile rows, width].
  float* tape_layer(int32_t tensor, const Network& network, size_t layer, const Place& place) const;
  uint16_t* sign_layer(int32_t tensor, const Network& network, size_t layer, const Place& place) const;
  // visit(position in [E, B, H], value of a tape, word and bit of signs) for each element of a tape that is kept whole.
  template <typename Visit>
  void walk_tape(int32_t tensor, Visit visit) const;
  const float* weight(const Network& network, const NetworkStorage& storage, size_t layer, int64_t member) const;
  const float* bias(const Network& network, const NetworkStorage& storage, size_t layer, int64_t member) const;
  // Gradient slots of one member's layer: in the worker's own memory, or in place when whole gradients are kept.
  float* weight_gradient(int32_t network, size_t layer, const Place& place);
  float* bias_gradient(int32_t network, size_t layer, const Place& place);

  const Program program_;
  const Replay* replay_;
  const Kernels* kernels_;
  bool materialise_;
  int64_t tile_rows_;
  Pool pool_;
  std::vector<Region> regions_;
  std::vector<Storage> tensors_;
  std::vector<std::vector<int64_t>> rows_;  // of ROWS tensors
  std::vector<NetworkStorage> networks_;
  std::vector<Worker> workers_;
  int64_t bytes_ = 0;
};

}  // namespace unifiedrl::cpu
