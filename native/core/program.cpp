#include "core/program.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"

namespace unifiedrl {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 42;  // of one tensor or network section, so that no sum of sizes overflows
constexpr size_t kMaxDefinitions = 4096;            // of each kind in one program
constexpr int64_t kMaxMetricSlots = 1024;
constexpr int64_t kMaxDraws = int64_t{1} << 24;  // of one op: the counter of a draw has room for no more (ops/random.h)

constexpr unsigned kWork = 1u << UNIFIEDRL_TENSOR_WORK, kConstant = 1u << UNIFIEDRL_TENSOR_CONSTANT, kRows = 1u << UNIFIEDRL_TENSOR_ROWS;
constexpr unsigned kTape = 1u << UNIFIEDRL_TENSOR_TAPE, kSigns = 1u << UNIFIEDRL_TENSOR_SIGNS;
constexpr unsigned kValues = kWork | kConstant;
const char* const kKindNames[] = {"work", "constant", "rows", "tape", "signs"};

enum Use { kIn, kOut };
struct TensorSlot {
  const char* name;
  Use use;
  unsigned kinds = kValues;
  bool optional = false;
};

// Ranges of hyper-parameters; `open` excludes the ends.
struct HyperSlot {
  const char* name;
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool open_low = false, open_high = false;
};

struct Signature {
  int32_t code;
  const char* name;
  std::vector<TensorSlot> tensors;
  std::vector<const char*> networks, integers;
  std::vector<HyperSlot> hypers;
};

constexpr double kFloatMax = std::numeric_limits<float>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

const std::vector<Signature>& signatures() {
  static const std::vector<Signature> table = {
      {UNIFIEDRL_OP_SAMPLE, "sample", {{"rows", kOut, kRows}}, {}, {"stream"}, {}},
      {UNIFIEDRL_OP_GATHER,
       "gather",
       {{"rows", kIn, kRows}, {"shift", kIn, kConstant, true}, {"scale", kIn, kConstant, true}, {"out", kOut, kWork}},
       {},
       {"column", "offset"},
       {}},
      {UNIFIEDRL_OP_CONCAT, "concat", {{"x", kIn}, {"y", kIn}, {"out", kOut, kWork}}, {}, {}, {}},
      {UNIFIEDRL_OP_MLP_FORWARD, "mlp_forward", {{"x", kIn}, {"y", kOut, kWork}, {"tape", kOut, kTape | kSigns, true}}, {"network"}, {}, {}},
      {UNIFIEDRL_OP_MLP_BACKWARD, "mlp_backward", {{"x", kIn}, {"y", kIn, kWork}, {"tape", kIn, kTape, true}, {"dy", kIn}}, {"network"}, {}, {}},
      {UNIFIEDRL_OP_MLP_BACKWARD_INPUT,
       "mlp_backward_input",
       {{"y", kIn, kWork}, {"tape", kIn, kTape | kSigns, true}, {"dy", kIn}, {"dx", kOut, kWork}},
       {"network"},
       {"first"},
       {}},
      {UNIFIEDRL_OP_MEMBER_SUM, "member_sum", {{"x", kIn}, {"out", kOut, kWork}}, {}, {}, {}},
      {UNIFIEDRL_OP_ADD, "add", {{"x", kIn}, {"y", kIn}, {"out", kOut, kWork}}, {}, {}, {}},
      {UNIFIEDRL_OP_ATTENUATION,
       "attenuation",
       {{"a", kIn}, {"lo", kIn}, {"hi", kIn}, {"phi", kOut, kWork}},
       {},
       {},
       {{"beta", 0, kInfinity}, {"theta", 0, kInfinity}}},
      {UNIFIEDRL_OP_TD_TARGET,
       "td_target",
       {{"reward", kIn}, {"done", kIn}, {"phi", kIn, kValues, true}, {"q", kIn}, {"y", kOut, kWork}},
       {},
       {"m"},
       {{"gamma", 0, 1}}},
      {UNIFIEDRL_OP_SQUARED_ERROR, "squared_error", {{"q", kIn}, {"y", kIn}, {"dq", kOut, kWork}, {"loss", kOut, kWork}}, {}, {}, {}},
      {UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE,
       "ensemble_objective",
       {{"q", kIn}, {"weight", kIn}, {"dq", kOut, kWork}, {"mean", kOut, kWork}, {"sd", kOut, kWork}},
       {},
       {"m"},
       {{"lambda"}}},
      {UNIFIEDRL_OP_BOX_PENALTY,
       "box_penalty",
       {{"a", kIn}, {"lo", kIn}, {"hi", kIn}, {"da", kOut, kWork}, {"d", kOut, kWork}, {"inside", kOut, kWork}},
       {},
       {"form"},
       {{"eta", 0, kInfinity}, {"omega", 0, kInfinity, true}}},
      {UNIFIEDRL_OP_ADAM,
       "adam",
       {{"norm", kOut, kWork}},
       {"network"},
       {"period"},
       {{"rate", 0, kInfinity},
        {"beta1", 0, 1, false, true},
        {"beta2", 0, 1, false, true},
        {"epsilon", 0, kInfinity, true},
        {"decay", 0, kInfinity},
        {"clip", 0, kInfinity}}},
      {UNIFIEDRL_OP_SOFT_UPDATE, "soft_update", {}, {"target", "source"}, {"period"}, {{"w", 0, 1}}},
      {UNIFIEDRL_OP_METRIC, "metric", {{"x", kIn}}, {}, {"slot"}, {}},
      {UNIFIEDRL_OP_NOISE, "noise", {{"out", kOut, kWork}}, {}, {"stream", "distribution"}, {{"scale", 0, kInfinity}, {"limit", 0, kInfinity}}},
      {UNIFIEDRL_OP_CLIP, "clip", {{"x", kIn}, {"out", kOut, kWork}, {"inside", kOut, kWork}}, {}, {}, {{"low"}, {"high"}}},
      {UNIFIEDRL_OP_COMBINE, "combine", {{"x", kIn}, {"y", kIn, kValues, true}, {"out", kOut, kWork}}, {}, {}, {{"a"}, {"b"}, {"c"}}},
      {UNIFIEDRL_OP_MULTIPLY, "multiply", {{"x", kIn}, {"y", kIn}, {"out", kOut, kWork}}, {}, {}, {}},
      {UNIFIEDRL_OP_GROUP_EXTREME, "group_extreme", {{"q", kIn}, {"out", kOut, kWork}, {"share", kOut, kWork}}, {}, {"m"}, {{"w", 0, 1}}},
      {UNIFIEDRL_OP_ROW_REDUCE,
       "row_reduce",
       {{"x", kIn}, {"out", kOut, kWork}, {"share", kOut, kWork}},
       {},
       {"n", "kind"},
       {{"temperature", 0, kInfinity, true}}},
      {UNIFIEDRL_OP_REPEAT, "repeat", {{"x", kIn}, {"out", kOut, kWork}}, {}, {"n"}, {}},
      {UNIFIEDRL_OP_CONCAT_ROWS, "concat_rows", {{"x", kIn}, {"y", kIn}, {"out", kOut, kWork}}, {}, {}, {}},
      {UNIFIEDRL_OP_SLICE, "slice", {{"x", kIn}, {"out", kOut, kWork}}, {}, {"first_member", "first_row", "first_column"}, {}},
      {UNIFIEDRL_OP_RESHAPE, "reshape", {{"x", kIn}, {"out", kOut, kWork}}, {}, {}, {}},
      {UNIFIEDRL_OP_GAUSSIAN_SAMPLE,
       "gaussian_sample",
       {{"head", kIn}, {"noise", kIn}, {"action", kOut, kWork}, {"log_prob", kOut, kWork}},
       {},
       {"squash"},
       {{"low"}, {"high"}}},
      {UNIFIEDRL_OP_GAUSSIAN_SAMPLE_BACKWARD,
       "gaussian_sample_backward",
       {{"head", kIn}, {"noise", kIn}, {"action", kIn}, {"daction", kIn, kValues, true}, {"dlog_prob", kIn, kValues, true}, {"dhead", kOut, kWork}},
       {},
       {"squash"},
       {{"low"}, {"high"}}},
      {UNIFIEDRL_OP_GAUSSIAN_LOG_PROB,
       "gaussian_log_prob",
       {{"head", kIn}, {"action", kIn}, {"log_prob", kOut, kWork}, {"dhead", kOut, kWork}},
       {},
       {"squash"},
       {{"low"}, {"high"}}},
      {UNIFIEDRL_OP_GAUSSIAN_KL, "gaussian_kl", {{"head", kIn}, {"kl", kOut, kWork}, {"dhead", kOut, kWork}}, {}, {}, {{"low"}, {"high"}}},
      {UNIFIEDRL_OP_EXP_WEIGHT,
       "exp_weight",
       {{"x", kIn}, {"y", kIn, kValues, true}, {"out", kOut, kWork}},
       {},
       {},
       {{"beta"}, {"cap", 0, kInfinity, true}}},
      {UNIFIEDRL_OP_EXPECTILE,
       "expectile",
       {{"q", kIn}, {"v", kIn}, {"loss", kOut, kWork}, {"dv", kOut, kWork}},
       {},
       {},
       {{"tau", 0, 1}}},
      {UNIFIEDRL_OP_NORMALISER, "normaliser", {{"x", kIn}, {"out", kOut, kWork}}, {}, {}, {{"scale"}}},
      {UNIFIEDRL_OP_LAYER_NORM,
       "layer_norm",
       {{"x", kIn}, {"y", kOut, kWork}, {"stat", kOut, kWork}},
       {"network"},
       {"relu"},
       {{"epsilon", 0, kInfinity, true}}},
      {UNIFIEDRL_OP_LAYER_NORM_BACKWARD,
       "layer_norm_backward",
       {{"x", kIn}, {"stat", kIn, kWork}, {"dy", kIn}, {"dx", kOut, kWork}},
       {"network"},
       {"relu", "parameters"},
       {}},
      {UNIFIEDRL_OP_DIVERSITY, "diversity", {{"g", kIn}, {"d", kOut, kWork}, {"dg", kOut, kWork}}, {}, {}, {}},
      {UNIFIEDRL_OP_MLP_BACKWARD_TANGENT,
       "mlp_backward_tangent",
       {{"y", kIn, kWork}, {"tape", kIn, kTape, true}, {"dy", kIn}, {"direction", kIn}},
       {"network"},
       {"first"},
       {}},
  };
  return table;
}

const Signature* signature(int32_t code) {
  for (const Signature& s : signatures()) {
    if (s.code == code) {
      return &s;
    }
  }
  return nullptr;
}

long long ll(int64_t x) { return static_cast<long long>(x); }

// a * b, refused beyond kMaxElements.
int64_t product(int64_t a, int64_t b, const char* what, const std::string& name) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result) || result > kMaxElements) {
    fail_argument("%s '%s' would have more than %lld elements: make it smaller", what, name.c_str(), ll(kMaxElements));
  }
  return result;
}

void check_name(const char* what, const std::string& name, size_t defined) {
  if (name.empty()) {
    fail_argument("a %s needs a name that is not empty", what);
  }
  if (defined >= kMaxDefinitions) {
    fail_argument("%s '%s': a program holds at most %zu of them", what, name.c_str(), kMaxDefinitions);
  }
}

// The checks of one op against the program that it joins.
class Check {
 public:
  Check(const Program& program, const Op& op, const Signature& signature) : p_(program), op_(op), s_(signature) {}

  void all() {
    count("tensors", op_.t.size(), s_.tensors.size());
    count("networks", op_.n.size(), s_.networks.size());
    count("integers", op_.i.size(), s_.integers.size());
    count("hyper-parameters", op_.h.size(), s_.hypers.size());
    for (size_t k = 0; k < s_.tensors.size(); ++k) {
      tensor(k);
    }
    for (size_t k = 0; k < op_.n.size(); ++k) {
      if (op_.n[k] < 0 || static_cast<size_t>(op_.n[k]) >= p_.networks.size()) {
        fail("%s is network %d, but networks 0 to %d are defined: add the network first", s_.networks[k], op_.n[k],
             static_cast<int>(p_.networks.size()) - 1);
      }
    }
    for (size_t k = 0; k < op_.h.size(); ++k) {
      if (op_.h[k] < 0 || static_cast<size_t>(op_.h[k]) >= p_.hypers.size()) {
        fail("%s is hyper-parameter %d, but 0 to %d are defined: add it first", s_.hypers[k].name, op_.h[k],
             static_cast<int>(p_.hypers.size()) - 1);
      }
      hyper(k, p_.hypers[static_cast<size_t>(op_.h[k])].value);
    }
    together([&](int32_t id) { return p_.hypers[static_cast<size_t>(id)].value; });
    shapes();
  }

  void hyper(size_t k, double value) const {
    const HyperSlot& h = s_.hypers[k];
    // Ops compute in float32: what overflows there, or becomes 0 where 0 is excluded, is no use.
    bool low = h.open_low ? value >= std::max(h.low, static_cast<double>(std::numeric_limits<float>::min())) : value >= h.low;
    bool high = h.open_high ? value < h.high : value <= h.high;
    if (!std::isfinite(value) || !low || !high) {
      fail("hyper-parameter '%s' (%s) is %g; it must be finite and in %c%g, %g%c", p_.hypers[static_cast<size_t>(op_.h[k])].name.c_str(), h.name,
           value, h.open_low ? '(' : '[', h.low, h.high, h.open_high ? ')' : ']');
    }
    if (std::abs(value) > kFloatMax) {
      fail("hyper-parameter '%s' (%s) is %g, which is beyond float32", p_.hypers[static_cast<size_t>(op_.h[k])].name.c_str(), h.name, value);
    }
  }

  // `value(slot)` is what a hyper-parameter slot holds.
  template <typename Value>
  void together(Value value) const {
    if (op_.code == UNIFIEDRL_OP_ADAM && !(value(op_.h[0]) * value(op_.h[4]) <= 1)) {
      fail("rate %g times decay %g is more than 1: decay would turn parameters around instead of shrinking them", value(op_.h[0]), value(op_.h[4]));
    }
    if (s_.hypers.size() == 2 && std::strcmp(s_.hypers[0].name, "low") == 0 && !(value(op_.h[0]) <= value(op_.h[1]))) {
      fail("low is %g and high is %g: low may be at most high", value(op_.h[0]), value(op_.h[1]));
    }
  }

 private:
  const Program& p_;
  const Op& op_;
  const Signature& s_;

  [[noreturn, gnu::format(printf, 2, 3)]] void fail(const char* pattern, ...) const {
    va_list arguments;
    va_start(arguments, pattern);
    std::string text = vformat(pattern, arguments);
    va_end(arguments);
    throw Error(UNIFIEDRL_INVALID_ARGUMENT, format("op '%s' (%s): ", op_.name.c_str(), s_.name) + text);
  }

  void count(const char* what, size_t found, size_t expected) const {
    if (found != expected) {
      fail("%zu %s given, %zu expected", found, what, expected);
    }
  }

  void tensor(size_t k) const {
    const TensorSlot& slot = s_.tensors[k];
    int32_t id = op_.t[k];
    if (id == UNIFIEDRL_NONE && slot.optional) {
      return;
    }
    if (id < 0 || static_cast<size_t>(id) >= p_.tensors.size()) {
      fail("%s is tensor %d, but tensors 0 to %d are defined: add the tensor first%s", slot.name, id, static_cast<int>(p_.tensors.size()) - 1,
           slot.optional ? ", or pass none (-1)" : "");
    }
    const Tensor& t = p_.tensors[static_cast<size_t>(id)];
    if ((slot.kinds >> t.kind & 1) == 0) {
      std::string kinds;
      for (unsigned kind = 0; kind < 5; ++kind) {
        kinds += (slot.kinds >> kind & 1) == 0 ? "" : (kinds.empty() ? "" : " or ") + std::string(kKindNames[kind]);
      }
      fail("%s is tensor '%s' of kind %s, but kind %s is needed", slot.name, t.name.c_str(), kKindNames[t.kind], kinds.c_str());
    }
    if (slot.use == kIn && t.kind != UNIFIEDRL_TENSOR_CONSTANT && t.producer < 0) {
      fail("%s is tensor '%s', which no earlier op writes: move the op that writes it in front", slot.name, t.name.c_str());
    }
    if (slot.use == kOut) {
      if (t.producer >= 0) {
        fail("%s is tensor '%s', which op '%s' writes already: a tensor is written by exactly one op, so add another tensor", slot.name,
             t.name.c_str(), p_.ops[static_cast<size_t>(t.producer)].name.c_str());
      }
      for (size_t other = 0; other < k; ++other) {
        if (s_.tensors[other].use == kOut && op_.t[other] == id) {
          fail("%s and %s are the same tensor '%s': give each output its own", s_.tensors[other].name, slot.name, t.name.c_str());
        }
      }
    }
  }

  bool has(size_t k) const { return op_.t[k] != UNIFIEDRL_NONE; }
  const Tensor& t(size_t k) const { return p_.tensors[static_cast<size_t>(op_.t[k])]; }
  const Network& n(size_t k) const { return p_.networks[static_cast<size_t>(op_.n[k])]; }

  void shape(size_t k, int64_t members, int64_t rows, int64_t columns) const {
    if (!has(k)) {
      return;
    }
    const Tensor& x = t(k);
    if (x.members != members || x.rows != rows || x.columns != columns) {
      fail("%s is tensor '%s' [%lld, %lld, %lld], but [%lld, %lld, %lld] is needed: make it that shape", s_.tensors[k].name, x.name.c_str(),
           ll(x.members), ll(x.rows), ll(x.columns), ll(members), ll(rows), ll(columns));
    }
  }

  void integer(size_t k, int64_t low, int64_t high) const {
    if (op_.i[k] < low || op_.i[k] > high) {
      fail("%s is %lld; it must be in [%lld, %lld]", s_.integers[k], ll(op_.i[k]), ll(low), ll(high));
    }
  }

  int64_t groups(const Tensor& q) const {
    integer(0, 1, q.members);
    if (q.members % op_.i[0] != 0) {
      fail("m is %lld, which does not divide the %lld members of tensor '%s'", ll(op_.i[0]), ll(q.members), q.name.c_str());
    }
    return q.members / op_.i[0];
  }

  // The forward pass that a backward pass undoes: same network, same x and tape, parameters unchanged since.
  void forward_of(int32_t x, int32_t y, int32_t tape) const {
    const Tensor& output = p_.tensors[static_cast<size_t>(y)];
    const Op& forward = p_.ops[static_cast<size_t>(output.producer)];
    if (forward.code != UNIFIEDRL_OP_MLP_FORWARD || forward.n[0] != op_.n[0]) {
      fail("y is tensor '%s', which op '%s' writes; it must come from a forward pass of network '%s'", output.name.c_str(), forward.name.c_str(),
           n(0).name.c_str());
    }
    if (x != UNIFIEDRL_NONE && x != forward.t[0]) {
      fail("x is tensor '%s', but op '%s', which wrote y, read '%s': pass that one", p_.tensors[static_cast<size_t>(x)].name.c_str(),
           forward.name.c_str(), p_.tensors[static_cast<size_t>(forward.t[0])].name.c_str());
    }
    if (tape != forward.t[2] || (tape == UNIFIEDRL_NONE && n(0).hidden() > 0)) {
      fail("the tape is not the one that op '%s', which wrote y, leaves: give both ops the same tape tensor", forward.name.c_str());
    }
    unchanged_since(static_cast<size_t>(output.producer));
  }

  // Tensor k, unless it is none, has the shape of tensor like.
  void same(size_t k, size_t like) const { shape(k, t(like).members, t(like).rows, t(like).columns); }

  void broadcast(size_t k, size_t out) const {
    if (has(k)) {
      shape(k, t(k).members == 1 ? 1 : t(out).members, t(k).rows == 1 ? 1 : t(out).rows, t(k).columns == 1 ? 1 : t(out).columns);
    }
  }

  // Tensor 0 holds mean and log_std of what tensor k has.
  void gaussian(size_t k) const { shape(0, t(k).members, t(k).rows, 2 * t(k).columns); }

  void affine(const Tensor& x) const {
    if (n(0).layers.size() != 1 || n(0).inputs() != 1 || n(0).outputs() != x.columns || n(0).members != x.members || n(0).activation != UNIFIEDRL_LINEAR) {
      fail("network '%s' must be linear with %lld members and sizes (1, %lld): its weight is the gain, its bias the bias", n(0).name.c_str(),
           ll(x.members), ll(x.columns));
    }
  }

  // The layer_norm that a backward pass undoes.
  void normalised() const {
    const Op& forward = p_.ops[static_cast<size_t>(t(1).producer)];
    if (forward.code != UNIFIEDRL_OP_LAYER_NORM || forward.n[0] != op_.n[0] || forward.t[0] != op_.t[0] || forward.i[0] != op_.i[0]) {
      fail("stat is tensor '%s', which op '%s' writes; it must come from the layer_norm of the same x, network and relu", t(1).name.c_str(),
           forward.name.c_str());
    }
    unchanged_since(static_cast<size_t>(t(1).producer));
  }

  // Gradients that this op adds to: formed in this step and not used yet.
  void adds_to_gradients() const {
    for (size_t k = p_.ops.size(); k-- > 0;) {
      const Op& o = p_.ops[k];
      if (o.code == UNIFIEDRL_OP_ADAM && o.n[0] == op_.n[0]) {
        break;
      }
      if (o.code == UNIFIEDRL_OP_MLP_BACKWARD && o.n[0] == op_.n[0]) {
        return;
      }
    }
    fail("no op forms gradients of network '%s' that this one could add to: put its mlp_backward in front", n(0).name.c_str());
  }

  // Whether network 0 still has the parameters that op `first` used.
  void unchanged_since(size_t first) const {
    for (size_t k = first + 1; k < p_.ops.size(); ++k) {
      const Op& between = p_.ops[k];
      if ((between.code == UNIFIEDRL_OP_ADAM || between.code == UNIFIEDRL_OP_SOFT_UPDATE) && between.n[0] == op_.n[0]) {
        fail("op '%s' changes network '%s' between op '%s' and this backward pass: run the backward pass first", between.name.c_str(),
             n(0).name.c_str(), p_.ops[first].name.c_str());
      }
    }
  }

  void shapes() const {
    switch (op_.code) {
      case UNIFIEDRL_OP_SAMPLE:
        integer(0, 0, std::numeric_limits<int32_t>::max());
        shape(0, 1, t(0).rows, 1);
        if (t(0).rows > kMaxDraws) {
          fail("rows is tensor '%s' with %lld rows; at most 2^24 are drawn at once, so that no two draws share a counter", t(0).name.c_str(),
               ll(t(0).rows));
        }
        break;
      case UNIFIEDRL_OP_GATHER:
        integer(0, UNIFIEDRL_LAST_COLUMN, std::numeric_limits<int32_t>::max());
        if (op_.i[0] == -1) {
          fail("column is -1; columns count from 0, and the last-of-session flag is column %d", UNIFIEDRL_LAST_COLUMN);
        }
        integer(1, 0, 1);
        shape(1, 1, 1, t(3).columns);
        shape(2, 1, 1, t(3).columns);
        shape(3, 1, t(0).rows, op_.i[0] == UNIFIEDRL_LAST_COLUMN ? 1 : t(3).columns);
        break;
      case UNIFIEDRL_OP_CONCAT:
        shape(1, t(0).members, t(0).rows, t(1).columns);
        shape(2, t(0).members, t(0).rows, t(0).columns + t(1).columns);
        break;
      case UNIFIEDRL_OP_MLP_FORWARD:
        shape(0, t(0).members == 1 ? 1 : n(0).members, t(0).rows, n(0).inputs());
        shape(1, n(0).members, t(0).rows, n(0).outputs());
        shape(2, n(0).members, t(0).rows, n(0).hidden());
        break;
      case UNIFIEDRL_OP_MLP_BACKWARD:
        forward_of(op_.t[0], op_.t[1], op_.t[2]);
        shape(3, n(0).members, t(0).rows, n(0).outputs());
        break;
      case UNIFIEDRL_OP_MLP_BACKWARD_INPUT:
        forward_of(UNIFIEDRL_NONE, op_.t[0], op_.t[1]);
        shape(2, n(0).members, t(0).rows, n(0).outputs());
        integer(0, 0, n(0).inputs() - 1);
        if (t(3).columns > n(0).inputs() - op_.i[0]) {
          fail("dx is tensor '%s' with %lld columns from input %lld on, but network '%s' has %lld inputs", t(3).name.c_str(), ll(t(3).columns),
               ll(op_.i[0]), n(0).name.c_str(), ll(n(0).inputs()));
        }
        shape(3, n(0).members, t(0).rows, t(3).columns);
        break;
      case UNIFIEDRL_OP_MEMBER_SUM:
        shape(1, 1, t(0).rows, t(0).columns);
        break;
      case UNIFIEDRL_OP_ADD:
        shape(1, t(0).members, t(0).rows, t(0).columns);
        shape(2, t(0).members, t(0).rows, t(0).columns);
        break;
      case UNIFIEDRL_OP_ATTENUATION:
        for (size_t k = 0; k < 3; ++k) {
          shape(k, 1, t(0).rows, t(0).columns);
        }
        shape(3, 1, t(0).rows, 1);
        break;
      case UNIFIEDRL_OP_TD_TARGET:
        shape(3, t(3).members, t(3).rows, 1);
        shape(0, 1, t(3).rows, groups(t(3)));
        shape(1, 1, t(3).rows, 1);
        shape(2, 1, t(3).rows, 1);
        shape(4, t(3).members, t(3).rows, 1);
        break;
      case UNIFIEDRL_OP_SQUARED_ERROR:
        for (size_t k = 0; k < 3; ++k) {
          shape(k, t(0).members, t(0).rows, 1);
        }
        shape(3, t(0).members, 1, 1);
        break;
      case UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE: {
        int64_t g = groups(t(0));
        shape(0, t(0).members, t(0).rows, 1);
        shape(1, 1, 1, g);
        shape(2, t(0).members, t(0).rows, 1);
        shape(3, 1, t(0).rows, g);
        shape(4, 1, t(0).rows, g);
        break;
      }
      case UNIFIEDRL_OP_BOX_PENALTY:
        integer(0, 0, 1);
        for (size_t k = 0; k < 4; ++k) {
          shape(k, 1, t(0).rows, t(0).columns);
        }
        shape(4, 1, t(0).rows, 1);
        shape(5, 1, t(0).rows, 1);
        break;
      case UNIFIEDRL_OP_ADAM:
        if (std::none_of(p_.ops.begin(), p_.ops.end(),
                         [&](const Op& o) { return forms_gradients(o) && o.n[0] == op_.n[0]; })) {
          fail("no earlier op forms gradients of network '%s': put its mlp_backward in front", n(0).name.c_str());
        }
        integer(0, 1, std::numeric_limits<int64_t>::max());
        shape(0, n(0).members, 1, 1);
        break;
      case UNIFIEDRL_OP_SOFT_UPDATE: {
        const Network &target = n(0), &source = n(1);
        integer(0, 1, std::numeric_limits<int64_t>::max());
        bool same = op_.n[0] != op_.n[1] && target.members == source.members && target.layers.size() == source.layers.size() &&
                    target.activation == source.activation;
        for (size_t l = 0; same && l < target.layers.size(); ++l) {
          same = target.layers[l].in == source.layers[l].in && target.layers[l].out == source.layers[l].out;
        }
        if (!same) {
          fail("target '%s' and source '%s' must be two networks of the same shape", target.name.c_str(), source.name.c_str());
        }
        break;
      }
      case UNIFIEDRL_OP_METRIC:
        integer(0, 0, kMaxMetricSlots - 1);
        for (const Op& o : p_.ops) {
          if (o.code == UNIFIEDRL_OP_METRIC && o.i[0] == op_.i[0]) {
            fail("metric slot %lld is written by op '%s' already: choose another slot", ll(op_.i[0]), o.name.c_str());
          }
        }
        break;
      case UNIFIEDRL_OP_NOISE:
        integer(0, 0, std::numeric_limits<int32_t>::max());
        integer(1, 0, 1);
        if (t(0).elements() > kMaxDraws) {
          fail("out is tensor '%s' with %lld elements; at most 2^24 are drawn at once, so that no two draws share a counter", t(0).name.c_str(),
               ll(t(0).elements()));
        }
        break;
      case UNIFIEDRL_OP_CLIP:
        same(1, 0);
        same(2, 0);
        break;
      case UNIFIEDRL_OP_COMBINE:
      case UNIFIEDRL_OP_MULTIPLY:
        broadcast(0, 2);
        broadcast(1, 2);
        break;
      case UNIFIEDRL_OP_GROUP_EXTREME:
        shape(1, groups(t(0)), t(0).rows, t(0).columns);
        same(2, 0);
        break;
      case UNIFIEDRL_OP_ROW_REDUCE:
        integer(0, 1, t(0).rows);
        integer(1, UNIFIEDRL_SUM, UNIFIEDRL_LOG_SUM_EXP);
        if (t(0).rows % op_.i[0] != 0) {
          fail("n is %lld, which does not divide the %lld rows of tensor '%s'", ll(op_.i[0]), ll(t(0).rows), t(0).name.c_str());
        }
        shape(1, t(0).members, t(0).rows / op_.i[0], t(1).columns == 1 ? 1 : t(0).columns);
        same(2, 0);
        break;
      case UNIFIEDRL_OP_REPEAT:
        integer(0, 1, kMaxElements / t(0).rows);
        shape(1, t(0).members, t(0).rows * op_.i[0], t(0).columns);
        break;
      case UNIFIEDRL_OP_CONCAT_ROWS:
        shape(1, t(0).members, t(1).rows, t(0).columns);
        shape(2, t(0).members, t(0).rows + t(1).rows, t(0).columns);
        break;
      case UNIFIEDRL_OP_SLICE: {
        const Tensor &x = t(0), &out = t(1);
        const int64_t whole[] = {x.members, x.rows, x.columns}, part[] = {out.members, out.rows, out.columns};
        for (size_t k = 0; k < 3; ++k) {
          integer(k, 0, whole[k] - 1);
          if (part[k] > whole[k] - op_.i[k]) {
            fail("out is tensor '%s' [%lld, %lld, %lld] and %s is %lld, but x is tensor '%s' [%lld, %lld, %lld]: the slice leaves it", out.name.c_str(),
                 ll(part[0]), ll(part[1]), ll(part[2]), s_.integers[k], ll(op_.i[k]), x.name.c_str(), ll(whole[0]), ll(whole[1]), ll(whole[2]));
          }
        }
        break;
      }
      case UNIFIEDRL_OP_RESHAPE:
        if (t(0).members != t(1).members || t(0).rows * t(0).columns != t(1).rows * t(1).columns) {
          fail("x is tensor '%s' [%lld, %lld, %lld] and out '%s' [%lld, %lld, %lld]: they must have the same members, and as many elements in each",
               t(0).name.c_str(), ll(t(0).members), ll(t(0).rows), ll(t(0).columns), t(1).name.c_str(), ll(t(1).members), ll(t(1).rows),
               ll(t(1).columns));
        }
        break;
      case UNIFIEDRL_OP_GAUSSIAN_SAMPLE:
        integer(0, 0, 1);
        gaussian(1);
        same(2, 1);
        shape(3, t(1).members, t(1).rows, 1);
        break;
      case UNIFIEDRL_OP_GAUSSIAN_SAMPLE_BACKWARD:
        integer(0, 0, 1);
        gaussian(1);
        same(2, 1);
        same(3, 1);
        shape(4, t(1).members, t(1).rows, 1);
        same(5, 0);
        if (!has(3) && !has(4)) {
          fail("daction and dlog_prob are both none: give one of them");
        }
        break;
      case UNIFIEDRL_OP_GAUSSIAN_LOG_PROB:
        integer(0, 0, 1);
        shape(0, t(0).members, t(0).rows, 2 * t(1).columns);
        shape(1, t(1).members == 1 ? 1 : t(0).members, t(0).rows, t(1).columns);
        shape(2, t(0).members, t(0).rows, 1);
        same(3, 0);
        break;
      case UNIFIEDRL_OP_GAUSSIAN_KL:
        if (t(0).columns % 2 != 0) {
          fail("head is tensor '%s' with %lld columns; it has means and as many log_std", t(0).name.c_str(), ll(t(0).columns));
        }
        shape(1, t(0).members, t(0).rows, 1);
        same(2, 0);
        break;
      case UNIFIEDRL_OP_EXP_WEIGHT:
        same(1, 0);
        same(2, 0);
        break;
      case UNIFIEDRL_OP_EXPECTILE:
        shape(1, t(1).members, t(1).rows, 1);
        shape(0, t(0).members == 1 ? 1 : t(1).members, t(1).rows, 1);
        same(2, 1);
        same(3, 1);
        break;
      case UNIFIEDRL_OP_NORMALISER:
        shape(1, 1, 1, 1);
        break;
      case UNIFIEDRL_OP_LAYER_NORM:
        integer(0, 0, 1);
        affine(t(0));
        same(1, 0);
        shape(2, t(0).members, t(0).rows, 2);
        break;
      case UNIFIEDRL_OP_LAYER_NORM_BACKWARD:
        integer(0, 0, 1);
        integer(1, 0, 1);
        affine(t(0));
        normalised();
        same(2, 0);
        same(3, 0);
        break;
      case UNIFIEDRL_OP_DIVERSITY:
        if (t(0).members < 2) {
          fail("g is tensor '%s' with one member; similarity needs 2 or more", t(0).name.c_str());
        }
        shape(1, 1, t(0).rows, 1);
        same(2, 0);
        break;
      case UNIFIEDRL_OP_MLP_BACKWARD_TANGENT:
        forward_of(UNIFIEDRL_NONE, op_.t[0], op_.t[1]);
        if (n(0).activation != UNIFIEDRL_LINEAR) {
          fail("network '%s' ends in tanh; second derivatives are formed of linear outputs only", n(0).name.c_str());
        }
        shape(2, n(0).members, t(0).rows, n(0).outputs());
        integer(0, 0, n(0).inputs() - 1);
        shape(3, n(0).members, t(0).rows, std::min(t(3).columns, n(0).inputs() - op_.i[0]));
        adds_to_gradients();
        break;
    }
  }
};

std::vector<int32_t> used(const Op& op, Use use) {
  std::vector<int32_t> result;
  const Signature* s = signature(op.code);
  for (size_t k = 0; k < op.t.size(); ++k) {
    if (op.t[k] != UNIFIEDRL_NONE && s->tensors[k].use == use) {
      result.push_back(op.t[k]);
    }
  }
  return result;
}

}  // namespace

int32_t Program::add_tensor(const std::string& name, int32_t kind, int64_t members, int64_t rows, int64_t columns) {
  check_name("tensor", name, tensors.size());
  if (kind < UNIFIEDRL_TENSOR_WORK || kind > UNIFIEDRL_TENSOR_SIGNS) {
    fail_argument("tensor '%s' has the unknown kind %d; kinds are 0 to %d", name.c_str(), kind, UNIFIEDRL_TENSOR_SIGNS);
  }
  if (members < 1 || rows < 1 || columns < 1) {
    fail_argument("tensor '%s' has the shape [%lld, %lld, %lld]; every size must be at least 1", name.c_str(), ll(members), ll(rows), ll(columns));
  }
  product(product(members, rows, "tensor", name), columns, "tensor", name);
  Tensor tensor;
  tensor.name = name;
  tensor.kind = kind;
  tensor.members = members;
  tensor.rows = rows;
  tensor.columns = columns;
  tensors.push_back(std::move(tensor));
  return static_cast<int32_t>(tensors.size() - 1);
}

int32_t Program::add_network(const std::string& name, int64_t members, const std::vector<int64_t>& sizes, int32_t activation) {
  check_name("network", name, networks.size());
  if (members < 1) {
    fail_argument("network '%s' has %lld members; at least 1 is needed", name.c_str(), ll(members));
  }
  if (sizes.size() < 2 || sizes.size() > 8) {
    fail_argument("network '%s' has %zu sizes; 2 to 8 are needed: inputs, hidden layers, outputs", name.c_str(), sizes.size());
  }
  if (activation != UNIFIEDRL_LINEAR && activation != UNIFIEDRL_TANH) {
    fail_argument("network '%s' has the unknown activation %d; 0 is linear, 1 is tanh", name.c_str(), activation);
  }
  Network network;
  network.name = name;
  network.members = members;
  network.activation = activation;
  for (size_t l = 0; l + 1 < sizes.size(); ++l) {
    if (sizes[l] < 1 || sizes[l + 1] < 1) {
      fail_argument("network '%s' has a layer of %lld x %lld; every size must be at least 1", name.c_str(), ll(sizes[l]), ll(sizes[l + 1]));
    }
    Layer layer;
    layer.in = sizes[l];
    layer.out = sizes[l + 1];
    layer.weight = network.size;
    layer.bias = layer.weight + product(members, product(layer.in, layer.out, "network", name), "network", name);
    network.size = product(layer.bias + product(members, layer.out, "network", name), 1, "network", name);
    network.layers.push_back(layer);
  }
  networks.push_back(std::move(network));
  return static_cast<int32_t>(networks.size() - 1);
}

int32_t Program::add_hyper(const std::string& name, double value) {
  check_name("hyper-parameter", name, hypers.size());
  if (!std::isfinite(value)) {
    fail_argument("hyper-parameter '%s' is %g; it must be finite", name.c_str(), value);
  }
  hypers.push_back({name, value});
  return static_cast<int32_t>(hypers.size() - 1);
}

void Program::add_op(Op op) {
  check_name("op", op.name, ops.size());
  const Signature* s = signature(op.code);
  if (s == nullptr) {
    fail_argument("op '%s' has the unknown code %d; codes are %d to %d", op.name.c_str(), op.code, UNIFIEDRL_OP_SAMPLE, UNIFIEDRL_LAST_OP);
  }
  Check(*this, op, *s).all();
  ops.push_back(std::move(op));
  const Op& added = ops.back();
  for (int32_t id : op_outputs(added)) {
    tensors[static_cast<size_t>(id)].producer = static_cast<int32_t>(ops.size() - 1);
  }
  if (added.code == UNIFIEDRL_OP_ADAM || forms_gradients(added)) {
    networks[static_cast<size_t>(added.n[0])].trained = true;
  }
  if (added.code == UNIFIEDRL_OP_METRIC) {
    metric_slots = std::max(metric_slots, static_cast<int32_t>(added.i[0]) + 1);
  }
}

void Program::check_hyper(int32_t id, double value, const std::vector<double>& values) const {
  for (const Op& op : ops) {
    for (size_t k = 0; k < op.h.size(); ++k) {
      if (op.h[k] == id) {
        Check check(*this, op, *signature(op.code));
        check.hyper(k, value);
        check.together([&](int32_t slot) { return slot == id ? value : values[static_cast<size_t>(slot)]; });
      }
    }
  }
  if (!std::isfinite(value)) {
    fail_argument("hyper-parameter '%s' is %g; it must be finite", hypers[static_cast<size_t>(id)].name.c_str(), value);
  }
}

void Program::check_replay(const Replay* replay) const {
  for (const Op& op : ops) {
    if (op.code != UNIFIEDRL_OP_SAMPLE && op.code != UNIFIEDRL_OP_GATHER) {
      continue;
    }
    if (replay == nullptr || replay->rows() == 0) {
      fail_argument("op '%s' (%s) needs a replay with rows, but %s was given", op.name.c_str(), op_name(op.code),
                    replay == nullptr ? "none" : "an empty one");
    }
    if (op.code == UNIFIEDRL_OP_GATHER && op.i[0] != UNIFIEDRL_LAST_COLUMN) {
      const Tensor& out = tensors[static_cast<size_t>(op.t[3])];
      size_t column = static_cast<size_t>(op.i[0]);
      if (column >= replay->widths().size()) {
        fail_argument("op '%s' (gather) reads replay column %zu, but the replay has columns 0 to %zu", op.name.c_str(), column,
                      replay->widths().size() - 1);
      }
      if (replay->widths()[column] != out.columns) {
        fail_argument("op '%s' (gather): replay column %zu is %lld wide, but tensor '%s' has %lld columns: make them equal", op.name.c_str(), column,
                      ll(replay->widths()[column]), out.name.c_str(), ll(out.columns));
      }
    }
  }
}

const char* op_name(int32_t code) {
  const Signature* s = signature(code);
  return s == nullptr ? "?" : s->name;
}

bool forms_gradients(const Op& op) {
  return op.code == UNIFIEDRL_OP_MLP_BACKWARD || (op.code == UNIFIEDRL_OP_LAYER_NORM_BACKWARD && op.i[1] == 1);
}

std::vector<int32_t> op_inputs(const Op& op) { return used(op, kIn); }
std::vector<int32_t> op_outputs(const Op& op) { return used(op, kOut); }

}  // namespace unifiedrl
