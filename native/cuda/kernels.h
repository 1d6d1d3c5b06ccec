// The CUDA back end's own kernels, as functions that put one launch on a stream. T is float or bf16: what activations and the copies of weights
// that products read are stored as. Row-major throughout; `rows` is the batch B, `members` the ensemble E. All sums have a fixed order.
#pragma once

#include <cstdint>

#include "core/program.h"
#include "cuda/device.h"
#include "ops/blocks.h"
#include "ops/updates.h"

namespace unifiedrl::cuda {

// What changes from step to step, in device memory, so that a captured step need not be captured again.
struct State {
  int64_t done;            // completed steps: the one under way is done + 1
  int64_t first;           // completed steps when the run began: step done + 1 writes row done - first of the metrics
  uint64_t seed;
  int32_t failed_op;       // op that met a gradient that is not finite: nothing is updated or counted from there on; -1: none
  int32_t failed_member;
};

struct Context {
  State* state;
  const double* hypers;
};

// ---- ops that treat each row of the batch on its own ----

constexpr int32_t kCopyInput = 1000;  // code of a RowOp: the copy of a tensor that matrix products read, in their type and with aligned rows

// One op as the kernel reads it. Which fields an op uses is written at its case in rows.cu.
struct RowOp {
  int32_t code;
  int32_t attribute;       // stream, offset or form
  int32_t hypers[2];
  int64_t members, columns, other_columns;
  int64_t group;           // m
  const float* in[4];
  float* out[3];
  bf16* low;               // kCopyInput to bf16
  int64_t* rows;           // row numbers
  // Gather: a column of the whole replay, or the part of the stage that belongs to this column and offset.
  const uint8_t* last;
  int64_t replay_rows;
  int64_t stage_slot;      // bytes from one half of the stage to the other; 0: the replay is resident
  int64_t stage_steps;     // steps in one half
  Block<float> block;      // building blocks (ops/blocks.h), which use nothing else but the code
};

// Runs ops [0, count), which lie in device memory, on all rows: each block takes some rows through all of them. `blocks`: some are building blocks.
void row_ops(const RowOp* ops, int32_t count, int64_t rows, int64_t widest, bool blocks, const Context& context, int32_t multiprocessors, Stream& stream);

// loss_e = mean_b (q - y)^2
void member_losses(const float* q, const float* y, int64_t members, int64_t rows, float* loss, Stream& stream);

// result = scale / max(mean of |x|, 1e-8); scale is a hyper-parameter.
void normalise(const float* x, int64_t elements, int32_t scale, float* result, const Context& context, Stream& stream);

// ---- layers ----

// How a layer reads rows: element (e, b, i) is at data[e * member + b * ld + i].
template <typename T>
struct Rows {
  const T* data;
  int64_t member, ld;
};

// y = f(h W + bias), f tanh or nothing, for few outputs: W [E, in, out], y [E, B, out].
template <typename T>
void output_layer(Rows<T> h, const float* weight, const float* bias, bool tanh, int64_t members, int64_t rows, int64_t in, int64_t out, float* y,
                  Stream& stream);

// Gradient of an output layer's sums: dz = dy, times 1 - y^2 where y is given (tanh).
struct OutputGradient {
  const float* dy;
  const float* y;
  int64_t columns;
};

#if defined(UNIFIEDRL_CUDA_EMULATION) || defined(__CUDACC__)
UNIFIEDRL_DEVICE float value_of(float x) { return x; }
UNIFIEDRL_DEVICE float value_of(bf16 x) { return to_float(x); }
UNIFIEDRL_DEVICE float output_gradient(const OutputGradient& dz, int64_t row, int64_t column) {
  int64_t k = row * dz.columns + column;
  float y = dz.y == nullptr ? 0.0f : dz.y[k];
  return dz.dy[k] * (1.0f - y * y);
}
#endif

// dx[e, b, i] = SUM_j dz_j W[first + i, j], 0 where h (may have no data) is 0 or less; i < count. dx has rows of `count` elements.
template <typename T, typename Out>
void output_layer_gradient(const OutputGradient& dz, const float* weight, int64_t in, int64_t first, int64_t count, Rows<T> h, int64_t members, int64_t rows,
                           Out* dx, Stream& stream);

// Sums over the batch, result[e, i, j] = SUM_b h[e, b, i] dz[e, b, j]. They are formed in `splits` parts, which are then added; partial has room for
// splits * members * in * out floats where splits is above 1.
int64_t batch_sum_splits(int64_t members, int64_t rows, int64_t elements, int32_t multiprocessors);
template <typename T>
void output_weight_gradient(Rows<T> h, const OutputGradient& dz, int64_t members, int64_t rows, int64_t in, int64_t splits, float* partial, float* result,
                            Stream& stream);
// result[e, j] = SUM_b dz[e, b, j]
void output_bias_gradient(const OutputGradient& dz, int64_t members, int64_t rows, int64_t splits, float* partial, float* result, Stream& stream);
template <typename T>
void column_sums(const T* dz, int64_t members, int64_t rows, int64_t columns, int64_t splits, float* partial, float* result, Stream& stream);

// For products whose library has no such epilogue. h = max(h + bias, 0), NaN stays NaN.
template <typename T>
void bias_relu(T* h, const float* bias, int64_t members, int64_t rows, int64_t columns, int32_t multiprocessors, Stream& stream);
// dz = 0 where h is 0 or less
template <typename T>
void relu_gradient(T* dz, const T* h, int64_t elements, int32_t multiprocessors, Stream& stream);

// result[e, k] += addend[e, k], k < count, where members of the result are `stride` apart.
void add_gradient(const float* addend, int64_t members, int64_t count, int64_t stride, float* result, int32_t multiprocessors, Stream& stream);

// Layer normalisation (ops/normalisation.h) of [E, B, columns]; gain and bias [E, columns], stat [E, B, 2].
void layer_norm(const float* x, const float* gain, const float* bias, bool relu, int32_t epsilon, int64_t members, int64_t rows, int64_t columns, float* y,
                float* stat, const Context& context, int32_t multiprocessors, Stream& stream);
void layer_norm_backward(const float* x, const float* stat, const float* gain, const float* dy, bool relu, int64_t members, int64_t rows, int64_t columns,
                         float* dx, int32_t multiprocessors, Stream& stream);
// Gradient of the gain, in splits as above; that of the bias is column_sums of dy.
void gain_gradient(const float* x, const float* stat, const float* dy, bool relu, int64_t members, int64_t rows, int64_t columns, int64_t splits,
                   float* partial, float* result, Stream& stream);

// Similarity of the members' gradients g [E, B, columns] (ops/diversity.h); room has E B + B columns floats.
void diversity(const float* g, int64_t members, int64_t rows, int64_t columns, float* room, float* d, float* dg, int32_t multiprocessors, Stream& stream);

// ---- whole networks in one kernel ----

constexpr int kFusedWidth = 256;  // of inputs and hidden layers, at most
constexpr int kFusedLayers = 8;

template <typename T>
struct FusedNetwork {
  const T* weights;        // parameters as products read them
  const float* master;     // and in float32: output layer and biases
  int64_t members, rows;
  int32_t layers;
  struct {
    int64_t weight, bias;  // offsets in the parameters
    int32_t in, out;
  } layer[kFusedLayers];
};

// Of each hidden layer, what is kept or read: activations [E, B, H_l], or signs [E, B, words] with a bit for each unit; null: nothing.
template <typename T>
struct FusedTape {
  T* hidden[kFusedLayers];
  uint32_t* signs[kFusedLayers];
};
constexpr int64_t sign_words(int64_t units) { return (units + 31) / 32; }

// What a backward pass leaves: gradients of each hidden layer's sums [E, B, H_l], or dx [E, B, columns] of inputs from `first` on; null: nothing.
template <typename T>
struct FusedGradients {
  T* sums[kFusedLayers];
  float* dx;
  int32_t first, columns;
};

// Whether these kernels run networks of this shape: up to kFusedWidth inputs and hidden units a layer, the latter in multiples of 16 bytes, up to 32 outputs.
template <typename T>
bool fused_supports(const Network& network, const DeviceProperties& device);
template <typename T>
void fused_forward(const FusedNetwork<T>& n, const Rows<T>& x, const FusedTape<T>& tape, bool tanh, float* y, const DeviceProperties& device, Stream& stream);
template <typename T>
void fused_backward(const FusedNetwork<T>& n, const OutputGradient& dz, const FusedTape<T>& tape, const FusedGradients<T>& gradients,
                    const DeviceProperties& device, Stream& stream);

// All parameter gradients of a network that fused kernels run, with the squares of each part of them (weight_gradient_parts a member), and the mean of
// (q - y)^2 where the output's gradient comes from such a loss (null: it does not).
template <typename T>
struct WeightGradients {
  FusedNetwork<T> n;
  Rows<T> in[kFusedLayers];      // what each layer read
  const T* sums[kFusedLayers];   // gradients of each hidden layer's sums
  OutputGradient dz;
  float* gradient;
  double* squares;
  const float *q, *y;
  float* loss;
};
int32_t weight_gradient_parts(const Network& network);
template <typename T>
void weight_gradients(const WeightGradients<T>& gradients, int32_t parts, Stream& stream);

// ---- updates ----

// Where the parameters of a network lie in its flat sections.
struct Layout {
  int32_t layers;
  struct {
    int64_t weight, bias, weights, biases;  // offsets, and elements of one member
  } layer[8];
};
Layout layout_of(const Network& network);

constexpr int32_t kNormParts = 16;  // of a gradient whose squares Adam has to form

struct Update {
  int32_t op;              // number in the program
  int32_t members;
  Layout layout;
  const float* gradient;
  float *parameter, *moment1, *moment2;
  bf16* low;               // copy of the parameters for products in bf16, or null
  float* norm;             // [E]
  double* squares;         // [E, parts]: sums of squares of parts of each member's gradient
  int32_t parts;
  bool squared;            // whether they are there already
  int32_t hypers[6];       // rate, beta1, beta2, epsilon, decay, clip
  int64_t period;
  // The soft update that follows, in the same pass; target is null where none does.
  float* target;
  bf16* target_low;
  int64_t target_period;
  int32_t weight;          // hyper-parameter w
};
// Squares of all gradients, unless they are there, then clipping, Adam, the copy and the soft update in one pass, each at the steps of its period. Nothing
// changes where a gradient is not finite.
void adam_update(const Update& update, const Context& context, int32_t multiprocessors, Stream& stream);

void soft_update(const float* source, float* target, bf16* target_low, int64_t elements, int64_t period, int32_t weight, const Context& context,
                 int32_t multiprocessors, Stream& stream);

// low = parameters in bf16
void copy_low(const float* parameters, bf16* low, int64_t elements, int32_t multiprocessors, Stream& stream);

// ---- metrics ----

struct Metric {
  const float* x;
  int64_t elements;
  int64_t slot;
};
constexpr int64_t kMetricPart = 8192;   // elements summed by one block
// Means of tensors, of which the largest has `largest` elements, into the row of this step; `partial` has room for
// count * (largest / kMetricPart + 1) doubles. With `advance` the step is then complete.
void step_metrics(const Metric* metrics, int32_t count, int64_t largest, int64_t slots, float* ring, double* partial, bool advance, const Context& context,
                  Stream& stream);

}  // namespace unifiedrl::cuda
