// A library's table as a back end of the engine. Its functions get plain arrays, and their failures become exceptions again.
#include <dlfcn.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/error.h"
#include "core/plugin.h"

namespace unifiedrl {
namespace {

using Table = unifiedrl_backend_table;

// Calls a function of the table that can fail; its text goes behind the arguments. On the stack: run() must not allocate.
template <typename Function, typename... Arguments>
void call(Function function, Arguments... arguments) {
  char text[4096];
  text[0] = 0;
  int32_t status = function(arguments..., text, static_cast<int64_t>(sizeof text));
  if (status != UNIFIEDRL_OK) {
    text[sizeof text - 1] = 0;
    bool known = status > UNIFIEDRL_OK && status <= UNIFIEDRL_INTERNAL;
    throw known ? Error(status, text) : Error(UNIFIEDRL_INTERNAL, format("the back end's library gave the unknown status %d: %s", status, text));
  }
}

// The same for a function that only writes a text.
template <typename Function, typename... Arguments>
std::string text_of(Function function, Arguments... arguments) {
  char text[1024];
  text[0] = 0;
  function(arguments..., text, static_cast<int64_t>(sizeof text));
  text[sizeof text - 1] = 0;
  return text;
}

template <typename T>
int32_t count(const std::vector<T>& list) {
  return static_cast<int32_t>(list.size());
}

// A program as plain arrays, which lead into it.
struct ProgramView {
  std::vector<std::vector<int64_t>> sizes;
  std::vector<unifiedrl_backend_tensor> tensors;
  std::vector<unifiedrl_backend_network> networks;
  std::vector<unifiedrl_backend_hyper> hypers;
  std::vector<unifiedrl_backend_op> ops;

  explicit ProgramView(const Program& program) {
    for (const Tensor& t : program.tensors) {
      tensors.push_back({t.name.c_str(), t.kind, t.members, t.rows, t.columns});
    }
    for (const Network& n : program.networks) {
      std::vector<int64_t> list = {n.inputs()};
      for (const Layer& layer : n.layers) {
        list.push_back(layer.out);
      }
      sizes.push_back(std::move(list));
      networks.push_back({n.name.c_str(), n.members, sizes.back().data(), count(sizes.back()), n.activation});
    }
    for (const Hyper& h : program.hypers) {
      hypers.push_back({h.name.c_str(), h.value});
    }
    for (const Op& o : program.ops) {
      ops.push_back({o.name.c_str(), o.code, count(o.t), count(o.n), count(o.i), count(o.h), o.t.data(), o.n.data(), o.i.data(), o.h.data()});
    }
  }

  unifiedrl_backend_program get() const {
    return {tensors.data(), networks.data(), hypers.data(), ops.data(), count(tensors), count(networks), count(hypers), count(ops)};
  }
};

class LoadedExecutor final : public Executor {
 public:
  LoadedExecutor(const Table& table, const Program& program, const Replay* replay, const unifiedrl_options& options) : table_(table) {
    ProgramView view(program);
    unifiedrl_backend_program plain = view.get();
    std::vector<unifiedrl_backend_segment> segments;
    unifiedrl_backend_replay rows = {};
    if (replay != nullptr) {
      for (const Replay::Segment& s : replay->segments()) {
        segments.push_back({s.columns.data(), s.last, s.rows});
      }
      rows = {replay->widths().data(), segments.data(), static_cast<int64_t>(replay->widths().size()), static_cast<int64_t>(segments.size())};
    }
    unifiedrl_options known = options;
    known.size = static_cast<int32_t>(sizeof known);
    call(table.create, &plain, replay == nullptr ? nullptr : &rows, &known, &executor_);
  }
  ~LoadedExecutor() override { table_.close(executor_); }

  void run(Run& run) override {
    unifiedrl_backend_run plain = {run.first_step,   run.steps, run.seed, run.hypers, run.metrics, static_cast<int64_t>(run.first_op),
                                   static_cast<int64_t>(run.last_op), 0};
    struct Completed {  // also on failure
      const unifiedrl_backend_run& plain;
      Run& run;
      ~Completed() { run.completed = std::clamp(plain.completed, int64_t{0}, run.steps); }
    } completed{plain, run};
    call(table_.run, executor_, &plain);
    if (plain.completed != run.steps) {
      throw Error(UNIFIEDRL_INTERNAL, format("the back end's library completed %lld of %lld steps, but reports no failure",
                                             static_cast<long long>(plain.completed), static_cast<long long>(run.steps)));
    }
  }

  int64_t bytes() const override { return table_.bytes(executor_); }
  std::string description() const override { return text_of(table_.executor_description, executor_); }
  void read_network(int32_t network, int32_t section, double* destination) const override {
    call(table_.read_network64, executor_, network, section, destination);
  }
  void write_network(int32_t network, int32_t section, const double* source) override {
    call(table_.write_network64, executor_, network, section, source);
  }
  void read_network(int32_t network, int32_t section, float* destination) const override {
    call(table_.read_network, executor_, network, section, destination);
  }
  void write_network(int32_t network, int32_t section, const float* source) override {
    call(table_.write_network, executor_, network, section, source);
  }
  void read_tensor(int32_t tensor, double* destination) const override { call(table_.read_tensor, executor_, tensor, destination); }
  void write_tensor(int32_t tensor, const double* source) override { call(table_.write_tensor, executor_, tensor, source); }

 private:
  const Table& table_;
  unifiedrl_backend_executor* executor_ = nullptr;
};

}  // namespace

Backend open_backend(const std::string& name, const std::string& path) {
  const auto refuse = [&](const std::string& reason) { return Error(UNIFIEDRL_UNAVAILABLE, "library '" + path + "' " + reason); };
  struct Close {
    void operator()(void* library) const { dlclose(library); }
  };
  // RTLD_NOW: what is missing must show here and not within a step. RTLD_LOCAL: what the library brings along is for itself.
  std::unique_ptr<void, Close> library(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (library == nullptr) {
    const char* reason = dlerror();
    throw refuse(std::string("does not load: ") + (reason == nullptr ? "no reason was given" : reason));
  }
  auto function = reinterpret_cast<unifiedrl_backend_function>(dlsym(library.get(), "unifiedrl_backend"));
  if (function == nullptr) {
    throw refuse("is not a back end: it has no function unifiedrl_backend");
  }
  const Table* table = function(UNIFIEDRL_ABI_VERSION);
  if (table == nullptr) {
    throw refuse(format("gives no table for version %d of unifiedrl_backend.h, which this engine needs", UNIFIEDRL_ABI_VERSION));
  }
  if (table->abi_version != UNIFIEDRL_ABI_VERSION) {
    throw refuse(format("has version %d of unifiedrl_backend.h, but this engine needs version %d: use the two of one release", table->abi_version,
                        UNIFIEDRL_ABI_VERSION));
  }
  const Table& t = *table;
  if (t.score == nullptr || t.description == nullptr || t.supports == nullptr || t.create == nullptr || t.close == nullptr || t.run == nullptr ||
      t.bytes == nullptr || t.executor_description == nullptr || t.read_network == nullptr || t.write_network == nullptr ||
      t.read_network64 == nullptr || t.write_network64 == nullptr || t.read_tensor == nullptr || t.write_tensor == nullptr) {
    throw refuse("gives a table that lacks a function; only tolerance may be NULL");
  }
  Backend backend;
  backend.abi_version = t.abi_version;
  backend.name = name;
  backend.score = t.score;
  backend.description = [table] { return text_of(table->description); };
  backend.supports = [table](int32_t op) { return table->supports(op) != 0; };
  backend.tolerance = t.tolerance;
  backend.automatic = t.automatic != 0;
  backend.create = [table](const Program& program, const Replay* replay, const unifiedrl_options& options) {
    return std::make_unique<LoadedExecutor>(*table, program, replay, options);
  };
  static_cast<void>(library.release());  // for the life of the process
  return backend;
}

}  // namespace unifiedrl
