// An op of a program as ops/blocks.h runs it.
#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace unifiedrl
