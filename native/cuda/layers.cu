// What a layer needs beside matrix products: output layers, sums over the batch, and epilogues where the library has none.
#include <algorithm>
#include <cmath>

#include "cuda/kernels.h"
#include "ops/diversity.h"
#include "ops/normalisation.h"

namespace unifiedrl::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;

unsigned blocks_for(int64_t work, int64_t each, int64_t most) { return static_cast<unsigned>(std::clamp<int64_t>((work + each - 1) / each, 1, most)); }

// A warp takes a row; its lanes share the inputs.
template <typename T>
UNIFIEDRL_KERNEL void output_layer_kernel(Rows<T> h, const float* weight, const float* bias, bool tanh, int64_t rows, int64_t in, int64_t out, float* y) {
  int64_t e = blockIdx.y;
  const float* w = weight + e * in * out;
  int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t b = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp; b < rows; b += static_cast<int64_t>(gridDim.x) * kWarps) {
    const T* x = h.data + e * h.member + b * h.ld;
    for (int64_t j = 0; j < out; ++j) {
      float sum = 0;
      for (int64_t i = lane; i < in; i += kWarp) {
        sum += load_as_float(x + i) * w[i * out + j];
      }
      for (int mask = kWarp / 2; mask > 0; mask /= 2) {
        sum += shuffle_xor(sum, mask);
      }
      if (lane == 0) {
        float z = sum + bias[e * out + j];
        y[(e * rows + b) * out + j] = tanh ? std::tanh(z) : z;
      }
    }
  }
}

// A warp takes a row; its lanes share the columns.
template <typename T, typename Out>
UNIFIEDRL_KERNEL void output_layer_gradient_kernel(OutputGradient dz, const float* weight, int64_t in, int64_t first, int64_t count, Rows<T> h, int64_t rows,
                                                   Out* dx) {
  int64_t e = blockIdx.y, out = dz.columns;
  const float* w = weight + (e * in + first) * out;
  int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t b = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp; b < rows; b += static_cast<int64_t>(gridDim.x) * kWarps) {
    for (int64_t i = lane; i < count; i += kWarp) {
      float sum = 0;
      for (int64_t j = 0; j < out; ++j) {
        sum += output_gradient(dz, e * rows + b, j) * w[i * out + j];
      }
      bool off = h.data != nullptr && load_as_float(h.data + e * h.member + b * h.ld + i) <= 0.0f;
      store_from_float(dx + (e * rows + b) * count + i, off ? 0.0f : sum);
    }
  }
}

// What a sum over the batch is of: in(b, i) * out(b, j).
template <typename T>
struct WeightTerms {
  Rows<T> h;
  OutputGradient dz;
  UNIFIEDRL_DEVICE float operator()(int64_t e, int64_t b, int64_t k, int64_t rows) const {
    return load_as_float(h.data + e * h.member + b * h.ld + k / dz.columns) * output_gradient(dz, e * rows + b, k % dz.columns);
  }
};
struct BiasTerms {
  OutputGradient dz;
  UNIFIEDRL_DEVICE float operator()(int64_t e, int64_t b, int64_t k, int64_t rows) const { return output_gradient(dz, e * rows + b, k); }
};
template <typename T>
struct ColumnTerms {
  const T* dz;
  int64_t columns;
  UNIFIEDRL_DEVICE float operator()(int64_t e, int64_t b, int64_t k, int64_t rows) const { return load_as_float(dz + (e * rows + b) * columns + k); }
};

struct GainTerms {
  const float *x, *stat, *dy;
  int64_t columns;
  bool relu;
  UNIFIEDRL_DEVICE float operator()(int64_t e, int64_t b, int64_t k, int64_t rows) const {
    int64_t row = e * rows + b, at = row * columns + k;
    return dy[at] * ((rectified(x[at], relu) - stat[2 * row]) * stat[2 * row + 1]);
  }
};

constexpr int kElements = 32, kLanes = kThreads / kElements;  // elements of a block, and threads that share the rows of one

// Grid: elements / kElements, splits, members.
template <typename Terms>
UNIFIEDRL_KERNEL void batch_sums(Terms terms, int64_t rows, int64_t elements, int64_t members, float* partial) {
  auto sums = shared<float>(0, kThreads);
  int element = static_cast<int>(threadIdx.x) % kElements, lane = static_cast<int>(threadIdx.x) / kElements;
  int64_t k = static_cast<int64_t>(blockIdx.x) * kElements + element, e = blockIdx.z;
  int64_t share = (rows + gridDim.y - 1) / gridDim.y, first = blockIdx.y * share, last = first + share < rows ? first + share : rows;
  float sum = 0;
  if (k < elements) {
    for (int64_t b = first + lane; b < last; b += kLanes) {
      sum += terms(e, b, k, rows);
    }
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (lane == 0 && k < elements) {
    float total = 0;
    for (int l = 0; l < kLanes; ++l) {
      total += sums[l * kElements + element];
    }
    partial[(blockIdx.y * members + e) * elements + k] = total;
  }
}

UNIFIEDRL_KERNEL void add_splits(const float* partial, int64_t splits, int64_t elements, float* result) {
  int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < elements; k += stride) {
    float sum = 0;
    for (int64_t s = 0; s < splits; ++s) {
      sum += partial[s * elements + k];
    }
    result[k] = sum;
  }
}

template <typename Terms>
void sum_over_batch(const Terms& terms, int64_t members, int64_t rows, int64_t elements, int64_t splits, float* partial, float* result, Stream& stream) {
  Dim grid{blocks_for(elements, kElements, INT32_MAX), static_cast<unsigned>(splits), static_cast<unsigned>(members)};
  launch(batch_sums<Terms>, grid, Dim{kThreads}, kThreads * sizeof(float), stream, terms, rows, elements, members, splits > 1 ? partial : result);
  if (splits > 1) {
    launch(add_splits, Dim{blocks_for(members * elements, kThreads, 4096)}, Dim{kThreads}, 0, stream, static_cast<const float*>(partial), splits,
           members * elements, result);
  }
}

// A warp takes a row.
template <typename T>
UNIFIEDRL_KERNEL void bias_relu_kernel(T* h, const float* bias, int64_t rows, int64_t columns) {
  int64_t e = blockIdx.y;
  int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t b = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp; b < rows; b += static_cast<int64_t>(gridDim.x) * kWarps) {
    T* x = h + (e * rows + b) * columns;
    for (int64_t i = lane; i < columns; i += kWarp) {
      float z = load_as_float(x + i) + bias[e * columns + i];
      store_from_float(x + i, z < 0.0f ? 0.0f : z);
    }
  }
}

template <typename T>
UNIFIEDRL_KERNEL void relu_gradient_kernel(T* dz, const T* h, int64_t elements) {
  int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < elements; k += stride) {
    if (load_as_float(h + k) <= 0.0f) {
      store_from_float(dz + k, 0.0f);
    }
  }
}

// What each thread of a launch of one dimension does: visit(k) for some k < count.
template <typename Visit>
UNIFIEDRL_DEVICE void spread(int64_t count, Visit visit) {
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    visit(k);
  }
}

UNIFIEDRL_KERNEL void add_gradient_kernel(const float* addend, int64_t members, int64_t count, int64_t stride, float* result) {
  spread(members * count, [&](int64_t k) { result[k / count * stride + k % count] += addend[k]; });
}

// The lanes of a warp, which takes a row.
struct WarpLanes {
  int64_t first, step;
  UNIFIEDRL_DEVICE float sum(float x) const {
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      x += shuffle_xor(x, mask);
    }
    return x;
  }
};

// visit(lanes, member, row) for the rows of [E, B] that this warp takes.
template <typename Visit>
UNIFIEDRL_DEVICE void each_row(int64_t members, int64_t rows, Visit visit) {
  WarpLanes lanes{static_cast<int64_t>(threadIdx.x) % kWarp, kWarp};
  for (int64_t r = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp; r < members * rows; r += static_cast<int64_t>(gridDim.x) * kWarps) {
    visit(lanes, r / rows, r);
  }
}

UNIFIEDRL_KERNEL void layer_norm_kernel(const float* x, const float* gain, const float* bias, bool relu, int32_t epsilon, int64_t members, int64_t rows,
                                        int64_t columns, float* y, float* stat, Context context) {
  float floor = static_cast<float>(context.hypers[epsilon]);
  each_row(members, rows, [&](const WarpLanes& lanes, int64_t e, int64_t r) {
    unifiedrl::layer_norm(lanes, columns, x + r * columns, gain + e * columns, bias + e * columns, relu, floor, y + r * columns, stat + 2 * r);
  });
}

UNIFIEDRL_KERNEL void layer_norm_backward_kernel(const float* x, const float* stat, const float* gain, const float* dy, bool relu, int64_t members,
                                                 int64_t rows, int64_t columns, float* dx) {
  each_row(members, rows, [&](const WarpLanes& lanes, int64_t e, int64_t r) {
    unifiedrl::layer_norm_backward(lanes, columns, x + r * columns, stat + 2 * r, gain + e * columns, dy + r * columns, relu, dx + r * columns);
  });
}

// One after the other: 1 / |g| [E, B], their sum's direction [B, columns], the result.
UNIFIEDRL_KERNEL void inverse_norms(const float* g, int64_t members, int64_t rows, int64_t columns, float* inverse) {
  spread(members * rows, [&](int64_t r) { inverse[r] = inverse_norm(g + r * columns, columns); });
}

UNIFIEDRL_KERNEL void direction_sums(const float* g, const float* inverse, int64_t members, int64_t rows, int64_t columns, float* sum) {
  spread(rows * columns, [&](int64_t k) { sum[k] = direction_sum(g + k, rows * columns, inverse + k / columns, rows, members); });
}

UNIFIEDRL_KERNEL void diversity_kernel(const float* g, const float* inverse, const float* sum, int64_t members, int64_t rows, int64_t columns, float* d,
                                       float* dg) {
  spread(members * rows, [&](int64_t r) {
    int64_t b = r % rows;
    if (r < rows) {
      d[b] = unifiedrl::diversity(sum + b * columns, columns, inverse + b, rows, members);
    }
    diversity_gradient(g + r * columns, inverse[r], sum + b * columns, columns, members, rows, dg + r * columns);
  });
}

}  // namespace

template <typename T>
void output_layer(Rows<T> h, const float* weight, const float* bias, bool tanh, int64_t members, int64_t rows, int64_t in, int64_t out, float* y,
                  Stream& stream) {
  launch(output_layer_kernel<T>, Dim{blocks_for(rows, kWarps, 1024), static_cast<unsigned>(members)}, Dim{kThreads}, 0, stream, h, weight, bias, tanh, rows,
         in, out, y);
}

template <typename T, typename Out>
void output_layer_gradient(const OutputGradient& dz, const float* weight, int64_t in, int64_t first, int64_t count, Rows<T> h, int64_t members, int64_t rows,
                           Out* dx, Stream& stream) {
  launch(output_layer_gradient_kernel<T, Out>, Dim{blocks_for(rows, kWarps, 1024), static_cast<unsigned>(members)}, Dim{kThreads}, 0, stream, dz, weight,
         in, first, count, h, rows, dx);
}

constexpr int64_t kSplitRows = 256;  // of a split at least: fewer take no longer than the launch that adds the splits

int64_t batch_sum_splits(int64_t members, int64_t rows, int64_t elements, int32_t multiprocessors) {
  int64_t blocks = members * ((elements + kElements - 1) / kElements);
  return std::clamp<int64_t>(4 * multiprocessors / blocks, 1, std::max<int64_t>(1, std::min<int64_t>(64, rows / kSplitRows)));
}

template <typename T>
void output_weight_gradient(Rows<T> h, const OutputGradient& dz, int64_t members, int64_t rows, int64_t in, int64_t splits, float* partial, float* result,
                            Stream& stream) {
  sum_over_batch(WeightTerms<T>{h, dz}, members, rows, in * dz.columns, splits, partial, result, stream);
}

void output_bias_gradient(const OutputGradient& dz, int64_t members, int64_t rows, int64_t splits, float* partial, float* result, Stream& stream) {
  sum_over_batch(BiasTerms{dz}, members, rows, dz.columns, splits, partial, result, stream);
}

template <typename T>
void column_sums(const T* dz, int64_t members, int64_t rows, int64_t columns, int64_t splits, float* partial, float* result, Stream& stream) {
  sum_over_batch(ColumnTerms<T>{dz, columns}, members, rows, columns, splits, partial, result, stream);
}

template <typename T>
void bias_relu(T* h, const float* bias, int64_t members, int64_t rows, int64_t columns, int32_t multiprocessors, Stream& stream) {
  launch(bias_relu_kernel<T>, Dim{blocks_for(rows, kWarps, 8 * multiprocessors), static_cast<unsigned>(members)}, Dim{kThreads}, 0, stream, h,
         bias, rows, columns);
}

template <typename T>
void relu_gradient(T* dz, const T* h, int64_t elements, int32_t multiprocessors, Stream& stream) {
  launch(relu_gradient_kernel<T>, Dim{blocks_for(elements, 4 * kThreads, 32 * multiprocessors)}, Dim{kThreads}, 0, stream, dz, h, elements);
}

void add_gradient(const float* addend, int64_t members, int64_t count, int64_t stride, float* result, int32_t multiprocessors, Stream& stream) {
  launch(add_gradient_kernel, Dim{blocks_for(members * count, kThreads, 32 * multiprocessors)}, Dim{kThreads}, 0, stream, addend, members, count, stride,
         result);
}

void layer_norm(const float* x, const float* gain, const float* bias, bool relu, int32_t epsilon, int64_t members, int64_t rows, int64_t columns, float* y,
                float* stat, const Context& context, int32_t multiprocessors, Stream& stream) {
  launch(layer_norm_kernel, Dim{blocks_for(members * rows, kWarps, 32 * multiprocessors)}, Dim{kThreads}, 0, stream, x, gain, bias, relu, epsilon, members,
         rows, columns, y, stat, context);
}

void layer_norm_backward(const float* x, const float* stat, const float* gain, const float* dy, bool relu, int64_t members, int64_t rows, int64_t columns,
                         float* dx, int32_t multiprocessors, Stream& stream) {
  launch(layer_norm_backward_kernel, Dim{blocks_for(members * rows, kWarps, 32 * multiprocessors)}, Dim{kThreads}, 0, stream, x, stat, gain, dy, relu,
         members, rows, columns, dx);
}

void gain_gradient(const float* x, const float* stat, const float* dy, bool relu, int64_t members, int64_t rows, int64_t columns, int64_t splits,
                   float* partial, float* result, Stream& stream) {
  sum_over_batch(GainTerms{x, stat, dy, columns, relu}, members, rows, columns, splits, partial, result, stream);
}

void diversity(const float* g, int64_t members, int64_t rows, int64_t columns, float* room, float* d, float* dg, int32_t multiprocessors, Stream& stream) {
  float *inverse = room, *sum = room + members * rows;
  const auto blocks = [&](int64_t count) { return Dim{blocks_for(count, kThreads, 32 * multiprocessors)}; };
  launch(inverse_norms, blocks(members * rows), Dim{kThreads}, 0, stream, g, members, rows, columns, inverse);
  launch(direction_sums, blocks(rows * columns), Dim{kThreads}, 0, stream, g, static_cast<const float*>(inverse), members, rows, columns, sum);
  launch(diversity_kernel, blocks(members * rows), Dim{kThreads}, 0, stream, g, static_cast<const float*>(inverse), static_cast<const float*>(sum), members,
         rows, columns, d, dg);
}

#define UNIFIEDRL_LAYERS(T)                                                                                                                            \
  template void output_layer(Rows<T>, const float*, const float*, bool, int64_t, int64_t, int64_t, int64_t, float*, Stream&);                          \
  template void output_weight_gradient(Rows<T>, const OutputGradient&, int64_t, int64_t, int64_t, int64_t, float*, float*, Stream&);                   \
  template void column_sums(const T*, int64_t, int64_t, int64_t, int64_t, float*, float*, Stream&);                                                    \
  template void bias_relu(T*, const float*, int64_t, int64_t, int64_t, int32_t, Stream&);                                                              \
  template void relu_gradient(T*, const T*, int64_t, int32_t, Stream&);                                                                                \
  template void output_layer_gradient(const OutputGradient&, const float*, int64_t, int64_t, int64_t, Rows<T>, int64_t, int64_t, T*, Stream&);
UNIFIEDRL_LAYERS(float)
UNIFIEDRL_LAYERS(bf16)
#undef UNIFIEDRL_LAYERS

}  // namespace unifiedrl::cuda
