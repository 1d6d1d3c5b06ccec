// The registry of back ends, and "check:A,B", which runs two of them op by op.
#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>

#include "core/backend.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/plugin.h"
#include "ops/diversity.h"

namespace unifiedrl {
namespace {

// Largest difference between two back ends that start an op from the same float32 values, relative to the largest magnitude of what is
// compared (one tensor, or one member of a network): cancellation makes single elements meaningless. u = 2^-24 = 6e-8.
double default_tolerance(int32_t code) {
  switch (code) {
    case UNIFIEDRL_OP_SAMPLE:
    case UNIFIEDRL_OP_CONCAT:
    case UNIFIEDRL_OP_REPEAT:
    case UNIFIEDRL_OP_CONCAT_ROWS:
    case UNIFIEDRL_OP_SLICE:
    case UNIFIEDRL_OP_RESHAPE: return 0;  // integers and copies
    case UNIFIEDRL_OP_NOISE:
    case UNIFIEDRL_OP_CLIP:
    case UNIFIEDRL_OP_COMBINE:
    case UNIFIEDRL_OP_MULTIPLY:
    case UNIFIEDRL_OP_NORMALISER:
    case UNIFIEDRL_OP_GATHER:
    case UNIFIEDRL_OP_ADD:
    case UNIFIEDRL_OP_SOFT_UPDATE: return 3e-7;  // up to four roundings
    case UNIFIEDRL_OP_MEMBER_SUM:
    case UNIFIEDRL_OP_TD_TARGET:
    case UNIFIEDRL_OP_GROUP_EXTREME:
    case UNIFIEDRL_OP_METRIC: return 3e-6;  // sums of some fifty terms
    case UNIFIEDRL_OP_EXP_WEIGHT: return 3e-5;  // an exponent of -88, the least that float32 has a result for, is within 2 u of itself
    case UNIFIEDRL_OP_ADAM: return 3e-6;    // a step is at most 31 rates (1 / sqrt(1 - beta2)), each within some u
    default: return 1e-5;  // products and sums over K or B terms: u sqrt(K) is 1e-6 at K = 256 and 4e-6 at 4,096; exp of up to 8: 8 u
  }
}

double tolerance_of(const Backend& backend, int32_t code) { return backend.tolerance ? backend.tolerance(code) : default_tolerance(code); }

// Ops whose result may be much smaller than what they add up: the inputs set the scale.
bool cancels(int32_t code) {
  return code == UNIFIEDRL_OP_ADD || code == UNIFIEDRL_OP_MEMBER_SUM || code == UNIFIEDRL_OP_TD_TARGET || code == UNIFIEDRL_OP_METRIC;
}

// Largest magnitude among the finite values: an infinite one must equal its counterpart, and does not excuse the others.
double largest(const double* x, int64_t n) {
  double result = 0;
  for (int64_t i = 0; i < n; ++i) {
    result = std::isfinite(x[i]) ? std::max(result, std::abs(x[i])) : result;
  }
  return result;
}

// Runs A, then B, on each op; both start it from the same float32 values.
class CheckExecutor final : public Executor {
 public:
  CheckExecutor(const Program& program, const Backend& a, const Backend& b, const Replay* replay, const unifiedrl_options& options)
      : program_(program), backend_a_(a), backend_b_(b) {
    unifiedrl_options materialised = options;
    materialised.materialise = 1;
    a_ = a.create(program, replay, materialised);
    b_ = b.create(program, replay, materialised);
    int64_t size = program.metric_slots;
    for (const Tensor& t : program.tensors) {
      size = std::max(size, t.elements());
    }
    for (const Network& n : program.networks) {
      size = std::max(size, n.size);
    }
    // Back ends check what they take, each with what it finds left; what is compared needs room too.
    check_memory(2 * size * static_cast<int64_t>(sizeof(double)), "the comparison of two back ends");
    values_a_.resize(static_cast<size_t>(size));
    values_b_.resize(static_cast<size_t>(size));
    metrics_.resize(static_cast<size_t>(program.metric_slots));
  }

  void run(Run& run) override {
    each_step(run, program_.metric_slots, [&](const StepContext& context) { run_step(context, run.first_op, run.last_op); });
  }

  std::string description() const override { return a_->description() + " | " + b_->description(); }
  int64_t bytes() const override {
    return a_->bytes() + b_->bytes() + static_cast<int64_t>((values_a_.size() + values_b_.size()) * sizeof(double));
  }
  void read_network(int32_t network, int32_t section, double* destination) const override { a_->read_network(network, section, destination); }
  void read_network(int32_t network, int32_t section, float* destination) const override { a_->read_network(network, section, destination); }
  void read_tensor(int32_t tensor, double* destination) const override { a_->read_tensor(tensor, destination); }
  void write_network(int32_t network, int32_t section, const double* source) override {
    a_->write_network(network, section, source);
    b_->write_network(network, section, source);
  }
  void write_network(int32_t network, int32_t section, const float* source) override {
    a_->write_network(network, section, source);
    b_->write_network(network, section, source);
  }
  void write_tensor(int32_t tensor, const double* source) override {
    a_->write_tensor(tensor, source);
    b_->write_tensor(tensor, source);
  }

 private:
  const Program& program_;
  const Backend &backend_a_, &backend_b_;
  std::unique_ptr<Executor> a_, b_;
  std::vector<double> values_a_, values_b_;
  std::vector<float> metrics_;

  double tolerance(const Op& op) const { return std::max(tolerance_of(backend_a_, op.code), tolerance_of(backend_b_, op.code)); }

  void run_step(const StepContext& context, size_t first, size_t last) {
    std::fill(metrics_.begin(), metrics_.end(), 0.0f);
    for (size_t k = first; k < last; ++k) {
      const Op& op = program_.ops[k];
      Run run_a{context.step, 1, context.seed, context.hypers, context.metrics, k, k + 1}, run_b = run_a;
      run_b.metrics = metrics_.data();
      a_->run(run_a);
      b_->run(run_b);
      for (int32_t id : op_outputs(op)) {
        tensor(op, id, context);
      }
      if (forms_gradients(op) || op.code == UNIFIEDRL_OP_MLP_BACKWARD_TANGENT) {
        section(op, UNIFIEDRL_GRADIENTS);
      } else if (op.code == UNIFIEDRL_OP_ADAM) {
        for (int32_t s : {UNIFIEDRL_PARAMETERS, UNIFIEDRL_MOMENT1, UNIFIEDRL_MOMENT2}) {
          section(op, s);
        }
      } else if (op.code == UNIFIEDRL_OP_SOFT_UPDATE) {
        section(op, UNIFIEDRL_PARAMETERS);
      } else if (op.code == UNIFIEDRL_OP_METRIC) {
        values_a_[0] = static_cast<double>(context.metrics[op.i[0]]);
        values_b_[0] = static_cast<double>(metrics_[static_cast<size_t>(op.i[0])]);
        compare(op, format("metric slot %lld", static_cast<long long>(op.i[0])), 0, 1, std::max(largest(values_a_.data(), 1), input_scale(op, context)));
      }
    }
  }

  // Largest magnitude of what an op reads, where that sets the scale.
  double input_scale(const Op& op, const StepContext& context) {
    double scale = 0;
    if (op.code == UNIFIEDRL_OP_COMBINE) {  // a x + b y + c
      scale = std::abs(context.hypers[op.h[2]]);
      for (size_t k = 0; k < 2; ++k) {
        scale += op.t[k] == UNIFIEDRL_NONE ? 0 : std::abs(context.hypers[op.h[k]]) * magnitude(op.t[k]);
      }
    } else if (cancels(op.code)) {
      for (int32_t id : op_inputs(op)) {
        scale = std::max(scale, magnitude(id));
      }
    }
    return scale;
  }

  std::vector<double> values(int32_t id) const {
    std::vector<double> result(static_cast<size_t>(program_.tensors[static_cast<size_t>(id)].elements()));
    a_->read_tensor(id, result.data());
    return result;
  }

  double magnitude(int32_t id) const {
    std::vector<double> x = values(id);
    return largest(x.data(), static_cast<int64_t>(x.size()));
  }

  // What rounding of the mean adds to each element of dq: (q - mean) / sd is off by u |mean| / sd where critics agree closely.
  std::vector<double> objective_slack(const Op& op, const StepContext& context) const {
    std::vector<double> q = values(op.t[0]), weight = values(op.t[1]), mean = values(op.t[3]), sd = values(op.t[4]), slack(q.size());
    size_t m = static_cast<size_t>(op.i[0]), groups = weight.size(), rows = mean.size() / groups;
    for (size_t e = 0; e < m * groups; ++e) {
      size_t g = e / m;
      double share = tolerance(op) * std::abs(weight[g] * context.hypers[op.h[0]]) / static_cast<double>(m * rows);
      for (size_t b = 0; b < rows; ++b) {
        size_t at = b * groups + g;
        slack[e * rows + b] = share * (std::abs(q[e * rows + b]) + std::abs(mean[at])) / sd[at];
      }
    }
    return slack;
  }

  // What rounding adds to each element of dg: parts of about 2 / (|g| rows) cancel where gradients are parallel.
  std::vector<double> diversity_slack(const Op& op) const {
    const Tensor& info = program_.tensors[static_cast<size_t>(op.t[0])];
    std::vector<double> g = values(op.t[0]), slack(g.size());
    size_t columns = static_cast<size_t>(info.columns);
    for (size_t row = 0; row < g.size(); row += columns) {
      double inverse = inverse_norm(&g[row], info.columns);
      std::fill_n(&slack[row], columns, tolerance(op) * 4 * inverse / static_cast<double>(info.rows));
    }
    return slack;
  }

  // Sums z that the hidden units of a forward pass take the sign of, [E, B, H], in double from what A starts with.
  std::vector<double> hidden_sums(const Op& op) const {
    const Network& n = program_.networks[static_cast<size_t>(op.n[0])];
    const Tensor& input = program_.tensors[static_cast<size_t>(op.t[0])];
    std::vector<double> x = values(op.t[0]), parameters(static_cast<size_t>(n.size)), sums;
    a_->read_network(op.n[0], UNIFIEDRL_PARAMETERS, parameters.data());
    for (int64_t e = 0; e < n.members; ++e) {
      for (int64_t b = 0; b < input.rows; ++b) {
        const double* row = &x[static_cast<size_t>(((input.members == 1 ? 0 : e) * input.rows + b) * input.columns)];
        std::vector<double> below(row, row + input.columns), above;
        for (size_t l = 0; l + 1 < n.layers.size(); ++l) {
          const Layer& layer = n.layers[l];
          const double *weight = &parameters[static_cast<size_t>(layer.weight + e * layer.in * layer.out)],
                       *bias = &parameters[static_cast<size_t>(layer.bias + e * layer.out)];
          above.assign(bias, bias + layer.out);
          for (int64_t i = 0; i < layer.in; ++i) {
            for (int64_t j = 0; j < layer.out; ++j) {
              above[static_cast<size_t>(j)] += below[static_cast<size_t>(i)] * weight[i * layer.out + j];
            }
          }
          sums.insert(sums.end(), above.begin(), above.end());
          std::transform(above.begin(), above.end(), above.begin(), [](double z) { return z < 0 ? 0 : z; });
          std::swap(above, below);
        }
      }
    }
    return sums;
  }

  void tensor(const Op& op, int32_t id, const StepContext& context) {
    const Tensor& t = program_.tensors[static_cast<size_t>(id)];
    a_->read_tensor(id, values_a_.data());
    b_->read_tensor(id, values_b_.data());
    std::string what = "tensor '" + t.name + "'";
    double scale = std::max(largest(values_a_.data(), t.elements()), input_scale(op, context));
    if (t.kind == UNIFIEDRL_TENSOR_SIGNS) {
      // A unit that is 0 but for rounding may be on in one and off in the other.
      std::vector<double> slack = hidden_sums(op);
      double close = tolerance(op) * largest(slack.data(), static_cast<int64_t>(slack.size()));
      std::transform(slack.begin(), slack.end(), slack.begin(), [&](double z) { return std::abs(z) <= close ? 1.0 : 0.0; });
      compare(op, what, 0, t.elements(), 0, slack.data());
    } else if (op.code == UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE && id == op.t[2]) {
      std::vector<double> slack = objective_slack(op, context);
      compare(op, what, 0, t.elements(), scale, slack.data());
    } else if (op.code == UNIFIEDRL_OP_DIVERSITY && id == op.t[2]) {
      std::vector<double> slack = diversity_slack(op);
      compare(op, what, 0, t.elements(), scale, slack.data());
    } else if (op.code == UNIFIEDRL_OP_DIVERSITY) {
      compare(op, what, 0, t.elements(), std::max(scale, static_cast<double>(program_.tensors[static_cast<size_t>(op.t[0])].members)));
    } else {
      compare(op, what, 0, t.elements(), scale);
    }
    if (t.kind == UNIFIEDRL_TENSOR_ROWS) {
      return;
    }
    // Tapes too: where a hidden unit is 0 but for rounding, the two would go different ways in the backward pass.
    b_->write_tensor(id, values_a_.data());
    b_->read_tensor(id, values_b_.data());
    a_->write_tensor(id, values_b_.data());
  }

  void section(const Op& op, int32_t s) {
    static const char* const names[] = {"parameters", "gradients", "first moments", "second moments"};
    int32_t id = op.n[0];
    const Network& n = program_.networks[static_cast<size_t>(id)];
    a_->read_network(id, s, values_a_.data());
    b_->read_network(id, s, values_b_.data());
    for (int64_t e = 0; e < n.members; ++e) {
      double scale = 0;  // of the whole member: the sum over a batch that gives a single bias may cancel
      for (const Layer& layer : n.layers) {
        scale = std::max({scale, largest(&values_a_[static_cast<size_t>(layer.weight + e * layer.in * layer.out)], layer.in * layer.out),
                          largest(&values_a_[static_cast<size_t>(layer.bias + e * layer.out)], layer.out)});
      }
      for (size_t l = 0; l < n.layers.size(); ++l) {
        const Layer& layer = n.layers[l];
        std::string where = format("%s of network '%s', layer %zu, member %lld, ", names[s], n.name.c_str(), l + 1, static_cast<long long>(e));
        compare(op, where + "weight", layer.weight + e * layer.in * layer.out, layer.in * layer.out, scale);
        compare(op, where + "bias", layer.bias + e * layer.out, layer.out, scale);
      }
    }
    b_->write_network(id, s, values_a_.data());
    b_->read_network(id, s, values_b_.data());
    a_->write_network(id, s, values_b_.data());
  }

  // `slack`, if given, is allowed on top for each element.
  void compare(const Op& op, const std::string& what, int64_t offset, int64_t n, double scale, const double* slack = nullptr) {
    const double *a = values_a_.data() + offset, *b = values_b_.data() + offset;
    double base = tolerance(op) * scale + (tolerance(op) > 0 ? 1e-30 : 0);
    for (int64_t i = 0; i < n; ++i) {
      double allowed = base + (slack == nullptr ? 0 : slack[i]);
      bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
      if (!same && !(std::abs(a[i] - b[i]) <= allowed)) {
        throw Error(UNIFIEDRL_MISMATCH,
                    format("op '%s' (%s): %s, element %lld: %s gives %.9g and %s gives %.9g, further apart than %.3g", op.name.c_str(),
                           op_name(op.code), what.c_str(), static_cast<long long>(i), backend_a_.name.c_str(), a[i], backend_b_.name.c_str(), b[i],
                           allowed));
      }
    }
  }
};

struct Registry {
  std::mutex loading;  // held while a library loads, which may take long and runs foreign code
  std::mutex mutex;    // of the lists
  std::vector<const Backend*> listed = {
#if defined(UNIFIEDRL_CPU)
      &kCpuBackend,
#endif
      &kReference32Backend, &kReferenceBackend};
  std::vector<const Backend*> failed;  // loads that failed, those replaced since too: another thread may still look at them
};

// Never destroyed: engines may be used while the process exits.
Registry& registry() {
  static Registry* all = new Registry;
  return *all;
}

// What is listed for a library that did not load.
Backend failed_backend(const std::string& name, const std::string& reason) {
  Backend backend;
  backend.abi_version = UNIFIEDRL_ABI_VERSION;
  backend.name = name;
  backend.score = [] { return 0; };
  backend.description = [reason] { return reason; };
  backend.supports = [](int32_t) { return false; };
  backend.automatic = true;  // so that "auto" says why, where nothing else works
  backend.create = [reason](const Program&, const Replay*, const unifiedrl_options&) -> std::unique_ptr<Executor> {
    throw Error(UNIFIEDRL_UNAVAILABLE, reason);
  };
  return backend;
}

std::string known_names() {
  std::string names = "auto";
  for (const Backend* backend : backends()) {
    names += ", " + backend->name;
  }
  return names + ", check:A,B";
}

// A back end that works here and has every op of the program.
const Backend& usable(const std::string& name, const Program& program) {
  for (const Backend* backend : backends()) {
    if (name != backend->name) {
      continue;
    }
    if (backend->score() <= 0) {
      throw Error(UNIFIEDRL_UNAVAILABLE, format("back end '%s' cannot work here: %s", backend->name.c_str(), backend->description().c_str()));
    }
    for (const Op& op : program.ops) {
      if (!backend->supports(op.code)) {
        throw Error(UNIFIEDRL_UNAVAILABLE,
                    format("back end '%s' lacks %s, which op '%s' needs: choose another", backend->name.c_str(), op_name(op.code), op.name.c_str()));
      }
    }
    return *backend;
  }
  fail_argument("there is no back end '%s'; there are %s", name.c_str(), known_names().c_str());
}

std::string best_name() {
  const Backend* best = nullptr;
  std::string reasons;
  for (const Backend* backend : backends()) {
    if (!backend->automatic) {
      continue;  // only by name
    }
    if (backend->score() <= 0) {
      reasons += format("; '%s': %s", backend->name.c_str(), backend->description().c_str());
    } else if (best == nullptr || backend->score() > best->score()) {
      best = backend;
    }
  }
  if (best == nullptr) {
    throw Error(UNIFIEDRL_UNAVAILABLE, "no fast back end works here; ask for 'reference' by name if slow is good enough" + reasons);
  }
  return best->name;
}

}  // namespace

std::vector<const Backend*> backends() {
  std::lock_guard<std::mutex> lock(registry().mutex);
  return registry().listed;
}

void load_backend(const std::string& name, const std::string& path) {
  if (name.empty() || name == "auto" || name.find_first_of(",:=") != std::string::npos) {
    fail_argument("a back end cannot be named '%s': the name must not be empty or 'auto', nor have ',', ':' or '=' in it", name.c_str());
  }
  if (path.empty()) {
    fail_argument("back end '%s': the path of its library is empty", name.c_str());
  }
  Registry& r = registry();
  std::lock_guard<std::mutex> one_at_a_time(r.loading);
  const auto find = [&] { return std::find_if(r.listed.begin(), r.listed.end(), [&](const Backend* b) { return b->name == name; }); };
  // Only this function changes the list, so reading it needs no more than the lock on loading.
  if (find() != r.listed.end() && std::find(r.failed.begin(), r.failed.end(), *find()) == r.failed.end()) {
    fail_argument("there is a back end '%s' already: choose another name", name.c_str());
  }
  auto backend = std::make_unique<Backend>();
  std::unique_ptr<Error> failure;
  try {
    *backend = open_backend(name, path);
  } catch (const Error& error) {
    failure = std::make_unique<Error>(error);
    *backend = failed_backend(name, error.text());
  }
  const Backend* added = backend.release();  // never taken away
  {
    std::lock_guard<std::mutex> lock(r.mutex);
    if (failure != nullptr) {
      r.failed.push_back(added);
    }
    if (find() == r.listed.end()) {
      r.listed.push_back(added);
    } else {
      *find() = added;
    }
  }
  if (failure != nullptr) {
    throw *failure;
  }
}

std::unique_ptr<Executor> create_executor(
    const Program& program, const Replay* replay, const std::string& name, const unifiedrl_options& options, std::string* chosen) {
  const std::string check = "check:";
  if (name.compare(0, check.size(), check) == 0) {
    size_t comma = name.find(',');
    if (comma == std::string::npos) {
      fail_argument("back end '%s' names no second back end; write check:A,B, as in check:reference,cpu", name.c_str());
    }
    const Backend& a = usable(name.substr(check.size(), comma - check.size()), program);
    const Backend& b = usable(name.substr(comma + 1), program);
    *chosen = name;
    return std::make_unique<CheckExecutor>(program, a, b, replay, options);
  }
  *chosen = name == "auto" ? best_name() : name;
  return usable(*chosen, program).create(program, replay, options);
}

}  // namespace unifiedrl
