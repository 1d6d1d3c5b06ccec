// Whole networks in one kernel: a block takes one member and a tile of the batch through all layers. Activations stay in shared memory and sums in
// registers, weights stream through shared memory ahead of their use, tensor cores form the products.
//
// The weights of a member are read once a tile, so tiles are as high as shared memory allows where there are enough of them. What a backward pass
// needs later leaves the chip: hidden activations (or their signs), and gradients of hidden sums, of which products form the weights' gradients.
#include <algorithm>
#include <cmath>

#include "cuda/kernels.h"
#include "cuda/tile.h"

namespace unifiedrl::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kWarpRows = 2, kWarpColumns = kWarps / kWarpRows;  // warps over a tile
constexpr int kStages = 3;                                       // pieces of a weight under way or in use
constexpr int kGroups = kFusedWidth / 16 / kWarpColumns;         // of 16 columns, that a warp has

// Sizes in shared memory, in elements of T. The padding keeps rows on different banks and 16-byte aligned.
template <typename T>
struct Sizes {
  static constexpr int kVector = 16 / static_cast<int>(sizeof(T));  // elements of 16 bytes
  static constexpr int kChunk = 64 / static_cast<int>(sizeof(T));   // of the inner dimension, that one piece of a weight has
  static constexpr int kAcross = kFusedWidth / kVector;             // vectors of the widest row
  static constexpr int kRow = kFusedWidth + kVector;                // of activations
  static constexpr int kPieceRow = kFusedWidth + 8;                 // of a piece of W: tf32 tiles of it are read element by element, down its rows
  static constexpr int kTransposedRow = kChunk + kVector;           // of a piece of W^T
  static constexpr int kPiece = std::max(kChunk * kPieceRow, kFusedWidth * kTransposedRow);
  static constexpr size_t bytes(int tile) { return sizeof(T) * (2 * static_cast<size_t>(tile) * kRow + static_cast<size_t>(kStages) * kPiece); }
};

// One matrix product C[tile, columns] = A[tile, inner] B[inner, columns] of a block. `weight` is B [inner, columns] or its transpose.
template <typename T, int kTile, bool kTransposed>
struct Product {
  static constexpr int kTilesDown = kTile / 16 / kWarpRows;
  using S = Sizes<T>;

  const T* weight;
  int inner, columns, row;  // row: elements from row to row of the weight
  Shared<T> pieces;
  TileC sums[kTilesDown][2 * kGroups];

  UNIFIEDRL_DEVICE Product(Shared<T> pieces) : pieces(pieces) {}

  UNIFIEDRL_DEVICE int chunks() const { return (inner + S::kChunk - 1) / S::kChunk; }
  // Columns that are computed: those beyond `columns` come out 0, as the next product's inner dimension is read by whole pieces.
  UNIFIEDRL_DEVICE int padded() const { return (columns + S::kChunk - 1) / S::kChunk * S::kChunk; }

  // Asks for piece c of the weight; counts as asked for even where there is none, so that waiting is uniform.
  UNIFIEDRL_DEVICE void fetch(int c) {
    if (c < chunks()) {
      Shared<T> piece = pieces + (c % kStages) * S::kPiece;
      int first = c * S::kChunk;
      if constexpr (kTransposed) {
        constexpr int kAcross = S::kChunk / S::kVector;
        for (int k = static_cast<int>(threadIdx.x); k < padded() * kAcross; k += kThreads) {
          int n = k / kAcross, i = k % kAcross * S::kVector;
          bool there = n < columns && first + i < inner;
          copy_async16(piece, n * S::kTransposedRow + i, there ? weight + static_cast<int64_t>(n) * row + first + i : weight, there ? 16 : 0);
        }
      } else {
        for (int k = static_cast<int>(threadIdx.x); k < S::kChunk * S::kAcross; k += kThreads) {
          int i = k / S::kAcross, n = k % S::kAcross * S::kVector;
          bool there = n < columns && first + i < inner;
          if (n < padded()) {
            copy_async16(piece, i * S::kPieceRow + n, there ? weight + static_cast<int64_t>(first + i) * row + n : weight, there ? 16 : 0);
          }
        }
      }
    }
    copy_async_commit();
  }

  // Asks for the first pieces. All threads have finished the product before.
  UNIFIEDRL_DEVICE void begin(const T* w, int inner_size, int column_count, int row_size) {
    weight = w;
    inner = inner_size;
    columns = column_count;
    row = row_size;
    for (int c = 0; c + 1 < kStages; ++c) {
      fetch(c);
    }
  }

  UNIFIEDRL_DEVICE static int warp_row() { return static_cast<int>(threadIdx.x) / kWarp / kWarpColumns * (kTile / kWarpRows); }
  UNIFIEDRL_DEVICE static int group_column(int g) { return (static_cast<int>(threadIdx.x) / kWarp % kWarpColumns + g * kWarpColumns) * 16; }

  UNIFIEDRL_DEVICE void run(Shared<T> a) {
    UNIFIEDRL_UNROLL
    for (int i = 0; i < kTilesDown; ++i) {
      UNIFIEDRL_UNROLL
      for (int j = 0; j < 2 * kGroups; ++j) {
        sums[i][j] = TileC{{0, 0, 0, 0}};
      }
    }
    for (int c = 0; c < chunks(); ++c) {
      copy_async_wait<kStages - 2>();
      __syncthreads();  // the piece is there for all, and all have finished with the one that the next takes the place of
      fetch(c + kStages - 1);
      Shared<T> piece = pieces + (c % kStages) * S::kPiece;
      UNIFIEDRL_UNROLL
      for (int k = 0; k < S::kChunk; k += TileA<T>::kInner) {
        TileA<T> left[kTilesDown];
        UNIFIEDRL_UNROLL
        for (int i = 0; i < kTilesDown; ++i) {
          load(left[i], a + ((warp_row() + 16 * i) * S::kRow + c * S::kChunk + k), S::kRow);
        }
        UNIFIEDRL_UNROLL
        for (int g = 0; g < kGroups; ++g) {
          int n = group_column(g);
          if (n < padded()) {
            TileB<T> right[2];
            if constexpr (kTransposed) {
              load_transposed(right[0], right[1], piece + (n * S::kTransposedRow + k), S::kTransposedRow);
            } else {
              load(right[0], right[1], piece + (k * S::kPieceRow + n), S::kPieceRow);
            }
            UNIFIEDRL_UNROLL
            for (int i = 0; i < kTilesDown; ++i) {
              multiply_add(sums[i][2 * g], left[i], right[0]);
              multiply_add(sums[i][2 * g + 1], left[i], right[1]);
            }
          }
        }
      }
    }
    copy_async_wait<0>();
    __syncthreads();  // all have read A and the pieces
  }

  // visit(tile, row of the tile, first column, sums) for each 16 x 8 part that this warp has; its elements are at tile_row, tile_column.
  template <typename Visit>
  UNIFIEDRL_DEVICE void each(Visit visit) {
    UNIFIEDRL_UNROLL
    for (int i = 0; i < kTilesDown; ++i) {
      UNIFIEDRL_UNROLL
      for (int j = 0; j < 2 * kGroups; ++j) {
        int column = group_column(j / 2) + j % 2 * 8;
        if (column < padded()) {
          visit(warp_row() + 16 * i, column, sums[i][j]);
        }
      }
    }
  }
};

// Rows of the tile from or to a matrix with rows of `width` elements, a multiple of 16 bytes.
template <typename T, int kTile>
UNIFIEDRL_DEVICE void write_rows(Shared<T> buffer, int count, int width, T* to) {
  using S = Sizes<T>;
  for (int k = static_cast<int>(threadIdx.x); k < count * S::kAcross; k += kThreads) {
    int r = k / S::kAcross, i = k % S::kAcross * S::kVector;
    if (i < width) {
      uint4 value = as<uint4>(buffer + (r * S::kRow + i))[0];
      *reinterpret_cast<uint4*>(to + static_cast<int64_t>(r) * width + i) = value;
    }
  }
}

template <typename T>
UNIFIEDRL_DEVICE bool is_on(T h) {
  return !(value_of(h) <= 0.0f);  // NaN is on
}

template <typename T, int kTile>
UNIFIEDRL_KERNEL void __launch_bounds__(kThreads) fused_forward_kernel(UNIFIEDRL_PARAMETER FusedNetwork<T> n, Rows<T> x,
                                                                             UNIFIEDRL_PARAMETER FusedTape<T> tape, bool tanh, float* y) {
  using S = Sizes<T>;
  auto memory = shared<T>(0, 2 * kTile * S::kRow + kStages * S::kPiece);
  Shared<T> in = memory, out = memory + kTile * S::kRow;
  Product<T, kTile, false> product(memory + 2 * kTile * S::kRow);
  int64_t e = blockIdx.y, first = static_cast<int64_t>(blockIdx.x) * kTile;
  int count = n.rows - first < kTile ? static_cast<int>(n.rows - first) : kTile;
  int last = n.layers - 1;

  // Rows beyond the batch, and columns beyond the input, are zeros.
  int across = (n.layer[0].in + S::kChunk - 1) / S::kChunk * S::kChunk / S::kVector;
  const T* rows = x.data + e * x.member + first * x.ld;
  for (int k = static_cast<int>(threadIdx.x); k < kTile * across; k += kThreads) {
    int r = k / across, i = k % across * S::kVector;
    bool there = r < count && i < x.ld;
    copy_async16(in, r * S::kRow + i, there ? rows + r * x.ld + i : x.data, there ? 16 : 0);
  }
  const auto begin = [&](int l) {
    const auto& layer = n.layer[l];
    product.begin(n.weights + layer.weight + e * layer.in * layer.out, layer.in, layer.out, layer.out);
  };
  begin(0);
  for (int l = 0; l < last; ++l) {
    const auto& layer = n.layer[l];
    product.run(in);
    const float* bias = n.master + layer.bias + e * layer.out;
    product.each([&](int r, int c, TileC& sums) {
      UNIFIEDRL_UNROLL
      for (int i = 0; i < 4; ++i) {
        int column = c + tile_column(i);
        float z = sums.x[i] + (column < layer.out ? bias[column] : 0.0f);
        sums.x[i] = z < 0.0f ? 0.0f : z;
      }
      store(sums, out + (r * S::kRow + c), S::kRow);
    });
    if (l + 1 < last) {
      begin(l + 1);
    }
    __syncthreads();
    if (tape.hidden[l] != nullptr) {
      write_rows<T, kTile>(out, count, layer.out, tape.hidden[l] + (e * n.rows + first) * layer.out);
    }
    if (tape.signs[l] != nullptr) {
      int words = (layer.out + kWarp - 1) / kWarp, lane = lane_index();
      for (int k = static_cast<int>(threadIdx.x) / kWarp; k < count * words; k += kWarps) {
        int r = k / words, column = k % words * kWarp + lane;
        bool on = false;
        if (column < layer.out) {
          T h = out[r * S::kRow + column];
          on = is_on(h);
        }
        uint32_t word = warp_ballot(on);
        if (lane == 0) {
          tape.signs[l][(e * n.rows + first + r) * words + k % words] = word;
        }
      }
    }
    Shared<T> swap = in;
    in = out;
    out = swap;
  }

  // The output layer has few columns: a warp takes a row.
  const auto& layer = n.layer[last];
  const float *weight = n.master + layer.weight + e * layer.in * layer.out, *bias = n.master + layer.bias + e * layer.out;
  for (int r = static_cast<int>(threadIdx.x) / kWarp; r < count; r += kWarps) {
    for (int j = 0; j < layer.out; ++j) {
      float sum = 0;
      for (int i = lane_index(); i < layer.in; i += kWarp) {
        T h = in[r * S::kRow + i];
        sum += value_of(h) * weight[i * layer.out + j];
      }
      for (int mask = kWarp / 2; mask > 0; mask /= 2) {
        sum += shuffle_xor(sum, mask);
      }
      if (lane_index() == 0) {
        float z = sum + bias[j];
        y[(e * n.rows + first + r) * layer.out + j] = tanh ? std::tanh(z) : z;
      }
    }
  }
}

template <typename T, int kTile>
UNIFIEDRL_KERNEL void __launch_bounds__(kThreads)
    fused_backward_kernel(UNIFIEDRL_PARAMETER FusedNetwork<T> n, OutputGradient dz, UNIFIEDRL_PARAMETER FusedTape<T> tape,
                          UNIFIEDRL_PARAMETER FusedGradients<T> gradients) {
  using S = Sizes<T>;
  auto memory = shared<T>(0, 2 * kTile * S::kRow + kStages * S::kPiece);
  Shared<T> above = memory, below = memory + kTile * S::kRow;
  Product<T, kTile, true> product(memory + 2 * kTile * S::kRow);
  int64_t e = blockIdx.y, first = static_cast<int64_t>(blockIdx.x) * kTile;
  int count = n.rows - first < kTile ? static_cast<int>(n.rows - first) : kTile;
  int last = n.layers - 1;
  // Whether unit i of hidden layer l is on in row r of the tile.
  const auto on = [&](int l, int r, int i) {
    int64_t row = e * n.rows + first + r;
    if (tape.signs[l] != nullptr) {
      int words = (n.layer[l].out + kWarp - 1) / kWarp;
      return (tape.signs[l][row * words + i / kWarp] >> (i % kWarp) & 1u) != 0;
    }
    return is_on(tape.hidden[l][row * n.layer[l].out + i]);
  };
  const auto begin = [&](int l) {  // the product below hidden layer l
    const auto& layer = n.layer[l];
    // Activations of the layer below come to where the product's results will go.
    if (l > 0 && tape.signs[l - 1] == nullptr) {
      const T* hidden = tape.hidden[l - 1] + (e * n.rows + first) * layer.in;
      for (int k = static_cast<int>(threadIdx.x); k < count * S::kAcross; k += kThreads) {
        int r = k / S::kAcross, i = k % S::kAcross * S::kVector;
        if (i < layer.in) {
          copy_async16(below, r * S::kRow + i, hidden + static_cast<int64_t>(r) * layer.in + i);
        }
      }
    }
    const T* weight = n.weights + layer.weight + e * layer.in * layer.out;
    if (l > 0) {
      product.begin(weight, layer.out, layer.in, layer.out);
    } else if (gradients.dx != nullptr) {
      product.begin(weight + static_cast<int64_t>(gradients.first) * layer.out, layer.out, gradients.columns, layer.out);
    }
  };
  begin(last - 1);

  const auto& top = n.layer[last];
  const float* weight = n.master + top.weight + e * top.in * top.out;
  int padded = (top.in + S::kChunk - 1) / S::kChunk * S::kChunk;
  for (int r = static_cast<int>(threadIdx.x) / kWarp; r < kTile; r += kWarps) {
    for (int i = lane_index(); i < padded; i += kWarp) {
      float sum = 0;
      if (r < count && i < top.in && on(last - 1, r, i)) {
        for (int j = 0; j < top.out; ++j) {
          sum += output_gradient(dz, e * n.rows + first + r, j) * weight[i * top.out + j];
        }
      }
      store_from_float(above + (r * S::kRow + i), sum);
    }
  }
  for (int l = last - 1; l >= 0; --l) {
    const auto& layer = n.layer[l];
    __syncthreads();
    if (gradients.sums[l] != nullptr) {
      write_rows<T, kTile>(above, count, layer.out, gradients.sums[l] + (e * n.rows + first) * layer.out);
    }
    if (l > 0) {
      product.run(above);
      bool signs = tape.signs[l - 1] != nullptr;
      product.each([&](int r, int c, TileC& sums) {
        UNIFIEDRL_UNROLL
        for (int i = 0; i < 4; ++i) {
          int row = r + tile_row(i), column = c + tile_column(i);
          bool keeps = row < count && column < layer.in;
          if (keeps && signs) {
            keeps = on(l - 1, row, column);
          } else if (keeps) {
            T h = below[row * S::kRow + column];
            keeps = is_on(h);
          }
          sums.x[i] = keeps ? sums.x[i] : 0.0f;
        }
        store(sums, below + (r * S::kRow + c), S::kRow);
      });
      Shared<T> swap = above;
      above = below;
      below = swap;
      begin(l - 1);
    } else if (gradients.dx != nullptr) {
      product.run(above);
      product.each([&](int r, int c, TileC& sums) {
        UNIFIEDRL_UNROLL
        for (int i = 0; i < 4; ++i) {
          int row = r + tile_row(i), column = c + tile_column(i);
          if (row < count && column < gradients.columns) {
            gradients.dx[(e * n.rows + first + row) * gradients.columns + column] = sums.x[i];
          }
        }
      });
    }
  }
}

// Rows that a multiprocessor, which has room for one block, goes through one after another.
template <typename T>
int64_t rows_in_turn(const FusedNetwork<T>& n, const DeviceProperties& device, int tile) {
  int64_t blocks = n.members * ((n.rows + tile - 1) / tile);
  return (blocks + device.multiprocessors - 1) / device.multiprocessors * tile;
}

// High tiles read the weights less often, where shared memory has room for them and the last ones do not leave multiprocessors idle.
template <typename T>
bool high_tiles(const FusedNetwork<T>& n, const DeviceProperties& device, int low, int high) {
  return Sizes<T>::bytes(high) <= device.shared_per_block && rows_in_turn(n, device, high) <= rows_in_turn(n, device, low);
}

template <typename T, int kTile>
void launch_forward(const FusedNetwork<T>& n, const Rows<T>& x, const FusedTape<T>& tape, bool tanh, float* y, Stream& stream) {
  Dim grid{static_cast<unsigned>((n.rows + kTile - 1) / kTile), static_cast<unsigned>(n.members)};
  launch(fused_forward_kernel<T, kTile>, grid, Dim{kThreads}, Sizes<T>::bytes(kTile), stream, n, x, tape, tanh, y);
}

template <typename T, int kTile>
void launch_backward(const FusedNetwork<T>& n, const OutputGradient& dz, const FusedTape<T>& tape, const FusedGradients<T>& gradients, Stream& stream) {
  Dim grid{static_cast<unsigned>((n.rows + kTile - 1) / kTile), static_cast<unsigned>(n.members)};
  launch(fused_backward_kernel<T, kTile>, grid, Dim{kThreads}, Sizes<T>::bytes(kTile), stream, n, dz, tape, gradients);
}

constexpr int kLow[] = {64, 32}, kHigh[] = {128, 64};  // rows of a tile in bf16 and in tf32
template <typename T>
constexpr int kType = sizeof(T) == 2 ? 0 : 1;

}  // namespace

template <typename T>
bool fused_supports(const Network& network, const DeviceProperties& device) {
  bool fits = network.layers.size() > 1 && network.inputs() <= kFusedWidth && network.outputs() <= 32 &&
              Sizes<T>::bytes(kLow[kType<T>]) <= device.shared_per_block;
  for (size_t l = 0; l + 1 < network.layers.size(); ++l) {
    fits = fits && network.layers[l].out <= kFusedWidth && network.layers[l].out % Sizes<T>::kVector == 0;
  }
  return fits;
}

template <typename T>
void fused_forward(const FusedNetwork<T>& n, const Rows<T>& x, const FusedTape<T>& tape, bool tanh, float* y, const DeviceProperties& device,
                   Stream& stream) {
  constexpr int kind = kType<T>;
  high_tiles(n, device, kLow[kind], kHigh[kind]) ? launch_forward<T, kHigh[kind]>(n, x, tape, tanh, y, stream)
                                                 : launch_forward<T, kLow[kind]>(n, x, tape, tanh, y, stream);
}

template <typename T>
void fused_backward(const FusedNetwork<T>& n, const OutputGradient& dz, const FusedTape<T>& tape, const FusedGradients<T>& gradients,
                    const DeviceProperties& device, Stream& stream) {
  constexpr int kind = kType<T>;
  high_tiles(n, device, kLow[kind], kHigh[kind]) ? launch_backward<T, kHigh[kind]>(n, dz, tape, gradients, stream)
                                                 : launch_backward<T, kLow[kind]>(n, dz, tape, gradients, stream);
}

#define UNIFIEDRL_FUSED(T)                                                                                                                            \
  template bool fused_supports<T>(const Network&, const DeviceProperties&);                                                                           \
  template void fused_forward(const FusedNetwork<T>&, const Rows<T>&, const FusedTape<T>&, bool, float*, const DeviceProperties&, Stream&);            \
  template void fused_backward(const FusedNetwork<T>&, const OutputGradient&, const FusedTape<T>&, const FusedGradients<T>&, const DeviceProperties&, Stream&);
UNIFIEDRL_FUSED(float)
UNIFIEDRL_FUSED(bf16)
#undef UNIFIEDRL_FUSED

}  // namespace unifiedrl::cuda
