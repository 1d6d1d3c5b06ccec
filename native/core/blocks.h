// An op of a program as ops/blocks.h runs it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/backend.h"
#include "core/program.h"
#include "ops/blocks.h"

namespace unifiedrl {

// data(tensor) is where a tensor lies, whole.
template <typename T, typename Data>
Block<T> block_of(const Program& program, const Op& op, Data data) {
  const auto tensor = [&](int32_t id) -> const Tensor& { return program.tensors[static_cast<size_t>(id)]; };
  const Tensor &first = tensor(op.t[0]), &out = tensor(op_outputs(op)[0]);
  Block<T> block{};
  block.code = op.code;
  block.members = out.members;
  block.rows = out.rows;
  block.columns = out.columns;
  block.height = first.rows;
  block.width = first.columns;
  for (size_t k = 0; k < op.h.size(); ++k) {
    block.h[k] = op.h[k];
  }
  for (size_t k = 0; k < op.i.size(); ++k) {
    block.i[k] = op.i[k];
  }
  for (size_t k = 0; k < op.t.size(); ++k) {
    if (op.t[k] != UNIFIEDRL_NONE) {
      const Tensor& x = tensor(op.t[k]);
      block.t[k] = {data(op.t[k]), x.members == 1 ? 0 : x.rows * x.columns, x.rows == 1 ? 0 : x.columns, x.columns == 1 ? 0 : 1};
    }
  }
  return block;
}

// Rows [first, last) for run_block, on the host.
template <typename T>
struct HostRows {
  const StepContext& context;
  int64_t first, last;
  template <typename Visit>
  void each(int64_t members, int64_t columns, Visit visit) const {
    for (int64_t e = 0; e < members; ++e) {
      for (int64_t b = first; b < last; ++b) {
        for (int64_t f = 0; f < columns; ++f) {
          visit(e, b, f);
        }
      }
    }
  }
  T hyper(int32_t slot) const { return static_cast<T>(context.hypers[slot]); }
  uint64_t seed() const { return context.seed; }
  int64_t step() const { return context.step; }
};

}  // namespace unifiedrl
