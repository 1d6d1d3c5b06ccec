// Gradients of all of a network's parameters in one launch: sums over the batch of what a layer read times the gradient of its sums. Tensor cores
// form those of hidden layers, tile by tile; threads those of the output layer. Squares for the gradient's norm are summed on the way.
#include <algorithm>

#include "cuda/kernels.h"
#include "cuda/tile.h"

namespace unifiedrl::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kDown = 64, kAcross = 128;                         // of a tile of a hidden layer's weights
constexpr int kWarpsDown = 2, kWarpsAcross = kWarps / kWarpsDown;
constexpr int kTilesDown = kDown / 16 / kWarpsDown, kGroups = kAcross / 16 / kWarpsAcross;
constexpr int kStages = 3;
constexpr int kElements = 32, kLanes = kThreads / kElements;     // of an output layer: elements of a block, and threads that share the rows of one

template <typename T>
struct Sizes {
  static constexpr int kVector = 16 / static_cast<int>(sizeof(T));
  static constexpr int kChunk = 64 / static_cast<int>(sizeof(T));  // rows of the batch in one piece
  static constexpr int kLeft = kDown + 8, kRight = kAcross + 8;    // elements from row to row, on different banks
  static constexpr int kPiece = kChunk * (kLeft + kRight);
  static constexpr size_t kPieces = sizeof(T) * kStages * kPiece;
  static constexpr size_t kBytes = kPieces + sizeof(double) * kThreads;
};

UNIFIEDRL_DEVICE int tiles(int size, int tile) { return (size + tile - 1) / tile; }

UNIFIEDRL_DEVICE void write_squares(double squares, size_t offset, double* to) {
  auto room = shared<double>(offset, kThreads);
  int own = static_cast<int>(threadIdx.x);
  room[own] = squares;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (own < half) {
      room[own] = room[own] + room[own + half];
    }
    __syncthreads();
  }
  if (own == 0) {
    *to = room[0];
  }
}

// Tile (down, across) of hidden layer l.
template <typename T>
UNIFIEDRL_DEVICE double hidden_tile(const WeightGradients<T>& g, int l, int down, int across) {
  using S = Sizes<T>;
  auto pieces = shared<T>(0, kStages * S::kPiece);
  const auto& layer = g.n.layer[l];
  int64_t e = blockIdx.y, rows = g.n.rows;
  int first_in = down * kDown, first_out = across * kAcross, read = static_cast<int>(g.in[l].ld);
  const T* left = g.in[l].data + e * g.in[l].member + first_in;
  const T* right = g.sums[l] + e * rows * layer.out + first_out;
  int chunks = static_cast<int>((rows + S::kChunk - 1) / S::kChunk);
  const auto fetch = [&](int c) {
    if (c < chunks) {
      Shared<T> piece = pieces + (c % kStages) * S::kPiece;
      constexpr int kLeftVectors = kDown / S::kVector, kRightVectors = kAcross / S::kVector;
      UNIFIEDRL_UNROLL
      for (int k = static_cast<int>(threadIdx.x); k < S::kChunk * kLeftVectors; k += kThreads) {
        int r = k / kLeftVectors, i = k % kLeftVectors * S::kVector;
        int64_t b = static_cast<int64_t>(c) * S::kChunk + r;
        bool there = b < rows && first_in + i < read;
        copy_async16(piece, r * S::kLeft + i, there ? left + b * g.in[l].ld + i : g.in[l].data, there ? 16 : 0);
      }
      UNIFIEDRL_UNROLL
      for (int k = static_cast<int>(threadIdx.x); k < S::kChunk * kRightVectors; k += kThreads) {
        int r = k / kRightVectors, j = k % kRightVectors * S::kVector;
        int64_t b = static_cast<int64_t>(c) * S::kChunk + r;
        bool there = b < rows && first_out + j < layer.out;
        copy_async16(piece, S::kChunk * S::kLeft + r * S::kRight + j, there ? right + b * layer.out + j : g.sums[l], there ? 16 : 0);
      }
    }
    copy_async_commit();
  };
  for (int c = 0; c + 1 < kStages; ++c) {
    fetch(c);
  }
  TileC sums[kTilesDown][2 * kGroups];
  UNIFIEDRL_UNROLL
  for (int i = 0; i < kTilesDown; ++i) {
    UNIFIEDRL_UNROLL
    for (int j = 0; j < 2 * kGroups; ++j) {
      sums[i][j] = TileC{{0, 0, 0, 0}};
    }
  }
  int warp = static_cast<int>(threadIdx.x) / kWarp;
  int warp_in = warp / kWarpsAcross * (kDown / kWarpsDown), warp_out = warp % kWarpsAcross * (kAcross / kWarpsAcross);
  int bias_column = down == 0 && static_cast<int>(threadIdx.x) < kAcross ? static_cast<int>(threadIdx.x) : -1;
  float bias = 0;
  for (int c = 0; c < chunks; ++c) {
    copy_async_wait<kStages - 2>();
    __syncthreads();
    fetch(c + kStages - 1);
    Shared<T> a = pieces + (c % kStages) * S::kPiece, b = a + S::kChunk * S::kLeft;
    UNIFIEDRL_UNROLL
    for (int k = 0; k < S::kChunk; k += TileA<T>::kInner) {
      TileA<T> x[kTilesDown];
      UNIFIEDRL_UNROLL
      for (int i = 0; i < kTilesDown; ++i) {
        load_transposed(x[i], a + (k * S::kLeft + warp_in + 16 * i), S::kLeft);
      }
      UNIFIEDRL_UNROLL
      for (int j = 0; j < kGroups; ++j) {
        TileB<T> z[2];
        load(z[0], z[1], b + (k * S::kRight + warp_out + 16 * j), S::kRight);
        UNIFIEDRL_UNROLL
        for (int i = 0; i < kTilesDown; ++i) {
          multiply_add(sums[i][2 * j], x[i], z[0]);
          multiply_add(sums[i][2 * j + 1], x[i], z[1]);
        }
      }
    }
    if (bias_column >= 0) {
      UNIFIEDRL_UNROLL
      for (int r = 0; r < S::kChunk; ++r) {
        T z = b[r * S::kRight + bias_column];
        bias += value_of(z);
      }
    }
  }
  copy_async_wait<0>();
  double squares = 0;
  float* weight = g.gradient + layer.weight + e * layer.in * layer.out;
  UNIFIEDRL_UNROLL
  for (int i = 0; i < kTilesDown; ++i) {
    UNIFIEDRL_UNROLL
    for (int j = 0; j < 2 * kGroups; ++j) {
      UNIFIEDRL_UNROLL
      for (int k = 0; k < 4; ++k) {
        int row = first_in + warp_in + 16 * i + tile_row(k), column = first_out + warp_out + 8 * j + tile_column(k);
        float value = sums[i][j].x[k];
        if (row < layer.in && column < layer.out) {
          weight[static_cast<int64_t>(row) * layer.out + column] = value;
          squares += static_cast<double>(value) * static_cast<double>(value);
        }
      }
    }
  }
  if (bias_column >= 0 && first_out + bias_column < layer.out) {
    g.gradient[layer.bias + e * layer.out + first_out + bias_column] = bias;
    squares += static_cast<double>(bias) * static_cast<double>(bias);
  }
  return squares;
}

// Elements [kElements * part, ...) of the output layer: weights, biases, and behind them the loss that dz comes from.
template <typename T>
UNIFIEDRL_DEVICE double output_part(const WeightGradients<T>& g, int part) {
  auto sums = shared<float>(0, kThreads);
  const auto& layer = g.n.layer[g.n.layers - 1];
  int own = static_cast<int>(threadIdx.x), element = own % kElements, lane = own / kElements;
  int k = part * kElements + element, weights = layer.in * layer.out, i = k / layer.out, j = k % layer.out;
  int64_t e = blockIdx.y, rows = g.n.rows;
  const Rows<T>& h = g.in[g.n.layers - 1];
  float sum = 0;
  if (k < weights) {
    const T* x = h.data + e * h.member + i;
    for (int64_t b = lane; b < rows; b += kLanes) {
      sum += load_as_float(x + b * h.ld) * output_gradient(g.dz, e * rows + b, j);
    }
  } else if (k < weights + layer.out) {
    for (int64_t b = lane; b < rows; b += kLanes) {
      sum += output_gradient(g.dz, e * rows + b, k - weights);
    }
  } else if (k == weights + layer.out && g.loss != nullptr) {
    for (int64_t b = lane; b < rows; b += kLanes) {
      float difference = g.q[e * rows + b] - g.y[e * rows + b];
      sum += difference * difference;
    }
  }
  sums[own] = sum;
  __syncthreads();
  double squares = 0;
  if (lane == 0) {
    float total = 0;
    for (int l = 0; l < kLanes; ++l) {
      total += sums[l * kElements + element];
    }
    if (k < weights + layer.out) {
      g.gradient[k < weights ? layer.weight + e * weights + k : layer.bias + e * layer.out + k - weights] = total;
      squares = static_cast<double>(total) * static_cast<double>(total);
    } else if (k == weights + layer.out && g.loss != nullptr) {
      g.loss[e] = total / static_cast<float>(rows);
    }
  }
  return squares;
}

// Grid: parts, members.
template <typename T>
UNIFIEDRL_KERNEL void __launch_bounds__(kThreads) weight_gradients_kernel(UNIFIEDRL_PARAMETER WeightGradients<T> g) {
  int part = static_cast<int>(blockIdx.x), l = 0;
  for (; l + 1 < g.n.layers; ++l) {
    int count = tiles(g.n.layer[l].in, kDown) * tiles(g.n.layer[l].out, kAcross);
    if (part < count) {
      break;
    }
    part -= count;
  }
  double squares;
  if (l + 1 < g.n.layers) {
    int across = tiles(g.n.layer[l].out, kAcross);
    squares = hidden_tile(g, l, part / across, part % across);
  } else {
    squares = output_part(g, part);
  }
  write_squares(squares, Sizes<T>::kPieces, g.squares + static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x);
}

}  // namespace

int32_t weight_gradient_parts(const Network& network) {
  int64_t parts = 0;
  for (size_t l = 0; l + 1 < network.layers.size(); ++l) {
    parts += ((network.layers[l].in + kDown - 1) / kDown) * ((network.layers[l].out + kAcross - 1) / kAcross);
  }
  const Layer& top = network.layers.back();
  return static_cast<int32_t>(parts + (top.in * top.out + top.out + 1 + kElements - 1) / kElements);
}

template <typename T>
void weight_gradients(const WeightGradients<T>& g, int32_t parts, Stream& stream) {
  launch(weight_gradients_kernel<T>, Dim{static_cast<unsigned>(parts), static_cast<unsigned>(g.n.members)}, Dim{kThreads}, Sizes<T>::kBytes, stream, g);
}
template void weight_gradients(const WeightGradients<float>&, int32_t, Stream&);
template void weight_gradients(const WeightGradients<bf16>&, int32_t, Stream&);

}  // namespace unifiedrl::cuda
