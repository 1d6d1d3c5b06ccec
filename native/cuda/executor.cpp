#include "cuda/executor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/blocks.h"
#include "core/error.h"
#include "unifiedrl.h"

namespace unifiedrl::cuda {
namespace {

constexpr int64_t kRingRows = 1024;      // most steps of one run
constexpr int64_t kGraphSteps = 16;      // in one graph: launching it costs some microseconds, as a step of a small batch does
constexpr int64_t kAlignment = 256;      // bytes, of everything in the arena
constexpr int64_t kMostMembers = 65535;  // of a grid's second dimension

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

bool is_row_op(int32_t code) {
  switch (code) {
    case UNIFIEDRL_OP_SAMPLE:
    case UNIFIEDRL_OP_GATHER:
    case UNIFIEDRL_OP_CONCAT:
    case UNIFIEDRL_OP_MEMBER_SUM:
    case UNIFIEDRL_OP_ADD:
    case UNIFIEDRL_OP_ATTENUATION:
    case UNIFIEDRL_OP_TD_TARGET:
    case UNIFIEDRL_OP_SQUARED_ERROR:
    case UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE:
    case UNIFIEDRL_OP_BOX_PENALTY:
      return true;
    default:
      return is_block(code);
  }
}

// Products as a library without fused epilogues would leave them: for tests and for finding faults.
bool wants_plain_products() {
  const char* value = std::getenv("UNIFIEDRL_CUDA_PLAIN_PRODUCTS");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

// "fused", "layered", or nothing: how networks are run whatever is faster, for tests and for finding faults.
std::string wanted_networks() {
  const char* value = std::getenv("UNIFIEDRL_CUDA_NETWORKS");
  return value == nullptr ? "" : value;
}

// Bytes to which all of these addresses are aligned, at most 16.
int64_t alignment_of(std::initializer_list<const void*> addresses) {
  uintptr_t bits = 16;
  for (const void* address : addresses) {
    bits |= reinterpret_cast<uintptr_t>(address);
  }
  return static_cast<int64_t>(bits & (~bits + 1));
}

bool contains(const std::vector<int32_t>& list, int32_t id) { return std::find(list.begin(), list.end(), id) != list.end(); }

}  // namespace

int64_t Arena::place(int64_t count, int64_t size) {
  int64_t offset = bytes_;
  bytes_ = round_up(bytes_ + count * size, kAlignment);
  return offset;
}

void Arena::allocate(const char* what) { buffer_.allocate(static_cast<size_t>(bytes_), what); }

CudaExecutor::CudaExecutor(const Program& program, const Replay* replay, const unifiedrl_options& options)
    : program_(program), options_(options), device_((select_device(options.device), options.device)), properties_(properties(device_)),
      plain_products_(wants_plain_products()), replay_(program, replay) {
  // An update has the norms of all members in shared memory, beside its step and a number.
  int64_t room = static_cast<int64_t>(properties_.shared_per_block) - static_cast<int64_t>(sizeof(AdamStep<float>) + sizeof(int32_t));
  int64_t most = std::min(kMostMembers, room / static_cast<int64_t>(sizeof(float)));
  for (const Network& network : program_.networks) {
    if (network.members > most) {
      throw Error(UNIFIEDRL_UNAVAILABLE, format("network '%s' has %lld members; back end 'cuda' runs up to %lld", network.name.c_str(),
                                                static_cast<long long>(network.members), static_cast<long long>(most)));
    }
  }
  place();
  arena_.allocate("the program");
  // What graphs, kernels and the products' library take later comes out of the rest.
  replay_.allocate(options.replay, static_cast<int64_t>(free_memory()) / 10 * 9, options.threads, stream_);
  int64_t slots = std::max<int64_t>(1, program_.metric_slots);
  staging_.allocate(static_cast<size_t>(kAlignment + round_up(static_cast<int64_t>(program_.hypers.size() * sizeof(double)), kAlignment) +
                                        kRingRows * slots * static_cast<int64_t>(sizeof(float))),
                    "results of a run");
  try {
    choose_plan();
  } catch (const Error& error) {
    if (plain_products_ || error.status() != UNIFIEDRL_INTERNAL) {
      throw;
    }
    plain_products_ = true;  // the library may promise an epilogue that it then has not
    stream_.synchronise();
    choose_plan();
  }
}

void CudaExecutor::choose_plan() {
  std::string wanted = wanted_networks();
  plan(wanted != "layered");
  if (options_.materialise != 0) {
    return;
  }
  record_step();
#if !defined(UNIFIEDRL_CUDA_EMULATION)
  if (any_fused_ && wanted != "fused") {
    constexpr float kNoise = 1.05f;  // the two round differently, and the choice between them should not change from run to run
    float fused = time_step();
    plan(false);
    record_step();
    if (fused <= kNoise * time_step()) {
      plan(true);
      record_step();
    }
  }
#endif
}

void CudaExecutor::record_step() {
#if !defined(UNIFIEDRL_CUDA_EMULATION)
  // A kernel's first launch may load its code, and ask for memory: not within a recording.
  start_idle();
  for (const Item& item : items_) {
    item.launch();
  }
  stream_.synchronise();
#endif
  record(*(graphs_[1] = std::make_unique<Graph>()), 1);
}

// Steps from here on update nothing: they start behind a failure.
void CudaExecutor::start_idle() {
  State state{0, 0, 0, static_cast<int32_t>(program_.ops.size()), 0};
  upload(arena_.at<void>(state_), &state, sizeof state);
  std::vector<double> hypers;
  for (const Hyper& hyper : program_.hypers) {
    hypers.push_back(hyper.value);
  }
  upload(arena_.at<void>(hypers_), hypers.data(), static_cast<int64_t>(hypers.size() * sizeof(double)));
}

// Milliseconds of a step that updates nothing.
float CudaExecutor::time_step() {
  constexpr int kWarmUp = 3, kTimed = 10;
  start_idle();
  Event start(true), end(true);
  for (int k = 0; k < kWarmUp + kTimed; ++k) {
    if (k == kWarmUp) {
      start.record(stream_);
    }
    graphs_[1]->launch(stream_);
  }
  end.record(stream_);
  stream_.synchronise();
  return end.milliseconds_since(start) / kTimed;
}

CudaExecutor::~CudaExecutor() {
  try {
    select_device(device_);
    stream_.synchronise();
  } catch (...) {  // a lost device has nothing left to wait for
  }
}

std::string CudaExecutor::description() const {
  static const char* const precisions[] = {"fp32", "tf32", "bf16"};
  std::string text = format("%s, products in %s (%s), %s", properties_.name.c_str(), precisions[options_.precision], gemm_library().c_str(),
                            replay_.description().c_str());
  auto graph = graphs_.find(1);
  return graph == graphs_.end() ? text + ", op by op"
                                : text + format(", a step is a graph of %zu nodes, networks %s", graph->second->nodes(),
                                                any_fused_ ? "fused" : "layer by layer");
}

// ---- memory ----

void CudaExecutor::place() {
  constexpr int64_t kFloat = sizeof(float);
  int64_t operand = low() ? static_cast<int64_t>(sizeof(bf16)) : kFloat;
  tensors_.resize(program_.tensors.size());
  networks_.resize(program_.networks.size());
  for (size_t t = 0; t < program_.tensors.size(); ++t) {
    const Tensor& tensor = program_.tensors[t];
    bool tape = tensor.kind == UNIFIEDRL_TENSOR_TAPE || tensor.kind == UNIFIEDRL_TENSOR_SIGNS;
    if (!tape) {
      tensors_[t].data = arena_.place(tensor.elements(), tensor.kind == UNIFIEDRL_TENSOR_ROWS ? static_cast<int64_t>(sizeof(int64_t)) : kFloat);
    } else if (tensor.producer >= 0) {
      tensors_[t].network = program_.ops[static_cast<size_t>(tensor.producer)].n[0];
      const Network& network = program_.networks[static_cast<size_t>(tensors_[t].network)];
      for (size_t l = 0; l + 1 < network.layers.size(); ++l) {
        tensors_[t].layers.push_back(arena_.place(tensor.members * tensor.rows * network.layers[l].out, operand));
        bool epilogues = options_.materialise == 0 && l + 2 < network.layers.size();  // the output layer's gradient reads activations
        tensors_[t].masks.push_back(epilogues ? arena_.place(tensor.members * mask_bytes(tensor.rows, network.layers[l].out), 1) : -1);
      }
    }
  }
  for (size_t n = 0; n < program_.networks.size(); ++n) {
    const Network& network = program_.networks[n];
    for (int32_t s = UNIFIEDRL_PARAMETERS; s <= UNIFIEDRL_MOMENT2; ++s) {
      if (s == UNIFIEDRL_PARAMETERS || network.trained) {
        networks_[n].sections[s] = arena_.place(network.size, kFloat);
      }
    }
    if (low()) {
      networks_[n].low = arena_.place(network.size, sizeof(bf16));
    }
    if (network.trained) {
      networks_[n].squares = arena_.place(network.members * std::max(kNormParts, weight_gradient_parts(network)), sizeof(double));
    }
  }
  int64_t copies = 0, largest_metric = 0;
  for (const Op& op : program_.ops) {
    bool tangent = op.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT;
    if ((op.code == UNIFIEDRL_OP_MLP_FORWARD || tangent) && network(op).layers.size() > 1) {
      size_t k = tangent ? 3 : 0;
      TensorPlace& x = tensors_[static_cast<size_t>(op.t[k])];
      const Tensor& tensor = info(op, k);
      int64_t ld = round_up(tensor.columns, low() ? 8 : 4);  // 16 bytes: what tensor cores read at once
      x.input_ld = ld;
      if (x.input < 0 && (low() || ld != tensor.columns)) {
        x.input = arena_.place(tensor.members * tensor.rows * ld, operand);
        ++copies;
      }
    }
    if (op.code == UNIFIEDRL_OP_METRIC) {
      metric_list_.push_back({nullptr, info(op, 0).elements(), op.i[0]});
      largest_metric = std::max(largest_metric, info(op, 0).elements());
    }
    place_network_scratch(op);
  }
  for (int k : {0, 1}) {
    hidden_[k] = arena_.place(hidden_elements_, operand);
  }
  for (int l = 0; l < kFusedLayers; ++l) {
    gradient_[l] = arena_.place(gradient_elements_[l], operand);
    tangent_[l] = arena_.place(tangent_elements_[l], operand);
  }
  addend_ = arena_.place(addend_elements_, kFloat);
  diversity_ = arena_.place(diversity_elements_, kFloat);
  partial_ = arena_.place(partial_elements_, kFloat);
  row_ops_ = arena_.place(static_cast<int64_t>(program_.ops.size()) + copies, sizeof(RowOp));
  metrics_ = arena_.place(static_cast<int64_t>(metric_list_.size()), sizeof(Metric));
  metric_partial_ = arena_.place(static_cast<int64_t>(metric_list_.size()) * (largest_metric / kMetricPart + 1), sizeof(double));
  ring_ = arena_.place(kRingRows * std::max<int64_t>(1, program_.metric_slots), kFloat);
  hypers_ = arena_.place(static_cast<int64_t>(program_.hypers.size()), sizeof(double));
  state_ = arena_.place(1, sizeof(State));
}

// Room that the networks share, one op after another.
void CudaExecutor::place_network_scratch(const Op& op) {
  if (op.code == UNIFIEDRL_OP_DIVERSITY) {
    diversity_elements_ = std::max(diversity_elements_, info(op, 0).rows * (info(op, 0).members + info(op, 0).columns));
    return;
  }
  bool forward = op.code == UNIFIEDRL_OP_MLP_FORWARD, tangent = op.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT;
  bool backward = forms_gradients(op) || tangent;
  if (!forward && !backward && op.code != UNIFIEDRL_OP_MLP_BACKWARD_INPUT) {
    return;
  }
  const Network& n = network(op);
  int64_t rows = info(op, 0).rows;
  for (size_t l = 0; l < n.layers.size(); ++l) {
    const Layer& layer = n.layers[l];
    bool hidden = l + 1 < n.layers.size();
    if (hidden) {
      int64_t& room = forward ? hidden_elements_ : gradient_elements_[l];
      room = std::max(room, n.members * rows * layer.out);
    }
    if (tangent) {
      tangent_elements_[l] = hidden ? std::max(tangent_elements_[l], n.members * rows * layer.out) : tangent_elements_[l];
      addend_elements_ = std::max(addend_elements_, n.members * layer.in * layer.out);
    }
    if (backward) {
      int64_t elements = hidden ? layer.out : layer.in * layer.out;
      for (int64_t count : {elements, layer.out}) {
        int64_t splits = batch_sum_splits(n.members, rows, count, properties_.multiprocessors);
        partial_elements_ = std::max(partial_elements_, splits > 1 ? splits * n.members * count : 0);
      }
      if (tangent && n.layers.size() == 1) {  // of some of the inputs
        int64_t part = info(op, 3).columns * layer.out, splits = batch_sum_splits(n.members, rows, part, properties_.multiprocessors);
        partial_elements_ = std::max(partial_elements_, splits > 1 ? splits * n.members * part : 0);
      }
    }
  }
}

float* CudaExecutor::data(int32_t tensor) const { return tensor == UNIFIEDRL_NONE ? nullptr : arena_.at<float>(tensors_[static_cast<size_t>(tensor)].data); }

float* CudaExecutor::section(int32_t network, int32_t section) const { return arena_.at<float>(networks_[static_cast<size_t>(network)].sections[section]); }

template <>
const float* CudaExecutor::weights<float>(int32_t network) const {
  return section(network, UNIFIEDRL_PARAMETERS);
}

template <>
const bf16* CudaExecutor::weights<bf16>(int32_t network) const {
  return arena_.at<bf16>(networks_[static_cast<size_t>(network)].low);
}

template <typename T>
Rows<T> CudaExecutor::input_rows(int32_t tensor) const {
  const TensorPlace& place = tensors_[static_cast<size_t>(tensor)];
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  int64_t ld = place.input < 0 ? t.columns : place.input_ld;
  return {arena_.at<T>(place.input < 0 ? place.data : place.input), t.members == 1 ? 0 : t.rows * ld, ld};
}

Type CudaExecutor::operand() const {
  return low() ? Type::kBf16 : options_.precision == UNIFIEDRL_TF32 ? Type::kTf32 : Type::kFloat32;
}

// ---- plan ----

void CudaExecutor::add(size_t first, size_t last, std::function<void()> launch) { items_.push_back({first, last, std::move(launch)}); }

void CudaExecutor::plan(bool fused) {
  fused_ = fused && options_.materialise == 0 && options_.precision != UNIFIEDRL_FP32;
  any_fused_ = false;
  graphs_.clear();
  items_.clear();
  products_.clear();
  row_op_list_.clear();
  metric_list_.clear();
  pending_ = Pending();  // a plan that failed may have left some
  losses_.clear();
  for (TensorPlace& place : tensors_) {
    place.masked.assign(place.masks.size(), 0);
  }
  size_t count = program_.ops.size();
  for (size_t t = 0; t < tensors_.size(); ++t) {
    if (program_.tensors[t].kind == UNIFIEDRL_TENSOR_CONSTANT && tensors_[t].input >= 0) {  // copied when it is written
      tensors_[t].copy_op = static_cast<int64_t>(row_op_list_.size());
      row_op_list_.push_back(input_copy(static_cast<int32_t>(t)));
    }
  }
  for (size_t o = 0; o < count; ++o) {
    const Op& op = program_.ops[o];
    if (is_row_op(op.code)) {
      plan_row_op(o);
      if (options_.materialise != 0) {
        flush_losses();
        flush_rows();
      }
      continue;
    }
    flush_for(op);
    switch (op.code) {
      case UNIFIEDRL_OP_MLP_FORWARD: plan_forward(o); break;
      case UNIFIEDRL_OP_MLP_BACKWARD: plan_backward(o, false); break;
      case UNIFIEDRL_OP_MLP_BACKWARD_INPUT: plan_backward(o, true); break;
      case UNIFIEDRL_OP_MLP_BACKWARD_TANGENT: low() ? plan_tangent_as<bf16>(o) : plan_tangent_as<float>(o); break;
      case UNIFIEDRL_OP_LAYER_NORM: plan_layer_norm(o); break;
      case UNIFIEDRL_OP_LAYER_NORM_BACKWARD: plan_layer_norm_backward(o); break;
      case UNIFIEDRL_OP_DIVERSITY: plan_diversity(o); break;
      case UNIFIEDRL_OP_ADAM:
      case UNIFIEDRL_OP_SOFT_UPDATE: plan_update(o); break;
      case UNIFIEDRL_OP_NORMALISER: {
        const float* x = data(op.t[0]);
        float* result = data(op.t[1]);
        int64_t elements = info(op, 0).elements();
        int32_t scale = op.h[0];
        Context context = this->context();
        add(o, o + 1, [=] { normalise(x, elements, scale, result, context, stream_); });
        break;
      }
      case UNIFIEDRL_OP_METRIC:
        metric_list_.push_back({data(op.t[0]), info(op, 0).elements(), op.i[0]});
        if (options_.materialise != 0) {
          plan_metrics(o, o + 1, false);
        }
        break;
    }
    for (int32_t id : op_outputs(op)) {
      if (tensors_[static_cast<size_t>(id)].input >= 0) {  // a later network reads it
        plan_input_copy(o, id);
        if (options_.materialise != 0) {
          flush_rows();
        }
      }
    }
  }
  flush_losses();
  flush_rows();
  plan_metrics(count, count, true);
  upload(arena_.at<void>(row_ops_), row_op_list_.data(), static_cast<int64_t>(row_op_list_.size() * sizeof(RowOp)));
  upload(arena_.at<void>(metrics_), metric_list_.data(), static_cast<int64_t>(metric_list_.size() * sizeof(Metric)));
}

void CudaExecutor::plan_row_op(size_t o) {
  const Op& op = program_.ops[o];
  int32_t first_output = op_outputs(op)[0];
  int64_t rows = program_.tensors[static_cast<size_t>(first_output)].rows;
  std::vector<int32_t> inputs = op_inputs(op);
  flush_losses_of(inputs);
  // Blocks of threads are not ordered: what other rows hold must come from an earlier launch.
  if (pending_.last != 0 && (pending_.rows != rows || (reads_other_rows(op.code) && writes_pending(inputs)))) {
    flush_rows();
  }
  const Tensor& out = program_.tensors[static_cast<size_t>(first_output)];
  open_rows(o, rows, out.members * out.columns);
  pending_.blocks = pending_.blocks || is_block(op.code);
  row_op_list_.push_back(row_op(op, o));
  if (op.code == UNIFIEDRL_OP_SQUARED_ERROR) {
    losses_.push_back({o, op.t[2], op.t[3], data(op.t[0]), data(op.t[1]), info(op, 0).members, rows, data(op.t[3])});
  }
  for (int32_t id : op_outputs(op)) {
    pending_.written.push_back(id);
    if (tensors_[static_cast<size_t>(id)].input >= 0) {
      plan_input_copy(o, id);
    }
  }
}

void CudaExecutor::open_rows(size_t o, int64_t rows, int64_t widest) {
  if (pending_.last == 0) {
    pending_.first = o;
    pending_.begin = row_op_list_.size();
    pending_.rows = rows;
  }
  pending_.last = o + 1;
  pending_.widest = std::max(pending_.widest, widest);
}

void CudaExecutor::plan_input_copy(size_t o, int32_t tensor) {
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  flush_losses_of({tensor});
  if (pending_.last != 0 && pending_.rows != t.rows) {
    flush_rows();
  }
  open_rows(o, t.rows, t.members * t.columns);
  tensors_[static_cast<size_t>(tensor)].copy_op = static_cast<int64_t>(row_op_list_.size());
  row_op_list_.push_back(input_copy(tensor));
  pending_.written.push_back(tensor);
}

void CudaExecutor::flush_rows() {
  if (pending_.last == 0) {
    return;
  }
  const RowOp* ops = arena_.at<RowOp>(row_ops_) + pending_.begin;
  int32_t count = static_cast<int32_t>(row_op_list_.size() - pending_.begin);
  int64_t rows = pending_.rows, widest = pending_.widest;
  bool blocks = pending_.blocks;
  Context context = this->context();
  add(pending_.first, pending_.last, [=] { row_ops(ops, count, rows, widest, blocks, context, properties_.multiprocessors, stream_); });
  pending_ = Pending();
}

void CudaExecutor::flush_for(const Op& op) {
  if (op.code == UNIFIEDRL_OP_METRIC && options_.materialise == 0) {  // these are formed at the end of the step
    return;
  }
  std::vector<int32_t> inputs = op_inputs(op);
  if (writes_pending(inputs)) {
    flush_rows();
  }
  flush_losses_of(inputs);
}

bool CudaExecutor::writes_pending(const std::vector<int32_t>& tensors) const {
  return std::any_of(tensors.begin(), tensors.end(), [&](int32_t id) { return contains(pending_.written, id); });
}

void CudaExecutor::flush_losses_of(const std::vector<int32_t>& tensors) {
  if (std::any_of(losses_.begin(), losses_.end(), [&](const Loss& loss) { return contains(tensors, loss.loss); })) {
    flush_losses();
  }
}

void CudaExecutor::flush_losses() {
  if (losses_.empty()) {
    return;
  }
  flush_rows();  // they may write what losses read
  for (const Loss& loss : losses_) {
    add(loss.op, loss.op + 1, [=] { member_losses(loss.q, loss.y, loss.members, loss.rows, loss.result, stream_); });
  }
  losses_.clear();
}

RowOp CudaExecutor::row_op(const Op& op, size_t o) const {
  RowOp r{};
  r.code = op.code;
  if (is_block(op.code)) {
    r.block = block_of<float>(program_, op, [&](int32_t tensor) { return data(tensor); });
    return r;
  }
  const Tensor& x = info(op, 0);
  r.members = x.members;
  r.columns = x.columns;
  std::vector<int32_t> outputs = op_outputs(op);
  size_t out = 0;
  for (int32_t id : outputs) {
    if (out < 3) {
      r.out[out++] = data(id);
    }
  }
  const auto inputs = [&](std::initializer_list<size_t> positions) {
    size_t k = 0;
    for (size_t position : positions) {
      r.in[k++] = data(op.t[position]);
    }
  };
  switch (op.code) {
    case UNIFIEDRL_OP_SAMPLE:
      r.attribute = static_cast<int32_t>(op.i[0]);
      r.rows = arena_.at<int64_t>(tensors_[static_cast<size_t>(op.t[0])].data);
      r.replay_rows = replay_.rows();
      break;
    case UNIFIEDRL_OP_GATHER:
      r.attribute = static_cast<int32_t>(op.i[1]);
      r.columns = info(op, 3).columns;
      r.rows = arena_.at<int64_t>(tensors_[static_cast<size_t>(op.t[0])].data);
      r.in[1] = data(op.t[1]);
      r.in[2] = data(op.t[2]);
      if (replay_.streamed()) {
        r.in[0] = replay_.stage(o);
        r.stage_slot = replay_.stage_slot();
        r.stage_steps = replay_.stage_steps();
      } else {
        r.in[0] = replay_.column(op.i[0]);
        r.last = replay_.last();
      }
      break;
    case UNIFIEDRL_OP_CONCAT:
      inputs({0, 1});
      r.other_columns = info(op, 1).columns;
      break;
    case UNIFIEDRL_OP_ADD: inputs({0, 1}); break;
    case UNIFIEDRL_OP_MEMBER_SUM: inputs({0}); break;
    case UNIFIEDRL_OP_ATTENUATION:
    case UNIFIEDRL_OP_BOX_PENALTY: inputs({0, 1, 2}); break;
    case UNIFIEDRL_OP_TD_TARGET:
      inputs({0, 1, 2, 3});
      r.members = info(op, 3).members;
      r.group = op.i[0];
      break;
    case UNIFIEDRL_OP_SQUARED_ERROR: inputs({0, 1}); break;
    case UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE:
      inputs({0, 1});
      r.group = op.i[0];
      break;
  }
  if (op.code == UNIFIEDRL_OP_BOX_PENALTY) {
    r.attribute = static_cast<int32_t>(op.i[0]);
  }
  for (size_t k = 0; k < op.h.size() && k < 2; ++k) {
    r.hypers[k] = op.h[k];
  }
  return r;
}

RowOp CudaExecutor::input_copy(int32_t tensor) const {
  const TensorPlace& place = tensors_[static_cast<size_t>(tensor)];
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  RowOp r{};
  r.code = kCopyInput;
  r.members = t.members;
  r.columns = t.columns;
  r.other_columns = place.input_ld;
  r.in[0] = arena_.at<float>(place.data);
  if (low()) {
    r.low = arena_.at<bf16>(place.input);
  } else {
    r.out[0] = arena_.at<float>(place.input);
  }
  return r;
}

const Gemm* CudaExecutor::product(const GemmShape& shape) {
  products_.push_back(std::make_unique<Gemm>(shape, stream_, gemms_));
  return products_.back().get();
}

void CudaExecutor::plan_forward(size_t o) { low() ? plan_forward_as<bf16>(o) : plan_forward_as<float>(o); }

void CudaExecutor::plan_backward(size_t o, bool to_input) { low() ? plan_backward_as<bf16>(o, to_input) : plan_backward_as<float>(o, to_input); }

template <typename T>
void CudaExecutor::plan_forward_as(size_t o) {
  const Op& op = program_.ops[o];
  const Network& n = network(op);
  int64_t rows = info(op, 0).rows, members = n.members;
  size_t last = n.layers.size() - 1;
  const T* parameters = weights<T>(op.n[0]);
  Rows<T> below = last > 0 ? input_rows<T>(op.t[0]) : Rows<T>{};
  if (fused<T>(n)) {
    FusedNetwork<T> network = fused_network<T>(op.n[0], rows);
    FusedTape<T> tape = fused_tape<T>(op.t[2]);
    bool tanh = n.activation == UNIFIEDRL_TANH;
    float* y = data(op.t[1]);
    add(o, o + 1, [=] { fused_forward(network, below, tape, tanh, y, properties_, stream_); });
    any_fused_ = true;
    return;
  }
  for (size_t l = 0; l < last; ++l) {
    const Layer& layer = n.layers[l];
    TensorPlace* tape = op.t[2] == UNIFIEDRL_NONE ? nullptr : &tensors_[static_cast<size_t>(op.t[2])];
    T* h = arena_.at<T>(tape != nullptr ? tape->layers[l] : hidden_[l % 2]);
    const T *weight = parameters + layer.weight, *bias = parameters + layer.bias;
    GemmShape shape;
    shape.batch = members;
    shape.rows = rows;
    shape.columns = layer.out;
    shape.inner = layer.in;
    shape.in = operand();
    shape.out = low() ? Type::kBf16 : Type::kFloat32;
    shape.lda = below.ld;
    shape.ldb = shape.ldc = layer.out;
    shape.stride_a = below.member;
    shape.stride_b = layer.in * layer.out;
    shape.stride_c = rows * layer.out;
    shape.bias_stride = layer.out;
    shape.alignment = alignment_of({below.data, weight, bias, h});
    shape.mask_ld = mask_ld(layer.out);
    shape.mask_stride = rows * shape.mask_ld;
    void* mask = nullptr;
    bool epilogue = !plain_products_;
    if (tape != nullptr && tape->masks[l] >= 0) {
      shape.epilogue = Epilogue::kBiasReluMask;
      GemmShape gradient = hidden_gradient_shape(n, l + 1, rows, shape.alignment);
      if (epilogue && Gemm::supports(shape, gemms_) && Gemm::supports(gradient, gemms_)) {
        mask = arena_.at<void>(tape->masks[l]);
        tape->masked[l] = 1;
      }
    }
    if (mask == nullptr) {
      shape.epilogue = Epilogue::kBiasRelu;
      epilogue = epilogue && Gemm::supports(shape, gemms_);
      shape.epilogue = epilogue ? Epilogue::kBiasRelu : Epilogue::kNone;
    }
    const Gemm* gemm = product(shape);
    const T* in = below.data;
    add(o, o + 1, [=] { gemm->run(in, weight, h, bias, mask, stream_); });
    if (!epilogue) {
      const float* master = section(op.n[0], UNIFIEDRL_PARAMETERS) + layer.bias;
      add(o, o + 1, [=] { bias_relu(h, master, members, rows, layer.out, properties_.multiprocessors, stream_); });
    }
    below = {h, rows * layer.out, layer.out};
  }
  const Layer& layer = n.layers[last];
  const float *weight = section(op.n[0], UNIFIEDRL_PARAMETERS) + layer.weight, *bias = section(op.n[0], UNIFIEDRL_PARAMETERS) + layer.bias;
  float* y = data(op.t[1]);
  bool tanh = n.activation == UNIFIEDRL_TANH;
  if (last > 0) {
    add(o, o + 1, [=] { output_layer(below, weight, bias, tanh, members, rows, layer.in, layer.out, y, stream_); });
  } else {
    Rows<float> x = direct_rows(op.t[0]);
    add(o, o + 1, [=] { output_layer(x, weight, bias, tanh, members, rows, layer.in, layer.out, y, stream_); });
  }
}

Rows<float> CudaExecutor::direct_rows(int32_t tensor) const {
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  return {data(tensor), t.members == 1 ? 0 : t.rows * t.columns, t.columns};
}

// The product that gives the gradient of layer l - 1's sums from that of layer l's: dz W^T, off where the mask is.
GemmShape CudaExecutor::hidden_gradient_shape(const Network& n, size_t l, int64_t rows, int64_t alignment) const {
  const Layer& layer = n.layers[l];
  GemmShape shape;
  shape.batch = n.members;
  shape.rows = rows;
  shape.columns = layer.in;
  shape.inner = layer.out;
  shape.in = operand();
  shape.out = low() ? Type::kBf16 : Type::kFloat32;
  shape.transpose_b = true;
  shape.lda = shape.ldb = layer.out;
  shape.ldc = layer.in;
  shape.stride_a = rows * layer.out;
  shape.stride_b = layer.in * layer.out;
  shape.stride_c = rows * layer.in;
  shape.mask_ld = mask_ld(layer.in);
  shape.mask_stride = rows * shape.mask_ld;
  shape.epilogue = Epilogue::kReluGradient;
  shape.alignment = alignment;
  return shape;
}

template <typename T>
bool CudaExecutor::fused(const Network& n) const {
  return fused_ && fused_supports<T>(n, properties_);
}

template <typename T>
FusedNetwork<T> CudaExecutor::fused_network(int32_t network, int64_t rows) const {
  const Network& n = program_.networks[static_cast<size_t>(network)];
  FusedNetwork<T> result{};
  result.weights = weights<T>(network);
  result.master = section(network, UNIFIEDRL_PARAMETERS);
  result.members = n.members;
  result.rows = rows;
  for (const Layer& layer : n.layers) {
    auto& l = result.layer[result.layers++];
    l.weight = layer.weight;
    l.bias = layer.bias;
    l.in = static_cast<int32_t>(layer.in);
    l.out = static_cast<int32_t>(layer.out);
  }
  return result;
}

template <typename T>
FusedTape<T> CudaExecutor::fused_tape(int32_t tape) const {
  FusedTape<T> result{};
  if (tape != UNIFIEDRL_NONE) {
    const TensorPlace& place = tensors_[static_cast<size_t>(tape)];
    for (size_t l = 0; l < place.layers.size(); ++l) {
      if (program_.tensors[static_cast<size_t>(tape)].kind == UNIFIEDRL_TENSOR_SIGNS) {
        result.signs[l] = arena_.at<uint32_t>(place.layers[l]);
      } else {
        result.hidden[l] = arena_.at<T>(place.layers[l]);
      }
    }
  }
  return result;
}

template <typename T>
void CudaExecutor::plan_backward_as(size_t o, bool to_input) {
  const Op& op = program_.ops[o];
  const Network& n = network(op);
  int32_t y_id = op.t[to_input ? 0 : 1], tape_id = op.t[to_input ? 1 : 2], dy_id = op.t[to_input ? 2 : 3];
  int64_t rows = info(op, 0).rows, members = n.members, first = to_input ? op.i[0] : 0, count = to_input ? info(op, 3).columns : 0;
  size_t last = n.layers.size() - 1;
  const Layer& top = n.layers[last];
  OutputGradient dz{data(dy_id), n.activation == UNIFIEDRL_TANH ? data(y_id) : nullptr, top.out};
  const float* master = section(op.n[0], UNIFIEDRL_PARAMETERS);
  float* dx = to_input ? data(op.t[3]) : nullptr;
  if (last == 0) {
    if (to_input) {
      add(o, o + 1, [=] { output_layer_gradient<float>(dz, master + top.weight, top.in, first, count, Rows<float>{}, members, rows, dx, stream_); });
    }
  } else if (fused<T>(n)) {
    FusedGradients<T> gradients{};
    for (size_t l = 0; !to_input && l < last; ++l) {
      gradients.sums[l] = arena_.at<T>(gradient_[l]);
    }
    gradients.dx = dx;
    gradients.first = static_cast<int32_t>(first);
    gradients.columns = static_cast<int32_t>(count);
    FusedNetwork<T> network = fused_network<T>(op.n[0], rows);
    FusedTape<T> tape = fused_tape<T>(tape_id);
    add(o, o + 1, [=] { fused_backward(network, dz, tape, gradients, properties_, stream_); });
    any_fused_ = true;
  } else {
    plan_hidden_gradients<T>(o, dz, tape_id, rows);
    if (to_input) {
      const Layer& layer = n.layers[0];
      const T *sums = arena_.at<T>(gradient_[0]), *part = weights<T>(op.n[0]) + layer.weight + first * layer.out;
      GemmShape shape = hidden_gradient_shape(n, 0, rows, alignment_of({sums, part, dx}));
      shape.out = Type::kFloat32;
      shape.columns = shape.ldc = count;
      shape.stride_c = rows * count;
      shape.epilogue = Epilogue::kNone;
      const Gemm* gemm = product(shape);
      add(o, o + 1, [=] { gemm->run(sums, part, dx, nullptr, nullptr, stream_); });
    }
  }
  if (!to_input) {
    plan_weight_gradients<T>(o);
  }
}

template <typename T>
void CudaExecutor::plan_hidden_gradients(size_t o, const OutputGradient& dz, int32_t tape_id, int64_t rows) {
  const Op& op = program_.ops[o];
  const Network& n = network(op);
  int64_t members = n.members;
  size_t last = n.layers.size() - 1;
  const Layer& top = n.layers[last];
  const TensorPlace& tape = tensors_[static_cast<size_t>(tape_id)];
  const float* master = section(op.n[0], UNIFIEDRL_PARAMETERS);
  T* above = arena_.at<T>(gradient_[last - 1]);
  Rows<T> below_top{arena_.at<T>(tape.layers[last - 1]), rows * top.in, top.in};
  add(o, o + 1, [=] { output_layer_gradient(dz, master + top.weight, top.in, 0, top.in, below_top, members, rows, above, stream_); });
  for (size_t l = last - 1; l > 0; --l) {
    const Layer& layer = n.layers[l];
    const T *sums = arena_.at<T>(gradient_[l]), *weight = weights<T>(op.n[0]) + layer.weight, *h = arena_.at<T>(tape.layers[l - 1]);
    T* below = arena_.at<T>(gradient_[l - 1]);
    void* mask = tape.masked[l - 1] != 0 ? arena_.at<void>(tape.masks[l - 1]) : nullptr;
    GemmShape shape = hidden_gradient_shape(n, l, rows, alignment_of({sums, weight, below}));
    shape.epilogue = mask != nullptr ? Epilogue::kReluGradient : Epilogue::kNone;
    const Gemm* gemm = product(shape);
    add(o, o + 1, [=] { gemm->run(sums, weight, below, nullptr, mask, stream_); });
    if (mask == nullptr) {
      int64_t elements = members * rows * layer.in;
      add(o, o + 1, [=] { relu_gradient(below, h, elements, properties_.multiprocessors, stream_); });
    }
  }
}

// Along the direction through the layers, back as in a backward pass, and the products of both are added to the gradients.
template <typename T>
void CudaExecutor::plan_tangent_as(size_t o) {
  const Op& op = program_.ops[o];
  const Network& n = network(op);
  networks_[static_cast<size_t>(op.n[0])].squared = false;  // the squares of a fused backward pass are without what is added here
  int64_t rows = info(op, 0).rows, members = n.members, first = op.i[0], columns = info(op, 3).columns;
  size_t last = n.layers.size() - 1;
  OutputGradient dz{data(op.t[2]), nullptr, n.outputs()};
  float *gradient = section(op.n[0], UNIFIEDRL_GRADIENTS), *partial = arena_.at<float>(partial_), *addend = arena_.at<float>(addend_);
  const auto add_to = [&](const Layer& layer, int64_t from, int64_t in) {
    float* result = gradient + layer.weight + from * layer.out;
    int64_t count = in * layer.out, stride = layer.in * layer.out;
    add(o, o + 1, [=] { add_gradient(addend, members, count, stride, result, properties_.multiprocessors, stream_); });
  };
  if (last == 0) {
    Rows<float> direction = direct_rows(op.t[3]);
    int64_t splits = batch_sum_splits(members, rows, columns * n.outputs(), properties_.multiprocessors);
    add(o, o + 1, [=] { output_weight_gradient(direction, dz, members, rows, columns, splits, partial, addend, stream_); });
    add_to(n.layers[0], first, columns);
    return;
  }
  const TensorPlace& tape = tensors_[static_cast<size_t>(op.t[1])];
  const auto from = [&](size_t l) { return l == 0 ? first : 0; };
  const auto width = [&](size_t l) { return l == 0 ? columns : n.layers[l].in; };
  std::vector<Rows<T>> along{input_rows<T>(op.t[3])};
  for (size_t l = 0; l < last; ++l) {
    const Layer& layer = n.layers[l];
    const T *in = along[l].data, *weight = weights<T>(op.n[0]) + layer.weight + from(l) * layer.out, *h = arena_.at<T>(tape.layers[l]);
    T* out = arena_.at<T>(tangent_[l]);
    GemmShape shape;
    shape.batch = members;
    shape.rows = rows;
    shape.columns = layer.out;
    shape.inner = width(l);
    shape.in = operand();
    shape.out = low() ? Type::kBf16 : Type::kFloat32;
    shape.lda = along[l].ld;
    shape.ldb = shape.ldc = layer.out;
    shape.stride_a = along[l].member;
    shape.stride_b = layer.in * layer.out;
    shape.stride_c = rows * layer.out;
    shape.alignment = alignment_of({in, weight, out});
    const Gemm* gemm = product(shape);
    int64_t elements = members * rows * layer.out;
    add(o, o + 1, [=] { gemm->run(in, weight, out, nullptr, nullptr, stream_); });
    add(o, o + 1, [=] { relu_gradient(out, h, elements, properties_.multiprocessors, stream_); });
    along.push_back({out, rows * layer.out, layer.out});
  }
  plan_hidden_gradients<T>(o, dz, op.t[1], rows);
  Rows<T> below_top = along[last];
  const Layer& top = n.layers[last];
  int64_t splits = batch_sum_splits(members, rows, top.in * top.out, properties_.multiprocessors);
  add(o, o + 1, [=] { output_weight_gradient(below_top, dz, members, rows, top.in, splits, partial, addend, stream_); });
  add_to(top, 0, top.in);
  for (size_t l = last; l-- > 0;) {
    const Layer& layer = n.layers[l];
    const T *in = along[l].data, *sums = arena_.at<T>(gradient_[l]);
    GemmShape shape;
    shape.batch = members;
    shape.rows = width(l);
    shape.columns = layer.out;
    shape.inner = rows;
    shape.in = operand();
    shape.transpose_a = true;
    shape.lda = along[l].ld;
    shape.ldb = shape.ldc = layer.out;
    shape.stride_a = along[l].member;
    shape.stride_b = rows * layer.out;
    shape.stride_c = width(l) * layer.out;
    shape.alignment = alignment_of({in, sums, addend});
    const Gemm* gemm = product(shape);
    add(o, o + 1, [=] { gemm->run(in, sums, addend, nullptr, nullptr, stream_); });
    add_to(layer, from(l), width(l));
  }
}

void CudaExecutor::plan_layer_norm(size_t o) {
  const Op& op = program_.ops[o];
  const Tensor& x = info(op, 0);
  const Layer& affine = network(op).layers[0];
  const float *in = data(op.t[0]), *gain = section(op.n[0], UNIFIEDRL_PARAMETERS) + affine.weight;
  const float* bias = section(op.n[0], UNIFIEDRL_PARAMETERS) + affine.bias;
  float *y = data(op.t[1]), *stat = data(op.t[2]);
  bool relu = op.i[0] == 1;
  int32_t epsilon = op.h[0];
  int64_t members = x.members, rows = x.rows, columns = x.columns;
  Context context = this->context();
  add(o, o + 1, [=] { layer_norm(in, gain, bias, relu, epsilon, members, rows, columns, y, stat, context, properties_.multiprocessors, stream_); });
}

void CudaExecutor::plan_layer_norm_backward(size_t o) {
  const Op& op = program_.ops[o];
  const Tensor& tensor = info(op, 0);
  const Layer& affine = network(op).layers[0];
  const float *x = data(op.t[0]), *stat = data(op.t[1]), *dy = data(op.t[2]), *gain = section(op.n[0], UNIFIEDRL_PARAMETERS) + affine.weight;
  float* dx = data(op.t[3]);
  bool relu = op.i[0] == 1;
  int64_t members = tensor.members, rows = tensor.rows, columns = tensor.columns;
  add(o, o + 1, [=] { layer_norm_backward(x, stat, gain, dy, relu, members, rows, columns, dx, properties_.multiprocessors, stream_); });
  if (forms_gradients(op)) {
    networks_[static_cast<size_t>(op.n[0])].squared = false;
    float* partial = arena_.at<float>(partial_);
    float *dgain = section(op.n[0], UNIFIEDRL_GRADIENTS) + affine.weight, *dbias = section(op.n[0], UNIFIEDRL_GRADIENTS) + affine.bias;
    int64_t splits = batch_sum_splits(members, rows, columns, properties_.multiprocessors);
    add(o, o + 1, [=] { gain_gradient(x, stat, dy, relu, members, rows, columns, splits, partial, dgain, stream_); });
    add(o, o + 1, [=] { column_sums(dy, members, rows, columns, splits, partial, dbias, stream_); });
  }
}

void CudaExecutor::plan_diversity(size_t o) {
  const Op& op = program_.ops[o];
  const Tensor& tensor = info(op, 0);
  const float* g = data(op.t[0]);
  float *d = data(op.t[1]), *dg = data(op.t[2]), *room = arena_.at<float>(diversity_);
  int64_t members = tensor.members, rows = tensor.rows, columns = tensor.columns;
  add(o, o + 1, [=] { diversity(g, members, rows, columns, room, d, dg, properties_.multiprocessors, stream_); });
}

// From activations and from the gradients of the sums, layer by layer.
template <typename T>
void CudaExecutor::plan_weight_gradients(size_t o) {
  const Op& op = program_.ops[o];
  const Network& n = network(op);
  int64_t rows = info(op, 0).rows, members = n.members;
  networks_[static_cast<size_t>(op.n[0])].squared = false;
  // Few parts would each go through too many rows; products are split.
  if (fused<T>(n) && (rows <= 2048 || members * weight_gradient_parts(n) >= 2 * properties_.multiprocessors)) {
    plan_fused_weight_gradients<T>(o);
    return;
  }
  size_t last = n.layers.size() - 1;
  const Layer& top = n.layers[last];
  OutputGradient dz{data(op.t[3]), n.activation == UNIFIEDRL_TANH ? data(op.t[1]) : nullptr, top.out};
  float *gradient = section(op.n[0], UNIFIEDRL_GRADIENTS), *partial = arena_.at<float>(partial_);
  const TensorPlace* tape = op.t[2] == UNIFIEDRL_NONE ? nullptr : &tensors_[static_cast<size_t>(op.t[2])];
  const auto hidden = [&](size_t l) { return Rows<T>{arena_.at<T>(tape->layers[l]), rows * n.layers[l].out, n.layers[l].out}; };
  const auto splits = [&](int64_t elements) { return batch_sum_splits(members, rows, elements, properties_.multiprocessors); };

  int64_t weight_splits = splits(top.in * top.out), bias_splits = splits(top.out);
  float *top_weight = gradient + top.weight, *top_bias = gradient + top.bias;
  if (last > 0) {
    Rows<T> h = hidden(last - 1);
    add(o, o + 1, [=] { output_weight_gradient(h, dz, members, rows, top.in, weight_splits, partial, top_weight, stream_); });
  } else {
    Rows<float> x = direct_rows(op.t[0]);
    add(o, o + 1, [=] { output_weight_gradient(x, dz, members, rows, top.in, weight_splits, partial, top_weight, stream_); });
  }
  add(o, o + 1, [=] { output_bias_gradient(dz, members, rows, bias_splits, partial, top_bias, stream_); });
  for (size_t l = last; l-- > 0;) {
    const Layer& layer = n.layers[l];
    const T* sums = arena_.at<T>(gradient_[l]);
    Rows<T> in = l == 0 ? input_rows<T>(op.t[0]) : hidden(l - 1);
    float *weight = gradient + layer.weight, *bias = gradient + layer.bias;
    GemmShape shape;
    shape.batch = members;
    shape.rows = layer.in;
    shape.columns = layer.out;
    shape.inner = rows;
    shape.in = operand();
    shape.transpose_a = true;
    shape.lda = in.ld;
    shape.ldb = shape.ldc = layer.out;
    shape.stride_a = in.member;
    shape.stride_b = rows * layer.out;
    shape.stride_c = layer.in * layer.out;
    shape.bias_stride = layer.out;
    shape.alignment = alignment_of({in.data, sums, weight, bias});
    shape.epilogue = Epilogue::kBiasGradient;
    bool epilogue = !plain_products_ && Gemm::supports(shape, gemms_);
    shape.epilogue = epilogue ? Epilogue::kBiasGradient : Epilogue::kNone;
    const Gemm* gemm = product(shape);
    add(o, o + 1, [=] { gemm->run(in.data, sums, weight, nullptr, epilogue ? bias : nullptr, stream_); });
    if (!epilogue) {
      int64_t bias_parts = splits(layer.out);
      add(o, o + 1, [=] { column_sums(sums, members, rows, layer.out, bias_parts, partial, bias, stream_); });
    }
  }
}

template <typename T>
void CudaExecutor::plan_fused_weight_gradients(size_t o) {
  const Op& op = program_.ops[o];
  const Network& n = network(op);
  int64_t rows = info(op, 0).rows;
  size_t last = n.layers.size() - 1;
  const TensorPlace& tape = tensors_[static_cast<size_t>(op.t[2])];
  WeightGradients<T> g{};
  g.n = fused_network<T>(op.n[0], rows);
  g.in[0] = input_rows<T>(op.t[0]);
  for (size_t l = 0; l < last; ++l) {
    g.in[l + 1] = {arena_.at<T>(tape.layers[l]), rows * n.layers[l].out, n.layers[l].out};
    g.sums[l] = arena_.at<T>(gradient_[l]);
  }
  g.dz = {data(op.t[3]), n.activation == UNIFIEDRL_TANH ? data(op.t[1]) : nullptr, n.outputs()};
  g.gradient = section(op.n[0], UNIFIEDRL_GRADIENTS);
  g.squares = arena_.at<double>(networks_[static_cast<size_t>(op.n[0])].squares);
  networks_[static_cast<size_t>(op.n[0])].squared = true;
  for (auto loss = losses_.begin(); loss != losses_.end(); ++loss) {
    if (loss->dq == op.t[3]) {
      g.q = loss->q;
      g.y = loss->y;
      g.loss = loss->result;
      losses_.erase(loss);
      break;
    }
  }
  int32_t parts = weight_gradient_parts(n);
  add(o, o + 1, [=] { weight_gradients(g, parts, stream_); });
}

void CudaExecutor::plan_update(size_t& o) {
  size_t first = o;
  const Op& op = program_.ops[o];
  Context context = this->context();
  if (op.code == UNIFIEDRL_OP_SOFT_UPDATE) {
    const float* source = section(op.n[1], UNIFIEDRL_PARAMETERS);
    float* target = section(op.n[0], UNIFIEDRL_PARAMETERS);
    bf16* target_low = arena_.at<bf16>(networks_[static_cast<size_t>(op.n[0])].low);
    int64_t elements = network(op).size, period = op.i[0];
    int32_t weight = op.h[0];
    add(o, o + 1, [=] { soft_update(source, target, target_low, elements, period, weight, context, properties_.multiprocessors, stream_); });
    return;
  }
  const NetworkPlace& place = networks_[static_cast<size_t>(op.n[0])];
  Update u{};
  u.op = static_cast<int32_t>(o);
  u.members = static_cast<int32_t>(network(op).members);
  u.layout = layout_of(network(op));
  u.gradient = section(op.n[0], UNIFIEDRL_GRADIENTS);
  u.parameter = section(op.n[0], UNIFIEDRL_PARAMETERS);
  u.moment1 = section(op.n[0], UNIFIEDRL_MOMENT1);
  u.moment2 = section(op.n[0], UNIFIEDRL_MOMENT2);
  u.low = arena_.at<bf16>(place.low);
  u.norm = data(op.t[0]);
  u.squares = arena_.at<double>(place.squares);
  u.squared = place.squared;
  u.parts = place.squared ? weight_gradient_parts(network(op)) : kNormParts;
  std::copy_n(op.h.begin(), 6, u.hypers);
  u.period = op.i[0];
  if (options_.materialise == 0 && o + 1 < program_.ops.size()) {
    const Op& next = program_.ops[o + 1];
    if (next.code == UNIFIEDRL_OP_SOFT_UPDATE && next.n[1] == op.n[0]) {
      u.target = section(next.n[0], UNIFIEDRL_PARAMETERS);
      u.target_low = arena_.at<bf16>(networks_[static_cast<size_t>(next.n[0])].low);
      u.target_period = next.i[0];
      u.weight = next.h[0];
      ++o;
    }
  }
  add(first, o + 1, [=] { adam_update(u, context, properties_.multiprocessors, stream_); });
}

void CudaExecutor::plan_metrics(size_t first, size_t last, bool advance) {
  // Alone, an op of `materialise` is the last of the list; together they are all of it.
  size_t begin = advance ? (options_.materialise != 0 ? metric_list_.size() : 0) : metric_list_.size() - 1;
  const Metric* list = arena_.at<Metric>(metrics_) + begin;
  int32_t count = static_cast<int32_t>(metric_list_.size() - begin);
  int64_t largest = 0;
  for (size_t k = begin; k < metric_list_.size(); ++k) {
    largest = std::max(largest, metric_list_[k].elements);
  }
  float* ring = arena_.at<float>(ring_);
  double* partial = arena_.at<double>(metric_partial_);
  Context context = this->context();
  int64_t slots = program_.metric_slots;
  add(first, last, [=] { step_metrics(list, count, largest, slots, ring, partial, advance, context, stream_); });
}

// ---- runs ----

void CudaExecutor::run(Run& run) {
  run.completed = 0;
  select_device(device_);
  try {
    launch_run(run);
  } catch (...) {
    try {
      stream_.synchronise();  // what was launched still reads and writes the memory of the next run
    } catch (...) {           // the first failure says more
    }
    throw;
  }
  finish_run(run);
}

void CudaExecutor::launch_run(const Run& run) {
  size_t metric_bytes = static_cast<size_t>(run.steps * program_.metric_slots) * sizeof(float), hyper_bytes = program_.hypers.size() * sizeof(double);
  *staged_state() = {run.first_step - 1, run.first_step - 1, run.seed, -1, -1};
  std::copy_n(run.hypers, program_.hypers.size(), staged_hypers());
  copy_to_device(arena_.at<void>(state_), staged_state(), sizeof(State), stream_);
  copy_to_device(arena_.at<void>(hypers_), staged_hypers(), hyper_bytes, stream_);
  fill_zero(arena_.at<void>(ring_), metric_bytes, stream_);
  if (is_whole(run)) {
    launch_steps(run);
  } else {
    if (replay_.streamed()) {
      replay_.provide(run.first_step, 1, 0, run.seed, stream_);
    }
    for (const Item& item : items_) {
      if (item.first >= run.first_op && item.last <= run.last_op) {
        item.launch();
      }
    }
    if (replay_.streamed()) {
      replay_.consumed(0, stream_);
    }
  }
  copy_to_host(staged_state(), arena_.at<void>(state_), sizeof(State), stream_);
  copy_to_host(staged_metrics(), arena_.at<void>(ring_), metric_bytes, stream_);
  stream_.synchronise();
}

void CudaExecutor::finish_run(Run& run) const {
  const State& state = *staged_state();
  const float* metrics = staged_metrics();
  bool whole = is_whole(run);
  run.completed = whole ? state.done - (run.first_step - 1) : state.failed_op < 0 ? 1 : 0;
  for (int64_t k = 0; k < run.steps * program_.metric_slots; ++k) {
    // One op of a step writes its own slot and leaves the others.
    run.metrics[k] = whole || metrics[k] != 0 ? metrics[k] : run.metrics[k];
  }
  if (state.failed_op >= 0) {
    const Op& op = program_.ops[static_cast<size_t>(state.failed_op)];
    throw Error(UNIFIEDRL_NOT_FINITE,
                format("op '%s' at step %lld: the gradient of network '%s', member %d, is not finite; lower the learning rate, or look for values in the "
                       "data that are too large",
                       op.name.c_str(), static_cast<long long>(state.done + 1), network(op).name.c_str(), state.failed_member));
  }
}

State* CudaExecutor::staged_state() const { return staging_.as<State>(); }
double* CudaExecutor::staged_hypers() const { return reinterpret_cast<double*>(staging_.as<char>() + kAlignment); }
float* CudaExecutor::staged_metrics() const {
  int64_t hypers = static_cast<int64_t>(program_.hypers.size() * sizeof(double));
  return reinterpret_cast<float*>(staging_.as<char>() + kAlignment + round_up(hypers, kAlignment));
}

void CudaExecutor::launch_steps(const Run& run) {
  int64_t most = replay_.streamed() ? replay_.stage_steps() : kGraphSteps;
  int half = 0;
  for (int64_t done = 0; done < run.steps; half ^= 1) {
    int64_t steps = std::min(most, run.steps - done);
    if (replay_.streamed()) {
      replay_.provide(run.first_step + done, steps, half, run.seed, stream_);
    }
    if (options_.materialise != 0) {
      for (int64_t k = 0; k < steps; ++k) {
        for (const Item& item : items_) {
          item.launch();
        }
      }
    } else {
      for (int64_t left = steps; left > 0;) {
        int64_t part = left == most ? most : 1;
        if (graphs_.count(part) == 0) {
          auto graph = std::make_unique<Graph>();
          record(*graph, part);
          graphs_[part] = std::move(graph);
        }
        graphs_[part]->launch(stream_);
        left -= part;
      }
    }
    if (replay_.streamed()) {
      replay_.consumed(half, stream_);
    }
    done += steps;
  }
}

void CudaExecutor::record(Graph& graph, int64_t steps) {
  graph.begin(stream_);
  try {
    for (int64_t k = 0; k < steps; ++k) {
      for (const Item& item : items_) {
        item.launch();
      }
    }
    graph.end();
  } catch (...) {
    graph.clear();
    throw;
  }
}

// ---- what is read and written between runs ----

void CudaExecutor::upload(void* destination, const void* source, int64_t bytes) const {
  copy_to_device(destination, source, static_cast<size_t>(bytes), stream_);
  stream_.synchronise();
}

void CudaExecutor::download(void* destination, const void* source, int64_t bytes) const {
  copy_to_host(destination, source, static_cast<size_t>(bytes), stream_);
  stream_.synchronise();
}

void CudaExecutor::read_network(int32_t network, int32_t section, float* destination) const {
  select_device(device_);
  download(destination, this->section(network, section), program_.networks[static_cast<size_t>(network)].size * static_cast<int64_t>(sizeof(float)));
}

void CudaExecutor::read_network(int32_t network, int32_t section, double* destination) const {
  std::vector<float> values(static_cast<size_t>(program_.networks[static_cast<size_t>(network)].size));
  read_network(network, section, values.data());
  std::copy(values.begin(), values.end(), destination);
}

void CudaExecutor::write_network(int32_t network, int32_t section, const float* source) {
  select_device(device_);
  int64_t size = program_.networks[static_cast<size_t>(network)].size;
  upload(this->section(network, section), source, size * static_cast<int64_t>(sizeof(float)));
  if (section == UNIFIEDRL_PARAMETERS && low()) {
    copy_low(this->section(network, section), arena_.at<bf16>(networks_[static_cast<size_t>(network)].low), size, properties_.multiprocessors, stream_);
    stream_.synchronise();
  }
}

void CudaExecutor::write_network(int32_t network, int32_t section, const double* source) {
  std::vector<float> values(source, source + program_.networks[static_cast<size_t>(network)].size);
  write_network(network, section, values.data());
}

// visit(offset in [E, B, H], layer, offset in that layer's activations)
template <typename Visit>
void CudaExecutor::walk_tape(int32_t tensor, Visit visit) const {
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  const Network& n = program_.networks[static_cast<size_t>(tensors_[static_cast<size_t>(tensor)].network)];
  for (int64_t row = 0; row < t.members * t.rows; ++row) {
    int64_t first = row * t.columns;
    for (size_t l = 0; l + 1 < n.layers.size(); ++l) {
      for (int64_t k = 0; k < n.layers[l].out; ++k) {
        visit(static_cast<size_t>(first++), l, static_cast<size_t>(row * n.layers[l].out + k));
      }
    }
  }
}

void CudaExecutor::read_tensor(int32_t tensor, double* destination) const {
  select_device(device_);
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  const TensorPlace& place = tensors_[static_cast<size_t>(tensor)];
  size_t count = static_cast<size_t>(t.elements());
  if (t.kind == UNIFIEDRL_TENSOR_ROWS) {
    std::vector<int64_t> values(count);
    download(values.data(), arena_.at<void>(place.data), static_cast<int64_t>(count * sizeof(int64_t)));
    std::copy(values.begin(), values.end(), destination);
  } else if (t.kind == UNIFIEDRL_TENSOR_TAPE || t.kind == UNIFIEDRL_TENSOR_SIGNS) {
    if (options_.materialise == 0) {
      fail_argument("tensor '%s' is kept in a form of the back end's own: create the engine with materialise to read it", t.name.c_str());
    }
    std::vector<std::vector<float>> layers = download_tape(tensor);
    bool signs = t.kind == UNIFIEDRL_TENSOR_SIGNS;
    walk_tape(tensor, [&](size_t at, size_t l, size_t k) {
      float h = layers[l][k];
      destination[at] = static_cast<double>(!signs ? h : h <= 0 ? 0.0f : 1.0f);  // NaN is on
    });
  } else {
    std::vector<float> values(count);
    download(values.data(), arena_.at<void>(place.data), static_cast<int64_t>(count * sizeof(float)));
    std::copy(values.begin(), values.end(), destination);
  }
}

std::vector<std::vector<float>> CudaExecutor::download_tape(int32_t tensor) const {
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  const TensorPlace& place = tensors_[static_cast<size_t>(tensor)];
  std::vector<std::vector<float>> result;
  for (size_t l = 0; l < place.layers.size(); ++l) {
    size_t count = static_cast<size_t>(t.members * t.rows * program_.networks[static_cast<size_t>(place.network)].layers[l].out);
    std::vector<float> values(count);
    if (low()) {
      std::vector<bf16> narrow(count);
      download(narrow.data(), arena_.at<void>(place.layers[l]), static_cast<int64_t>(count * sizeof(bf16)));
      std::transform(narrow.begin(), narrow.end(), values.begin(), [](bf16 x) { return to_float(x); });
    } else {
      download(values.data(), arena_.at<void>(place.layers[l]), static_cast<int64_t>(count * sizeof(float)));
    }
    result.push_back(std::move(values));
  }
  return result;
}

void CudaExecutor::write_tensor(int32_t tensor, const double* source) {
  select_device(device_);
  const Tensor& t = program_.tensors[static_cast<size_t>(tensor)];
  const TensorPlace& place = tensors_[static_cast<size_t>(tensor)];
  if (t.kind == UNIFIEDRL_TENSOR_TAPE || t.kind == UNIFIEDRL_TENSOR_SIGNS) {
    std::vector<std::vector<float>> layers = download_tape(tensor);
    walk_tape(tensor, [&](size_t at, size_t l, size_t k) { layers[l][k] = static_cast<float>(source[at]); });
    for (size_t l = 0; l < layers.size(); ++l) {
      if (low()) {
        std::vector<bf16> narrow(layers[l].size());
        std::transform(layers[l].begin(), layers[l].end(), narrow.begin(), [](float x) { return to_bf16(x); });
        upload(arena_.at<void>(place.layers[l]), narrow.data(), static_cast<int64_t>(narrow.size() * sizeof(bf16)));
      } else {
        upload(arena_.at<void>(place.layers[l]), layers[l].data(), static_cast<int64_t>(layers[l].size() * sizeof(float)));
      }
    }
    return;
  }
  std::vector<float> values(source, source + t.elements());
  upload(arena_.at<void>(place.data), values.data(), static_cast<int64_t>(values.size() * sizeof(float)));
  if (place.copy_op >= 0) {
    row_ops(arena_.at<RowOp>(row_ops_) + place.copy_op, 1, t.rows, t.members * t.columns, false, context(), properties_.multiprocessors, stream_);
    stream_.synchronise();
  }
}

}  // namespace unifiedrl::cuda
