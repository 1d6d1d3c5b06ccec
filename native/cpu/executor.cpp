#include "cpu/executor.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include <sched.h>
#include <unistd.h>

#include "core/blocks.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/options.h"
#include "ops/box.h"
#include "ops/diversity.h"
#include "ops/losses.h"
#include "ops/normalisation.h"
#include "ops/random.h"

namespace unifiedrl::cpu {

namespace {

// Bytes beyond any machine's, so that sums of sizes cannot overflow.
constexpr int64_t kTooMuch = int64_t{1} << 60;

constexpr int64_t kDiversityRows = 64;  // of a piece of work

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Processors that this process may use at once: its affinity, and its container's share of processor time.
int32_t usable_processors() {
  double processors = std::thread::hardware_concurrency();
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    processors = CPU_COUNT(&set);
  }
  double quota, period;
  if (std::ifstream("/sys/fs/cgroup/cpu.max") >> quota >> period && period > 0) {  // "max" does not parse: no limit
    processors = std::min(processors, std::ceil(quota / period));
  }
  return std::clamp(static_cast<int32_t>(processors), 1, 1024);
}

// A tile's activations, one member's weights and its gradients should share the second-level cache.
int64_t default_tile_rows() {
  int64_t cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return cache >= (2 << 20) ? 256 : 128;
}

// Ops that treat every (member, row) independently, apart from sums over a member's rows.
bool is_tile_op(int32_t code) {
  switch (code) {
    case UNIFIEDRL_OP_CONCAT:
    case UNIFIEDRL_OP_MLP_FORWARD:
    case UNIFIEDRL_OP_MLP_BACKWARD:
    case UNIFIEDRL_OP_MLP_BACKWARD_INPUT:
    case UNIFIEDRL_OP_ADD:
    case UNIFIEDRL_OP_TD_TARGET:
    case UNIFIEDRL_OP_SQUARED_ERROR:
    case UNIFIEDRL_OP_LAYER_NORM:
    case UNIFIEDRL_OP_LAYER_NORM_BACKWARD:
    case UNIFIEDRL_OP_MLP_BACKWARD_TANGENT:
      return true;
    default:
      return false;
  }
}

// Ops on a member's parameters, run once its rows are done.
bool is_member_op(int32_t code) { return code == UNIFIEDRL_OP_ADAM || code == UNIFIEDRL_OP_SOFT_UPDATE; }

bool accumulates(const Op& op) {
  return forms_gradients(op) || op.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT || op.code == UNIFIEDRL_OP_SQUARED_ERROR;
}

// Floats that hold one member's signs of `rows` rows.
int64_t sign_floats(const Network& network, int64_t rows) {
  int64_t words = 0;
  for (size_t l = 0; l + 1 < network.layers.size(); ++l) {
    words += sign_words(network.layers[l].out) * rows;
  }
  return (words + 1) / 2;
}

}  // namespace

CpuExecutor::CpuExecutor(const Program& program, const Replay* replay, const unifiedrl_options& options)
    : program_(program),
      replay_(replay),
      kernels_(kernels(options.isa)),
      materialise_(options.materialise != 0),
      tile_rows_(options.tile_rows > 0 ? round_up(options.tile_rows, 16) : default_tile_rows()),
      pool_(options.threads > 0 ? options.threads : usable_processors()) {
  if (kernels_ == nullptr) {
    throw Error(UNIFIEDRL_UNAVAILABLE, format("this processor lacks instruction set %d (1 baseline, 2 AVX2, 3 AVX-512); use 0 for the best it has", options.isa));
  }
  plan();
  allocate();
  prepare_gemm();
}

std::string CpuExecutor::description() const {
  return format("%s loops, %s, tiles of %lld rows, %d threads", kernels_->name, gemm_library(), static_cast<long long>(tile_rows_), pool_.threads());
}

void CpuExecutor::plan() {
  for (size_t o = 0; o < program_.ops.size(); ++o) {
    const Op& op = program_.ops[o];
    Region region{o, o + 1, 0, 0, 0, false};
    if (is_member_op(op.code)) {
      region.members = program_.networks[static_cast<size_t>(op.n[0])].members;
    } else if (is_tile_op(op.code)) {
      const Tensor& out = program_.tensors[static_cast<size_t>(op_outputs(op).empty() ? op.t[3] : op_outputs(op)[0])];
      region.members = out.members;
      region.rows = out.rows;
      region.accumulates = accumulates(op);
    }
    if (region.members > 0 && !materialise_ && !regions_.empty()) {
      Region& before = regions_.back();
      bool after_update = is_member_op(program_.ops[before.last - 1].code);
      bool same = before.members == region.members && (region.rows == 0 || before.rows == region.rows || before.rows == 0);
      // A forward pass after an update must see the whole update, and shared tensors are only complete when their region is.
      // A second backward pass of a network starts its gradients anew, or adds to them, for all rows: not tile by tile beside the first, or sums
      // would be formed in another order than where each op runs on its own.
      bool again = (forms_gradients(op) || op.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT) &&
                   std::any_of(program_.ops.begin() + static_cast<ptrdiff_t>(before.first), program_.ops.begin() + static_cast<ptrdiff_t>(o),
                               [&](const Op& earlier) {
                                 bool gradients = forms_gradients(earlier) || earlier.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT;
                                 return gradients && earlier.n[0] == op.n[0];
                               });
      if (same && region.members > 1 && !again && (is_member_op(op.code) || !after_update)) {
        before.last = o + 1;
        before.rows = std::max(before.rows, region.rows);
        before.accumulates = before.accumulates || region.accumulates;
        continue;
      }
    }
    regions_.push_back(region);
  }
  for (Region& region : regions_) {
    // A single network's rows are spread over the workers, in tiles that do not depend on their number: results must not either.
    region.tile = region.members > 1 || region.accumulates ? tile_rows_ : std::clamp<int64_t>(round_up(region.rows / 8, 16), 16, tile_rows_);
    region.tile = std::max<int64_t>(1, std::min(region.tile, region.rows));
  }
}

bool CpuExecutor::gradients_stay(int32_t network, const std::vector<size_t>& region_of) const {
  const size_t none = program_.ops.size();
  size_t backward = none;
  bool used = true;
  for (size_t o = 0; o < program_.ops.size(); ++o) {
    const Op& op = program_.ops[o];
    if (op.n.empty() || op.n[0] != network) {
      continue;
    }
    if (op.code == UNIFIEDRL_OP_LAYER_NORM_BACKWARD || op.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT) {
      return false;  // too few to be worth a place, or added to from another region
    }
    if (op.code == UNIFIEDRL_OP_MLP_BACKWARD) {
      if (!used) {
        return false;  // the earlier gradients are only there to be read
      }
      backward = o;
      used = false;
    } else if (op.code == UNIFIEDRL_OP_ADAM) {
      if (backward == none || region_of[backward] != region_of[o]) {
        return false;
      }
      used = true;
    }
  }
  return used && backward != none;
}

int64_t CpuExecutor::place_gradients(const std::vector<size_t>& region_of) {
  std::vector<std::vector<size_t>> trained(regions_.size());  // networks whose gradients a region forms
  for (size_t o = 0; o < program_.ops.size(); ++o) {
    const Op& op = program_.ops[o];
    if (op.code == UNIFIEDRL_OP_MLP_BACKWARD && !networks_[static_cast<size_t>(op.n[0])].whole_gradients) {
      trained[region_of[o]].push_back(static_cast<size_t>(op.n[0]));
    }
  }
  const auto end_of = [&](size_t n) { return networks_[n].gradient_offset + round_up(program_.networks[n].member_size(), 16); };
  int64_t floats = 0;
  for (size_t n = 0; n < networks_.size(); ++n) {
    for (const std::vector<size_t>& together : trained) {
      if (std::find(together.begin(), together.end(), n) == together.end()) {
        continue;
      }
      for (size_t other : together) {
        if (other < n) {
          networks_[n].gradient_offset = std::max(networks_[n].gradient_offset, end_of(other));
        }
      }
      floats = std::max(floats, end_of(n));
    }
  }
  return floats;
}

void CpuExecutor::allocate() {
  size_t count = program_.tensors.size();
  tensors_.resize(count);
  rows_.resize(count);
  std::vector<size_t> region_of(program_.ops.size());
  for (size_t r = 0; r < regions_.size(); ++r) {
    for (size_t o = regions_[r].first; o < regions_[r].last; ++o) {
      region_of[o] = r;
    }
  }
  std::vector<char> whole(count, 1);
  std::vector<const Region*> home(count, nullptr);  // region of all uses
  std::vector<const Network*> taped(count, nullptr);
  for (size_t o = 0; o < program_.ops.size(); ++o) {
    const Op& op = program_.ops[o];
    for (const std::vector<int32_t>& list : {op_inputs(op), op_outputs(op)}) {
      for (int32_t t : list) {
        size_t at = static_cast<size_t>(t);
        const Region* region = &regions_[region_of[o]];
        if (home[at] == nullptr) {
          home[at] = region;
          whole[at] = 0;
        } else if (home[at] != region) {
          whole[at] = 1;
        }
        int32_t kind = program_.tensors[at].kind;
        if ((kind == UNIFIEDRL_TENSOR_TAPE || kind == UNIFIEDRL_TENSOR_SIGNS) && !op.n.empty()) {
          taped[at] = &program_.networks[static_cast<size_t>(op.n[0])];
        }
      }
    }
  }
  // Every size first, then one check of their sum, then the memory.
  struct Wanted {
    Buffer* buffer;
    int64_t floats;
    std::string what;
  };
  std::vector<Wanted> wanted;
  int64_t workers = pool_.threads();
  for (size_t t = 0; t < count; ++t) {
    const Tensor& tensor = program_.tensors[t];
    Storage& storage = tensors_[t];
    if (tensor.kind == UNIFIEDRL_TENSOR_ROWS) {
      storage.whole = true;
      bytes_ += tensor.rows * static_cast<int64_t>(sizeof(int64_t));
      continue;
    }
    const Region* region = home[t];
    storage.whole = whole[t] != 0 || materialise_ || tensor.kind == UNIFIEDRL_TENSOR_CONSTANT || region == nullptr || region->members <= 1 ||
                    tensor.rows == 1 || tensor.members == 1;
    int64_t rows = storage.whole ? tensor.rows : region->tile;
    storage.rows = rows;
    int64_t member = tensor.kind == UNIFIEDRL_TENSOR_SIGNS && taped[t] != nullptr ? sign_floats(*taped[t], rows) : rows * tensor.columns;
    storage.worker_stride = round_up(member, 16);
    wanted.push_back({&storage.data, storage.whole ? tensor.members * member : workers * storage.worker_stride, "tensor '" + tensor.name + "'"});
  }
  int64_t widest = 1, tile = 1;
  networks_.resize(program_.networks.size());
  for (size_t n = 0; n < program_.networks.size(); ++n) {
    const Network& network = program_.networks[n];
    NetworkStorage& storage = networks_[n];
    std::string what = "network '" + network.name + "'";
    wanted.push_back({&storage.sections[UNIFIEDRL_PARAMETERS], network.size, what});
    if (network.trained) {
      storage.whole_gradients = materialise_ || network.members == 1 || !gradients_stay(static_cast<int32_t>(n), region_of);
      for (int32_t section : {UNIFIEDRL_MOMENT1, UNIFIEDRL_MOMENT2, UNIFIEDRL_GRADIENTS}) {
        if (section != UNIFIEDRL_GRADIENTS || storage.whole_gradients) {
          wanted.push_back({&storage.sections[section], network.size, what});
        }
      }
    }
    for (const Layer& layer : network.layers) {
      widest = std::max({widest, layer.in, layer.out});
    }
  }
  for (const Region& region : regions_) {
    tile = std::max(tile, region.tile);
  }
  int64_t gradients = place_gradients(region_of);
  double area = static_cast<double>(tile) * static_cast<double>(widest);
  int64_t scratch_floats = area < static_cast<double>(kTooMuch >> 14) ? tile * widest : kTooMuch >> 14;
  int64_t tangents = 0;
  for (const Op& op : program_.ops) {
    if (op.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT) {
      tangents = std::max(tangents, tile * program_.networks[static_cast<size_t>(op.n[0])].hidden());
    } else if (op.code == UNIFIEDRL_OP_DIVERSITY) {
      const Tensor& g = program_.tensors[static_cast<size_t>(op.t[0])];
      tangents = std::max(tangents, g.members + g.columns);
    }
  }
  workers_.resize(static_cast<size_t>(workers));
  for (Worker& worker : workers_) {
    for (Buffer& scratch : worker.scratch) {
      wanted.push_back({&scratch, scratch_floats, "scratch memory of a worker"});
    }
    wanted.push_back({&worker.tangents, tangents, "scratch memory of a worker"});
    wanted.push_back({&worker.gradients, gradients, "gradients of a worker"});
  }
  for (const Wanted& w : wanted) {
    bytes_ = std::min(bytes_ + Buffer::bytes(w.floats), kTooMuch);
  }
  check_memory(bytes_, "the program");
  for (size_t t = 0; t < count; ++t) {
    if (program_.tensors[t].kind == UNIFIEDRL_TENSOR_ROWS) {
      rows_[t].resize(static_cast<size_t>(program_.tensors[t].rows));
    }
  }
  for (const Wanted& w : wanted) {
    *w.buffer = Buffer(w.floats, w.what.c_str());
  }
}

float* CpuExecutor::whole(int32_t tensor) const { return tensors_[static_cast<size_t>(tensor)].data.data(); }

float* CpuExecutor::at(int32_t tensor, const Place& place) const {
  const Storage& storage = tensors_[static_cast<size_t>(tensor)];
  const Tensor& info = program_.tensors[static_cast<size_t>(tensor)];
  if (!storage.whole) {
    return storage.data.data() + place.worker * storage.worker_stride;
  }
  int64_t member = info.members == 1 ? 0 : place.member;
  int64_t row = info.rows == 1 ? 0 : place.row;
  return storage.data.data() + (member * info.rows + row) * info.columns;
}

float* CpuExecutor::tape_layer(int32_t tensor, const Network& network, size_t layer, const Place& place) const {
  const Storage& storage = tensors_[static_cast<size_t>(tensor)];
  const Tensor& info = program_.tensors[static_cast<size_t>(tensor)];
  int64_t before = 0;  // columns of the layers in front
  for (size_t l = 0; l < layer; ++l) {
    before += network.layers[l].out;
  }
  if (!storage.whole) {
    // Layers one after the other, each at its own width: rows of a layer are contiguous.
    return storage.data.data() + place.worker * storage.worker_stride + before * storage.rows;
  }
  int64_t member = info.members == 1 ? 0 : place.member;
  return storage.data.data() + member * info.rows * info.columns + before * info.rows + place.row * network.layers[layer].out;
}

uint16_t* CpuExecutor::sign_layer(int32_t tensor, const Network& network, size_t layer, const Place& place) const {
  const Storage& storage = tensors_[static_cast<size_t>(tensor)];
  const Tensor& info = program_.tensors[static_cast<size_t>(tensor)];
  int64_t before = 0;
  for (size_t l = 0; l < layer; ++l) {
    before += sign_words(network.layers[l].out) * storage.rows;
  }
  float* base = storage.whole ? storage.data.data() + (info.members == 1 ? 0 : place.member) * sign_floats(network, info.rows)
                              : storage.data.data() + place.worker * storage.worker_stride;
  int64_t row = storage.whole ? place.row : 0;
  return reinterpret_cast<uint16_t*>(base) + before + row * sign_words(network.layers[layer].out);
}

const float* CpuExecutor::weight(const Network& network, const NetworkStorage& storage, size_t layer, int64_t member) const {
  const Layer& l = network.layers[layer];
  return storage.sections[UNIFIEDRL_PARAMETERS].data() + l.weight + member * l.in * l.out;
}

const float* CpuExecutor::bias(const Network& network, const NetworkStorage& storage, size_t layer, int64_t member) const {
  const Layer& l = network.layers[layer];
  return storage.sections[UNIFIEDRL_PARAMETERS].data() + l.bias + member * l.out;
}

float* CpuExecutor::weight_gradient(int32_t network, size_t layer, const Place& place) {
  const Network& info = program_.networks[static_cast<size_t>(network)];
  const NetworkStorage& storage = networks_[static_cast<size_t>(network)];
  const Layer& l = info.layers[layer];
  if (storage.whole_gradients) {
    return storage.sections[UNIFIEDRL_GRADIENTS].data() + l.weight + place.member * l.in * l.out;
  }
  return workers_[static_cast<size_t>(place.worker)].gradients.data() + storage.gradient_offset + l.weight / info.members;
}

float* CpuExecutor::bias_gradient(int32_t network, size_t layer, const Place& place) {
  const Network& info = program_.networks[static_cast<size_t>(network)];
  const NetworkStorage& storage = networks_[static_cast<size_t>(network)];
  const Layer& l = info.layers[layer];
  if (storage.whole_gradients) {
    return storage.sections[UNIFIEDRL_GRADIENTS].data() + l.bias + place.member * l.out;
  }
  return workers_[static_cast<size_t>(place.worker)].gradients.data() + storage.gradient_offset + l.bias / info.members;
}

void CpuExecutor::run(Run& run) {
  SingleThreadedGemm single;
  each_step(run, program_.metric_slots, [&](const StepContext& context) {
    for (const Region& region : regions_) {
      if (region.first >= run.first_op && region.last <= run.last_op) {
        run_region(region, context);
      }
    }
  });
}

void CpuExecutor::run_region(const Region& region, const StepContext& context) {
  if (region.members == 0) {
    run_whole_op(program_.ops[region.first], context);
    return;
  }
  int64_t tiles = region.rows == 0 ? 0 : (region.rows + region.tile - 1) / region.tile;
  bool by_tile = region.members == 1 && !region.accumulates && tiles > 1;
  int64_t items = by_tile ? tiles : region.members;
  pool_.run(items, [&](int64_t item, int32_t worker) {
    int64_t member = by_tile ? 0 : item;
    int64_t first_tile = by_tile ? item : 0;
    int64_t end_tile = by_tile ? item + 1 : tiles;
    size_t o = region.first;
    for (int64_t tile = first_tile; tile < end_tile; ++tile) {
      int64_t row = tile * region.tile;
      Place place{member, row, std::min(region.tile, region.rows - row), worker, tile == 0};
      for (o = region.first; o < region.last && !is_member_op(program_.ops[o].code); ++o) {
        run_tile_op(program_.ops[o], context, place);
      }
    }
    for (; o < region.last; ++o) {
      run_member_op(program_.ops[o], context, member, worker);
    }
  });
}

void CpuExecutor::run_tile_op(const Op& op, const StepContext& context, const Place& place) {
  const auto hyper = [&](size_t i) { return static_cast<float>(context.hypers[op.h[i]]); };
  const auto columns = [&](size_t i) { return program_.tensors[static_cast<size_t>(op.t[i])].columns; };
  switch (op.code) {
    case UNIFIEDRL_OP_CONCAT: {
      int64_t fx = columns(0), fy = columns(1);
      const float *x = at(op.t[0], place), *y = at(op.t[1], place);
      float* out = at(op.t[2], place);
      for (int64_t r = 0; r < place.rows; ++r, x += fx, y += fy, out += fx + fy) {
        std::memcpy(out, x, static_cast<size_t>(fx) * sizeof(float));
        std::memcpy(out + fx, y, static_cast<size_t>(fy) * sizeof(float));
      }
      return;
    }
    case UNIFIEDRL_OP_MLP_FORWARD: mlp_forward(op, place); return;
    case UNIFIEDRL_OP_MLP_BACKWARD: mlp_backward(op, place); return;
    case UNIFIEDRL_OP_MLP_BACKWARD_INPUT: mlp_backward_input(op, place); return;
    case UNIFIEDRL_OP_MLP_BACKWARD_TANGENT: mlp_backward_tangent(op, place); return;
    case UNIFIEDRL_OP_LAYER_NORM: layer_norm(op, context, place); return;
    case UNIFIEDRL_OP_LAYER_NORM_BACKWARD: layer_norm_backward(op, place); return;
    case UNIFIEDRL_OP_ADD: {
      const float *x = at(op.t[0], place), *y = at(op.t[1], place);
      float* out = at(op.t[2], place);
      for (int64_t i = 0; i < place.rows * columns(0); ++i) {
        out[i] = x[i] + y[i];
      }
      return;
    }
    case UNIFIEDRL_OP_TD_TARGET: {
      int64_t groups = columns(0), group = place.member / op.i[0];
      const float *reward = at(op.t[0], place), *done = at(op.t[1], place), *q = at(op.t[3], place);
      const float* phi = op.t[2] == UNIFIEDRL_NONE ? nullptr : at(op.t[2], place);
      float* y = at(op.t[4], place);
      float gamma = hyper(0);
      for (int64_t r = 0; r < place.rows; ++r) {
        y[r] = td_target(reward[r * groups + group], done[r], phi == nullptr ? 1.0f : phi[r], q[r], gamma);
      }
      return;
    }
    case UNIFIEDRL_OP_SQUARED_ERROR: {
      const float *q = at(op.t[0], place), *y = at(op.t[1], place);
      float* dq = at(op.t[2], place);
      float* loss = whole(op.t[3]) + place.member;
      float rows = static_cast<float>(program_.tensors[static_cast<size_t>(op.t[0])].rows);
      double sum = 0;
      for (int64_t r = 0; r < place.rows; ++r) {
        float difference = q[r] - y[r];
        sum += static_cast<double>(difference) * static_cast<double>(difference);
        dq[r] = 2 * difference / rows;
      }
      *loss = (place.first_tile ? 0.0f : *loss) + static_cast<float>(sum / static_cast<double>(rows));
      return;
    }
    default: throw Error(UNIFIEDRL_INTERNAL, format("op '%s' is not a tile op", op.name.c_str()));
  }
}

void CpuExecutor::mlp_forward(const Op& op, const Place& place) {
  const Network& network = program_.networks[static_cast<size_t>(op.n[0])];
  const NetworkStorage& storage = networks_[static_cast<size_t>(op.n[0])];
  Worker& worker = workers_[static_cast<size_t>(place.worker)];
  int32_t kind = op.t[2] == UNIFIEDRL_NONE ? UNIFIEDRL_NONE : program_.tensors[static_cast<size_t>(op.t[2])].kind;
  const float* in = at(op.t[0], place);
  size_t count = network.layers.size();
  for (size_t l = 0; l < count; ++l) {
    const Layer& layer = network.layers[l];
    const float* w = weight(network, storage, l, place.member);
    const float* b = bias(network, storage, l, place.member);
    bool last = l + 1 == count;
    float* out = last                               ? at(op.t[1], place)
                 : kind == UNIFIEDRL_TENSOR_TAPE    ? tape_layer(op.t[2], network, l, place)
                                                    : worker.scratch[l % 2].data();
    if (last && layer.out == 1) {
      kernels_->dot_rows(place.rows, layer.in, in, w, b[0], out);
    } else {
      gemm(*kernels_, false, false, place.rows, layer.out, layer.in, in, layer.in, w, layer.out, false, out, layer.out);
      if (last) {
        kernels_->bias(place.rows, layer.out, b, out);
      } else {
        kernels_->bias_relu(place.rows, layer.out, b, out,
                            kind == UNIFIEDRL_TENSOR_SIGNS ? sign_layer(op.t[2], network, l, place) : nullptr);
      }
    }
    if (last && network.activation == UNIFIEDRL_TANH) {
      for (int64_t i = 0; i < place.rows * layer.out; ++i) {
        out[i] = std::tanh(out[i]);
      }
    }
    in = out;
  }
}

// dz of the last layer: dy itself, or dy (1 - y^2) below a tanh.
static const float* output_gradient(const Network& network, int64_t elements, const float* y, const float* dy, float* scratch) {
  if (network.activation != UNIFIEDRL_TANH) {
    return dy;
  }
  for (int64_t i = 0; i < elements; ++i) {
    scratch[i] = dy[i] * (1 - y[i] * y[i]);
  }
  return scratch;
}

void CpuExecutor::mlp_backward(const Op& op, const Place& place) {
  const Network& network = program_.networks[static_cast<size_t>(op.n[0])];
  const NetworkStorage& storage = networks_[static_cast<size_t>(op.n[0])];
  Worker& worker = workers_[static_cast<size_t>(place.worker)];
  size_t count = network.layers.size();
  bool accumulate = !place.first_tile;
  if (!accumulate) {
    for (size_t l = 0; l < count; ++l) {
      std::memset(bias_gradient(op.n[0], l, place), 0, static_cast<size_t>(network.layers[l].out) * sizeof(float));
    }
  }
  const float* dz = output_gradient(network, place.rows * network.outputs(), at(op.t[1], place), at(op.t[3], place), worker.scratch[2].data());
  kernels_->column_sums(place.rows, network.outputs(), dz, bias_gradient(op.n[0], count - 1, place));
  for (size_t l = count; l-- > 0;) {
    const Layer& layer = network.layers[l];
    const float* in = l == 0 ? at(op.t[0], place) : tape_layer(op.t[2], network, l - 1, place);
    const float* w = weight(network, storage, l, place.member);
    float* dw = weight_gradient(op.n[0], l, place);
    float* below = worker.scratch[l % 2].data();
    if (l > 0 && layer.out == 1) {
      if (!accumulate) {
        std::memset(dw, 0, static_cast<size_t>(layer.in) * sizeof(float));
      }
      kernels_->outer_backward(place.rows, layer.in, dz, w, in, below, dw, bias_gradient(op.n[0], l - 1, place));
    } else {
      gemm(*kernels_, true, false, layer.in, layer.out, place.rows, in, layer.in, dz, layer.out, accumulate, dw, layer.out);
      if (l > 0) {
        gemm(*kernels_, false, true, place.rows, layer.in, layer.out, dz, layer.out, w, layer.out, false, below, layer.in);
        kernels_->relu_backward(place.rows, layer.in, in, below, bias_gradient(op.n[0], l - 1, place));
      }
    }
    dz = below;
  }
}

void CpuExecutor::mlp_backward_input(const Op& op, const Place& place) {
  const Network& network = program_.networks[static_cast<size_t>(op.n[0])];
  const NetworkStorage& storage = networks_[static_cast<size_t>(op.n[0])];
  Worker& worker = workers_[static_cast<size_t>(place.worker)];
  bool signs = op.t[1] != UNIFIEDRL_NONE && program_.tensors[static_cast<size_t>(op.t[1])].kind == UNIFIEDRL_TENSOR_SIGNS;
  int64_t columns = program_.tensors[static_cast<size_t>(op.t[3])].columns;
  const float* dz = output_gradient(network, place.rows * network.outputs(), at(op.t[0], place), at(op.t[2], place), worker.scratch[2].data());
  for (size_t l = network.layers.size(); l-- > 0;) {
    const Layer& layer = network.layers[l];
    const float* w = weight(network, storage, l, place.member);
    if (l == 0) {
      gemm(*kernels_, false, true, place.rows, columns, layer.out, dz, layer.out, w + op.i[0] * layer.out, layer.out, false, at(op.t[3], place), columns);
      return;
    }
    float* below = worker.scratch[l % 2].data();
    if (layer.out == 1 && signs) {
      kernels_->outer_backward_signs(place.rows, layer.in, dz, w, sign_layer(op.t[1], network, l - 1, place), below);
    } else {
      gemm(*kernels_, false, true, place.rows, layer.in, layer.out, dz, layer.out, w, layer.out, false, below, layer.in);
      if (signs) {
        kernels_->relu_backward_signs(place.rows, layer.in, sign_layer(op.t[1], network, l - 1, place), below);
      } else {
        kernels_->relu_backward(place.rows, layer.in, tape_layer(op.t[1], network, l - 1, place), below, nullptr);
      }
    }
    dz = below;
  }
}

void CpuExecutor::mlp_backward_tangent(const Op& op, const Place& place) {
  const Network& network = program_.networks[static_cast<size_t>(op.n[0])];
  const NetworkStorage& storage = networks_[static_cast<size_t>(op.n[0])];
  Worker& worker = workers_[static_cast<size_t>(place.worker)];
  int64_t columns = program_.tensors[static_cast<size_t>(op.t[3])].columns;
  // What of layer l's inputs is not 0 throughout: those of the direction, or all.
  const auto first = [&](size_t l) { return l == 0 ? op.i[0] : 0; };
  const auto count = [&](size_t l) { return l == 0 ? columns : network.layers[l].in; };
  const float* direction = at(op.t[3], place);
  const float* along = direction;
  float* next = worker.tangents.data();
  for (size_t l = 0; l + 1 < network.layers.size(); ++l) {
    const Layer& layer = network.layers[l];
    gemm(*kernels_, false, false, place.rows, layer.out, count(l), along, count(l), weight(network, storage, l, place.member) + first(l) * layer.out,
         layer.out, false, next, layer.out);
    kernels_->relu_backward(place.rows, layer.out, tape_layer(op.t[1], network, l, place), next, nullptr);
    along = next;
    next += place.rows * layer.out;
  }
  const float* dz = at(op.t[2], place);
  for (size_t l = network.layers.size(); l-- > 0;) {
    const Layer& layer = network.layers[l];
    float* dw = weight_gradient(op.n[0], l, place) + first(l) * layer.out;
    gemm(*kernels_, true, false, count(l), layer.out, place.rows, along, count(l), dz, layer.out, true, dw, layer.out);
    if (l > 0) {
      float* below = worker.scratch[l % 2].data();
      gemm(*kernels_, false, true, place.rows, layer.in, layer.out, dz, layer.out, weight(network, storage, l, place.member), layer.out, false, below,
           layer.in);
      kernels_->relu_backward(place.rows, layer.in, tape_layer(op.t[1], network, l - 1, place), below, nullptr);
      dz = below;
      along = l == 1 ? direction : along - place.rows * network.layers[l - 2].out;
    }
  }
}

void CpuExecutor::layer_norm(const Op& op, const StepContext& context, const Place& place) {
  const Network& network = program_.networks[static_cast<size_t>(op.n[0])];
  const NetworkStorage& storage = networks_[static_cast<size_t>(op.n[0])];
  int64_t columns = network.outputs();
  const float *gain = weight(network, storage, 0, place.member), *shift = bias(network, storage, 0, place.member), *x = at(op.t[0], place);
  float *y = at(op.t[1], place), *stat = at(op.t[2], place), epsilon = static_cast<float>(context.hypers[op.h[0]]);
  for (int64_t r = 0; r < place.rows; ++r, x += columns, y += columns, stat += 2) {
    unifiedrl::layer_norm(OneLane(), columns, x, gain, shift, op.i[0] == 1, epsilon, y, stat);
  }
}

void CpuExecutor::layer_norm_backward(const Op& op, const Place& place) {
  const Network& network = program_.networks[static_cast<size_t>(op.n[0])];
  int64_t columns = network.outputs();
  bool relu = op.i[0] == 1;
  const float *gain = weight(network, networks_[static_cast<size_t>(op.n[0])], 0, place.member), *x = at(op.t[0], place), *stat = at(op.t[1], place);
  const float* dy = at(op.t[2], place);
  float *dx = at(op.t[3], place), *dgain = nullptr, *dbias = nullptr;
  if (forms_gradients(op)) {
    dgain = weight_gradient(op.n[0], 0, place);
    dbias = bias_gradient(op.n[0], 0, place);
    if (place.first_tile) {
      std::fill_n(dgain, columns, 0.0f);
      std::fill_n(dbias, columns, 0.0f);
    }
    kernels_->column_sums(place.rows, columns, dy, dbias);
  }
  for (int64_t r = 0; r < place.rows; ++r, x += columns, stat += 2, dy += columns, dx += columns) {
    unifiedrl::layer_norm_backward(OneLane(), columns, x, stat, gain, dy, relu, dx);
    for (int64_t f = 0; dgain != nullptr && f < columns; ++f) {
      dgain[f] += dy[f] * ((rectified(x[f], relu) - stat[0]) * stat[1]);
    }
  }
}

void CpuExecutor::diversity(const Op& op) {
  const Tensor& info = program_.tensors[static_cast<size_t>(op.t[0])];
  const float* g = whole(op.t[0]);
  float *d = whole(op.t[1]), *dg = whole(op.t[2]);
  int64_t member = info.rows * info.columns;
  pool_.run((info.rows + kDiversityRows - 1) / kDiversityRows, [&](int64_t item, int32_t worker) {
    float *inverse = workers_[static_cast<size_t>(worker)].tangents.data(), *sum = inverse + info.members;
    for (int64_t b = item * kDiversityRows; b < std::min(info.rows, (item + 1) * kDiversityRows); ++b) {
      const float* row = g + b * info.columns;
      for (int64_t e = 0; e < info.members; ++e) {
        inverse[e] = inverse_norm(row + e * member, info.columns);
      }
      for (int64_t f = 0; f < info.columns; ++f) {
        sum[f] = direction_sum(row + f, member, inverse, 1, info.members);
      }
      d[b] = unifiedrl::diversity(sum, info.columns, inverse, 1, info.members);
      for (int64_t e = 0; e < info.members; ++e) {
        diversity_gradient(row + e * member, inverse[e], sum, info.columns, info.members, info.rows, dg + e * member + b * info.columns);
      }
    }
  });
}

void CpuExecutor::run_member_op(const Op& op, const StepContext& context, int64_t member, int32_t worker) {
  if (op.code == UNIFIEDRL_OP_ADAM) {
    adam(op, context, member, worker);
    return;
  }
  if (context.step % op.i[0] != 0) {
    return;
  }
  const Network& network = program_.networks[static_cast<size_t>(op.n[0])];
  float* target = networks_[static_cast<size_t>(op.n[0])].sections[UNIFIEDRL_PARAMETERS].data();
  const float* source = networks_[static_cast<size_t>(op.n[1])].sections[UNIFIEDRL_PARAMETERS].data();
  float w = static_cast<float>(context.hypers[op.h[0]]);
  for (const Layer& layer : network.layers) {
    int64_t offset = layer.weight + member * layer.in * layer.out;
    kernels_->soft_update(layer.in * layer.out, w, source + offset, target + offset);
    offset = layer.bias + member * layer.out;
    kernels_->soft_update(layer.out, w, source + offset, target + offset);
  }
}

void CpuExecutor::adam(const Op& op, const StepContext& context, int64_t member, int32_t worker) {
  const Network& network = program_.networks[static_cast<size_t>(op.n[0])];
  NetworkStorage& storage = networks_[static_cast<size_t>(op.n[0])];
  Place place{member, 0, 0, worker, false};
  double squares = 0;
  for (size_t l = 0; l < network.layers.size(); ++l) {
    squares += kernels_->sum_of_squares(network.layers[l].in * network.layers[l].out, weight_gradient(op.n[0], l, place));
    squares += kernels_->sum_of_squares(network.layers[l].out, bias_gradient(op.n[0], l, place));
  }
  double norm = std::sqrt(squares);
  whole(op.t[0])[member] = static_cast<float>(norm);
  if (!std::isfinite(norm)) {
    throw Error(UNIFIEDRL_NOT_FINITE,
                format("op '%s' at step %lld: the gradient of network '%s', member %lld, is not finite; lower the learning rate, or look for values "
                       "in the data that are too large",
                       op.name.c_str(), static_cast<long long>(context.step), network.name.c_str(), static_cast<long long>(member)));
  }
  if (context.step % op.i[0] != 0) {
    return;
  }
  const double* h = context.hypers;
  AdamStep<float> step = adam_step<float>(h[op.h[0]], h[op.h[1]], h[op.h[2]], h[op.h[3]], h[op.h[4]], context.step / op.i[0]);
  float scale = static_cast<float>(clip_factor(norm, h[op.h[5]]));
  float* parameters = storage.sections[UNIFIEDRL_PARAMETERS].data();
  float* moment1 = storage.sections[UNIFIEDRL_MOMENT1].data();
  float* moment2 = storage.sections[UNIFIEDRL_MOMENT2].data();
  for (size_t l = 0; l < network.layers.size(); ++l) {
    const Layer& layer = network.layers[l];
    int64_t offset = layer.weight + member * layer.in * layer.out;
    kernels_->adam(layer.in * layer.out, step, scale, weight_gradient(op.n[0], l, place), parameters + offset, moment1 + offset, moment2 + offset);
    offset = layer.bias + member * layer.out;
    kernels_->adam(layer.out, step, scale, bias_gradient(op.n[0], l, place), parameters + offset, moment1 + offset, moment2 + offset);
  }
}

void CpuExecutor::gather(const Op& op) {
  const std::vector<int64_t>& rows = rows_[static_cast<size_t>(op.t[0])];
  const Tensor& out_info = program_.tensors[static_cast<size_t>(op.t[3])];
  const float* shift = op.t[1] == UNIFIEDRL_NONE ? nullptr : whole(op.t[1]);
  const float* scale = op.t[2] == UNIFIEDRL_NONE ? nullptr : whole(op.t[2]);
  float* out = whole(op.t[3]);
  int64_t column = op.i[0], offset = op.i[1], width = out_info.columns;
  int64_t count = out_info.rows;
  // Row that element b reads, and its segment.
  const auto place = [&](int64_t b, size_t* segment) {
    int64_t row = rows[static_cast<size_t>(b)];
    *segment = replay_->segment_of(row);
    if (offset == 1) {
      const Replay::Segment& s = replay_->segments()[*segment];
      row += s.last[row - s.first_row] == 0 ? 1 : 0;
    }
    return row;
  };
  if (column == UNIFIEDRL_LAST_COLUMN) {
    for (int64_t b = 0; b < count; ++b) {
      size_t segment;
      int64_t row = place(b, &segment);
      const Replay::Segment& s = replay_->segments()[segment];
      float value = static_cast<float>(s.last[row - s.first_row]);
      kernels_->normalise(1, &value, shift, scale, out + b);
    }
    return;
  }
  // Rows lie at random places, so the memory of one is asked for well before it is needed: into the outer cache, since a row is larger than
  // the inner one's queue, and in turn with the copying, since the queue would stall it.
  constexpr int64_t kAhead = 16, kPiece = 64;
  const float* from[kAhead] = {};
  const auto find = [&](int64_t b) {
    size_t segment;
    int64_t row = place(std::min(b, count - 1), &segment);
    return replay_->at(static_cast<size_t>(column), segment, row);
  };
  for (int64_t b = 0; b < kAhead; ++b) {
    from[b] = find(b);
  }
  for (int64_t b = 0; b < count; ++b) {
    const float* row = from[b % kAhead];
    const float* later = from[b % kAhead] = find(b + kAhead);
    for (int64_t i = 0; i < width; i += kPiece) {
      int64_t n = std::min(kPiece, width - i);
      for (int64_t k = i; k < i + n; k += 16) {
        __builtin_prefetch(later + k, 0, 1);
      }
      kernels_->normalise(n, row + i, shift == nullptr ? nullptr : shift + i, scale == nullptr ? nullptr : scale + i, out + b * width + i);
    }
  }
}

constexpr int64_t kBlockPiece = 2048;  // elements that one worker takes of a block: some microseconds, as waking another costs

void CpuExecutor::run_block_op(const Op& op, const StepContext& context) {
  Block<float> block = block_of<float>(program_, op, [&](int32_t tensor) { return whole(tensor); });
  int64_t elements = std::max(program_.tensors[static_cast<size_t>(op.t[0])].elements(), block.members * block.rows * block.columns);
  int64_t pieces = std::clamp<int64_t>(elements / kBlockPiece, 1, block.rows);
  pool_.run(pieces, [&](int64_t piece, int32_t) {
    run_block(block, HostRows<float>{context, piece * block.rows / pieces, (piece + 1) * block.rows / pieces});
  });
}

void CpuExecutor::run_whole_op(const Op& op, const StepContext& context) {
  if (is_block(op.code)) {
    run_block_op(op, context);
    return;
  }
  const auto hyper = [&](size_t i) { return static_cast<float>(context.hypers[op.h[i]]); };
  const auto info = [&](size_t i) -> const Tensor& { return program_.tensors[static_cast<size_t>(op.t[i])]; };
  switch (op.code) {
    case UNIFIEDRL_OP_SAMPLE: {
      std::vector<int64_t>& rows = rows_[static_cast<size_t>(op.t[0])];
      kernels_->sample(context.seed, context.step, op.i[0], replay_->rows(), static_cast<int64_t>(rows.size()), rows.data());
      return;
    }
    case UNIFIEDRL_OP_GATHER: gather(op); return;
    case UNIFIEDRL_OP_DIVERSITY: diversity(op); return;
    case UNIFIEDRL_OP_MEMBER_SUM: {
      int64_t n = info(1).elements();
      const float* x = whole(op.t[0]);
      float* out = whole(op.t[1]);
      std::memcpy(out, x, static_cast<size_t>(n) * sizeof(float));
      for (int64_t e = 1; e < info(0).members; ++e) {
        const float* xe = x + e * n;
        for (int64_t i = 0; i < n; ++i) {
          out[i] += xe[i];
        }
      }
      return;
    }
    case UNIFIEDRL_OP_ATTENUATION: {
      const float *a = whole(op.t[0]), *lo = whole(op.t[1]), *hi = whole(op.t[2]);
      float* phi = whole(op.t[3]);
      int64_t n = info(0).columns;
      for (int64_t b = 0; b < info(0).rows; ++b) {
        float excess = 0;
        for (int64_t k = b * n; k < (b + 1) * n; ++k) {
          excess += box_excess(a[k], lo[k], hi[k]);
        }
        phi[b] = attenuation(excess, hyper(0), hyper(1));
      }
      return;
    }
    case UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE: {
      const float *q = whole(op.t[0]), *weights = whole(op.t[1]);
      float *dq = whole(op.t[2]), *mean = whole(op.t[3]), *deviation = whole(op.t[4]);
      int64_t rows = info(0).rows, groups = info(3).columns, m = op.i[0];
      float lambda = hyper(0);
      for (int64_t g = 0; g < groups; ++g) {
        for (int64_t b = 0; b < rows; ++b) {
          const float* first = q + g * m * rows + b;
          float mu, sd;
          group_moments(first, m, rows, &mu, &sd);
          mean[b * groups + g] = mu;
          deviation[b * groups + g] = sd;
          for (int64_t j = 0; j < m; ++j) {
            dq[(g * m + j) * rows + b] = group_gradient(first[j * rows], mu, sd, weights[g], lambda, m, rows);
          }
        }
      }
      return;
    }
    case UNIFIEDRL_OP_BOX_PENALTY: {
      const float *a = whole(op.t[0]), *lo = whole(op.t[1]), *hi = whole(op.t[2]);
      float *da = whole(op.t[3]), *d = whole(op.t[4]), *inside = whole(op.t[5]);
      int64_t n = info(0).columns, rows = info(0).rows;
      float share = hyper(0) / static_cast<float>(rows), omega = hyper(1);
      for (int64_t b = 0; b < rows; ++b) {
        float sum = 0, excess = 0;
        for (int64_t k = b * n; k < (b + 1) * n; ++k) {
          float gradient;
          sum += box_penalty(a[k], lo[k], hi[k], omega, op.i[0] == 1, &gradient);
          excess += box_excess(a[k], lo[k], hi[k]);
          da[k] = share * gradient;
        }
        d[b] = sum;
        inside[b] = excess <= 0 ? 1.0f : 0.0f;
      }
      return;
    }
    case UNIFIEDRL_OP_NORMALISER: {
      const float* x = whole(op.t[0]);
      double sum = 0;
      for (int64_t i = 0; i < info(0).elements(); ++i) {
        sum += std::fabs(static_cast<double>(x[i]));
      }
      *whole(op.t[1]) = normaliser(hyper(0), sum, info(0).elements());
      return;
    }
    case UNIFIEDRL_OP_METRIC: {
      const float* x = whole(op.t[0]);
      int64_t n = info(0).elements();
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        sum += static_cast<double>(x[i]);
      }
      context.metrics[op.i[0]] = static_cast<float>(sum / static_cast<double>(n));
      return;
    }
    default: throw Error(UNIFIEDRL_INTERNAL, format("op '%s' is not known to the cpu back end", op.name.c_str()));
  }
}

void CpuExecutor::read_network(int32_t network, int32_t section, float* destination) const {
  const Buffer& data = networks_[static_cast<size_t>(network)].sections[section];
  if (data.size() == 0) {
    fail_argument("network '%s' keeps no such section here: gradients need `materialise`, gradients and moments an optimiser",
                  program_.networks[static_cast<size_t>(network)].name.c_str());
  }
  std::memcpy(destination, data.data(), static_cast<size_t>(data.size()) * sizeof(float));
}

void CpuExecutor::write_network(int32_t network, int32_t section, const float* source) {
  const Buffer& data = networks_[static_cast<size_t>(network)].sections[section];
  if (data.size() == 0) {
    fail_argument("network '%s' has no such section to write", program_.networks[static_cast<size_t>(network)].name.c_str());
  }
  std::memcpy(data.data(), source, static_cast<size_t>(data.size()) * sizeof(float));
}

void CpuExecutor::read_network(int32_t network, int32_t section, double* destination) const {
  std::vector<float> values(static_cast<size_t>(program_.networks[static_cast<size_t>(network)].size));
  read_network(network, section, values.data());
  std::copy(values.begin(), values.end(), destination);
}

void CpuExecutor::write_network(int32_t network, int32_t section, const double* source) {
  std::vector<float> values(static_cast<size_t>(program_.networks[static_cast<size_t>(network)].size));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(source[i]);
  }
  write_network(network, section, values.data());
}

void CpuExecutor::read_tensor(int32_t tensor, double* destination) const {
  const Tensor& info = program_.tensors[static_cast<size_t>(tensor)];
  const Storage& storage = tensors_[static_cast<size_t>(tensor)];
  if (info.kind == UNIFIEDRL_TENSOR_ROWS) {
    const std::vector<int64_t>& rows = rows_[static_cast<size_t>(tensor)];
    std::transform(rows.begin(), rows.end(), destination, [](int64_t row) { return static_cast<double>(row); });
    return;
  }
  if (!storage.whole) {
    fail_argument("tensor '%s' is not kept whole by the cpu back end: create the engine with `materialise`", info.name.c_str());
  }
  if (info.kind == UNIFIEDRL_TENSOR_TAPE || info.kind == UNIFIEDRL_TENSOR_SIGNS) {
    walk_tape(tensor, [&](int64_t at, const float* value, const uint16_t* word, int64_t bit) {
      destination[at] = word == nullptr ? static_cast<double>(*value) : static_cast<double>(*word >> bit & 1);
    });
    return;
  }
  const float* data = storage.data.data();
  std::copy(data, data + info.elements(), destination);
}

void CpuExecutor::write_tensor(int32_t tensor, const double* source) {
  const Tensor& info = program_.tensors[static_cast<size_t>(tensor)];
  if (info.kind == UNIFIEDRL_TENSOR_TAPE || info.kind == UNIFIEDRL_TENSOR_SIGNS) {
    walk_tape(tensor, [&](int64_t at, float* value, uint16_t* word, int64_t bit) {
      if (word == nullptr) {
        *value = static_cast<float>(source[at]);
      } else {
        *word = static_cast<uint16_t>((*word & ~(1u << bit)) | (source[at] > 0 ? 1u << bit : 0u));
      }
    });
    return;
  }
  float* data = whole(tensor);
  for (int64_t i = 0; i < info.elements(); ++i) {
    data[i] = static_cast<float>(source[i]);
  }
}

template <typename Visit>
void CpuExecutor::walk_tape(int32_t tensor, Visit visit) const {
  const Tensor& info = program_.tensors[static_cast<size_t>(tensor)];
  const Network& network = program_.networks[static_cast<size_t>(program_.ops[static_cast<size_t>(info.producer)].n[0])];
  for (int64_t e = 0; e < info.members; ++e) {
    for (int64_t b = 0; b < info.rows; ++b) {
      int64_t at = (e * info.rows + b) * info.columns;
      Place place{e, b, 1, 0, false};
      for (size_t l = 0; l + 1 < network.layers.size(); ++l) {
        bool signs = info.kind == UNIFIEDRL_TENSOR_SIGNS;
        float* values = signs ? nullptr : tape_layer(tensor, network, l, place);
        uint16_t* words = signs ? sign_layer(tensor, network, l, place) : nullptr;
        for (int64_t f = 0; f < network.layers[l].out; ++f, ++at) {
          visit(at, signs ? nullptr : values + f, signs ? words + f / 16 : nullptr, f % 16);
        }
      }
    }
  }
}

}  // namespace unifiedrl::cpu

namespace unifiedrl {

static int cpu_score() { return 100; }

static std::string cpu_description() {
  const cpu::Kernels* k = cpu::kernels(0);
  return format("%s loops, %s, %d processors", k->name, cpu::gemm_library(), cpu::usable_processors());
}

static bool cpu_supports(int32_t op) { return op >= UNIFIEDRL_OP_SAMPLE && op <= UNIFIEDRL_LAST_OP; }

static std::unique_ptr<Executor> cpu_create(const Program& program, const Replay* replay, const unifiedrl_options& options) {
  check_host_options("cpu", options);
  return std::make_unique<cpu::CpuExecutor>(program, replay, options);
}

const Backend kCpuBackend = {UNIFIEDRL_ABI_VERSION, "cpu", cpu_score, cpu_description, cpu_supports, nullptr, true, cpu_create};

}  // namespace unifiedrl
