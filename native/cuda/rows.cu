// Ops that treat each row of the batch on its own, many in one launch.
#include <algorithm>

#include "cuda/kernels.h"
#include "ops/blocks.h"
#include "ops/box.h"
#include "ops/losses.h"
#include "ops/random.h"
#include "unifiedrl.h"

namespace unifiedrl::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostElements = int64_t{1} << 30;  // of a tile of the widest op; copies of inputs have some columns more

// The rows that a block works on, and the values that an op may need.
struct Tile {
  int64_t first, count, rows;  // of all rows
  const State* state;
  const double* hypers;
  UNIFIEDRL_DEVICE float hyper(int32_t id) const { return static_cast<float>(hypers[id]); }
  UNIFIEDRL_DEVICE uint64_t seed() const { return state->seed; }
  UNIFIEDRL_DEVICE int64_t step() const { return state->done + 1; }
  // visit(member, row, column) for each element of [members, tile, columns], of which row_ops() sees to it that there are at most kMostElements:
  // divisions of 64 bits would take longer than all else.
  template <typename Visit>
  UNIFIEDRL_DEVICE void each(int64_t members, int64_t columns, Visit visit) const {
    uint32_t width = static_cast<uint32_t>(columns), height = static_cast<uint32_t>(count), end = static_cast<uint32_t>(members) * height * width;
    for (uint32_t k = threadIdx.x; k < end; k += blockDim.x) {
      uint32_t rest = k / width, member = rest / height;
      visit(static_cast<int64_t>(member), first + (rest - member * height), static_cast<int64_t>(k - rest * width));
    }
  }
  UNIFIEDRL_DEVICE int64_t at(int64_t member, int64_t row, int64_t column, int64_t columns) const { return (member * rows + row) * columns + column; }
};

UNIFIEDRL_DEVICE float gathered(const RowOp& op, const Tile& tile, int64_t row, int64_t column) {
  if (op.stage_slot > 0) {
    int64_t step = tile.state->done - tile.state->first;
    int64_t half = step / op.stage_steps % 2 * op.stage_slot;
    const float* stage = reinterpret_cast<const float*>(reinterpret_cast<const char*>(op.in[0]) + half);
    return stage[((step % op.stage_steps) * tile.rows + row) * op.columns + column];
  }
  int64_t from = op.rows[row];
  from += op.attribute == 1 && op.last[from] == 0 ? 1 : 0;
  return op.in[0] == nullptr ? static_cast<float>(op.last[from]) : op.in[0][from * op.columns + column];
}

UNIFIEDRL_DEVICE void run_op(const RowOp& op, const Tile& tile) {
  switch (op.code) {
    case UNIFIEDRL_OP_SAMPLE:  // rows, attribute: stream
      tile.each(1, 1, [&](int64_t, int64_t b, int64_t) {
        op.rows[b] = sample_row(tile.state->seed, tile.state->done + 1, op.attribute, b, op.replay_rows);
      });
      return;
    case UNIFIEDRL_OP_GATHER:  // in: column or stage, shift, scale; rows, last, attribute: offset
      tile.each(1, op.columns, [&](int64_t, int64_t b, int64_t f) {
        float value = gathered(op, tile, b, f);
        value -= op.in[1] == nullptr ? 0.0f : op.in[1][f];
        op.out[0][b * op.columns + f] = op.in[2] == nullptr ? value : value * op.in[2][f];
      });
      return;
    case UNIFIEDRL_OP_CONCAT: {  // in: x, y; columns of x, other_columns of y
      int64_t columns = op.columns + op.other_columns;
      tile.each(op.members, columns, [&](int64_t e, int64_t b, int64_t f) {
        op.out[0][tile.at(e, b, f, columns)] =
            f < op.columns ? op.in[0][tile.at(e, b, f, op.columns)] : op.in[1][tile.at(e, b, f - op.columns, op.other_columns)];
      });
      return;
    }
    case UNIFIEDRL_OP_MEMBER_SUM:  // in: x
      tile.each(1, op.columns, [&](int64_t, int64_t b, int64_t f) {
        float sum = 0;
        for (int64_t e = 0; e < op.members; ++e) {
          sum += op.in[0][tile.at(e, b, f, op.columns)];
        }
        op.out[0][b * op.columns + f] = sum;
      });
      return;
    case UNIFIEDRL_OP_ADD:  // in: x, y
      tile.each(op.members, op.columns, [&](int64_t e, int64_t b, int64_t f) {
        int64_t k = tile.at(e, b, f, op.columns);
        op.out[0][k] = op.in[0][k] + op.in[1][k];
      });
      return;
    case UNIFIEDRL_OP_ATTENUATION:  // in: a, lo, hi; hypers: beta, theta
      tile.each(1, 1, [&](int64_t, int64_t b, int64_t) {
        float excess = 0;
        for (int64_t k = b * op.columns; k < (b + 1) * op.columns; ++k) {
          excess += box_excess(op.in[0][k], op.in[1][k], op.in[2][k]);
        }
        op.out[0][b] = attenuation(excess, tile.hyper(op.hypers[0]), tile.hyper(op.hypers[1]));
      });
      return;
    case UNIFIEDRL_OP_TD_TARGET: {  // in: reward, done, phi or null, q; group, hypers: gamma
      int64_t groups = op.members / op.group;
      tile.each(op.members, 1, [&](int64_t e, int64_t b, int64_t) {
        float phi = op.in[2] == nullptr ? 1.0f : op.in[2][b];
        op.out[0][tile.at(e, b, 0, 1)] =
            td_target(op.in[0][b * groups + e / op.group], op.in[1][b], phi, op.in[3][tile.at(e, b, 0, 1)], tile.hyper(op.hypers[0]));
      });
      return;
    }
    case UNIFIEDRL_OP_SQUARED_ERROR:  // in: q, y; out: dq. The loss is a launch of its own.
      tile.each(op.members, 1, [&](int64_t e, int64_t b, int64_t) {
        int64_t k = tile.at(e, b, 0, 1);
        op.out[0][k] = 2.0f * (op.in[0][k] - op.in[1][k]) / static_cast<float>(tile.rows);
      });
      return;
    case UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE: {  // in: q, weight; out: dq, mean, sd; group, hypers: lambda
      int64_t groups = op.members / op.group;
      tile.each(op.members, 1, [&](int64_t e, int64_t b, int64_t) {
        // Every member forms its group's moments for itself: what it reads is close by, and no one waits.
        int64_t g = e / op.group;
        float mean, deviation;
        group_moments(op.in[0] + tile.at(g * op.group, b, 0, 1), op.group, tile.rows, &mean, &deviation);
        int64_t k = tile.at(e, b, 0, 1);
        op.out[0][k] = group_gradient(op.in[0][k], mean, deviation, op.in[1][g], tile.hyper(op.hypers[0]), op.group, tile.rows);
        if (e == g * op.group) {
          op.out[1][b * groups + g] = mean;
          op.out[2][b * groups + g] = deviation;
        }
      });
      return;
    }
    case UNIFIEDRL_OP_BOX_PENALTY:  // in: a, lo, hi; out: da, d, inside; attribute: form, hypers: eta, omega
      tile.each(1, 1, [&](int64_t, int64_t b, int64_t) {
        float sum = 0;
        bool inside = true;
        for (int64_t k = b * op.columns; k < (b + 1) * op.columns; ++k) {
          float a = op.in[0][k], lo = op.in[1][k], hi = op.in[2][k], gradient;
          sum += box_penalty(a, lo, hi, tile.hyper(op.hypers[1]), op.attribute == 1, &gradient);
          inside = inside && box_excess(a, lo, hi) <= 0.0f;
          op.out[0][k] = tile.hyper(op.hypers[0]) * gradient / static_cast<float>(tile.rows);
        }
        op.out[1][b] = sum;
        op.out[2][b] = inside ? 1.0f : 0.0f;
      });
      return;
    case kCopyInput:  // in: x; out or low: other_columns, of which those beyond `columns` are 0
      tile.each(op.members, op.other_columns, [&](int64_t e, int64_t b, int64_t f) {
        float value = f < op.columns ? op.in[0][tile.at(e, b, f, op.columns)] : 0.0f;
        int64_t k = tile.at(e, b, f, op.other_columns);
        if (op.low != nullptr) {
          op.low[k] = to_bf16(value);
        } else {
          op.out[0][k] = value;
        }
      });
      return;
  }
}

// Building blocks need more registers than the other ops: a launch without any is not to pay for them.
template <bool kBlocks>
UNIFIEDRL_KERNEL void run_ops(const RowOp* ops, int32_t count, int64_t rows, int64_t tile_rows, Context context) {
  for (int64_t first = blockIdx.x * tile_rows; first < rows; first += gridDim.x * tile_rows) {
    Tile tile{first, rows - first < tile_rows ? rows - first : tile_rows, rows, context.state, context.hypers};
    for (int32_t k = 0; k < count; ++k) {
      // In registers: in memory, its fields would be read again for each element, as what is written could be one of them.
      if (kBlocks && is_block(ops[k].code)) {
        Block<float> block = ops[k].block;
        run_block(block, tile);
      } else {
        RowOp op = ops[k];
        run_op(op, tile);
      }
      __syncthreads();  // the next op reads what other threads of this block wrote to these rows
    }
  }
}

}  // namespace

void row_ops(const RowOp* ops, int32_t count, int64_t rows, int64_t widest, bool blocks, const Context& context, int32_t multiprocessors, Stream& stream) {
  if (widest > kMostElements) {
    throw Error(UNIFIEDRL_UNAVAILABLE, format("a row of a tensor has %lld elements; back end 'cuda' runs up to %lld", static_cast<long long>(widest),
                                              static_cast<long long>(kMostElements)));
  }
  // Enough blocks for every multiprocessor while each thread still has an element.
  int64_t spread = (rows + 4 * multiprocessors - 1) / (4 * multiprocessors);
  int64_t filled = (kThreads + widest - 1) / widest;
  int64_t tile = std::clamp<int64_t>(std::max(spread, filled), 1, std::min<int64_t>(64, kMostElements / widest));
  unsigned grid = static_cast<unsigned>(std::min<int64_t>((rows + tile - 1) / tile, 32 * multiprocessors));
  launch(blocks ? run_ops<true> : run_ops<false>, Dim{grid}, Dim{kThreads}, 0, stream, ops, count, rows, tile, context);
}

}  // namespace unifiedrl::cuda
