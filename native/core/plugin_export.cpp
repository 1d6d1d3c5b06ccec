// A back end of this code base as the table of its library. Nothing thrown passes.
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <vector>

#include "core/error.h"
#include "core/plugin.h"

// What the opaque handle leads to. The executor may refer to the program and the replay.
struct unifiedrl_backend_executor {
  unifiedrl::Program program;
  std::unique_ptr<unifiedrl::Replay, unifiedrl::Replay::Release> replay;
  std::unique_ptr<unifiedrl::Executor> executor;
};

namespace unifiedrl {
namespace {

const Backend* exported;

void write(char* text, int64_t size, const char* what) noexcept {
  if (text != nullptr && size > 0) {
    std::snprintf(text, static_cast<size_t>(size), "%s", what);
  }
}

template <typename Body>
int32_t guarded(char* text, int64_t size, Body body) noexcept {
  try {
    body();
    return UNIFIEDRL_OK;
  } catch (const Error& error) {
    write(text, size, error.text().c_str());
    return error.status();
  } catch (const std::bad_alloc&) {
    write(text, size, "the system gave no more memory: use a smaller batch, network or ensemble");
    return UNIFIEDRL_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    write(text, size, error.what());
    return UNIFIEDRL_INTERNAL;
  } catch (...) {
    write(text, size, "an exception of unknown type");
    return UNIFIEDRL_INTERNAL;
  }
}

Program program_of(const unifiedrl_backend_program& from) {
  Program program;
  for (int32_t k = 0; k < from.tensor_count; ++k) {
    const unifiedrl_backend_tensor& t = from.tensors[k];
    program.add_tensor(t.name, t.kind, t.members, t.rows, t.columns);
  }
  for (int32_t k = 0; k < from.network_count; ++k) {
    const unifiedrl_backend_network& n = from.networks[k];
    program.add_network(n.name, n.members, std::vector<int64_t>(n.sizes, n.sizes + n.size_count), n.activation);
  }
  for (int32_t k = 0; k < from.hyper_count; ++k) {
    program.add_hyper(from.hypers[k].name, from.hypers[k].value);
  }
  for (int32_t k = 0; k < from.op_count; ++k) {
    const unifiedrl_backend_op& o = from.ops[k];
    Op op;
    op.name = o.name;
    op.code = o.op;
    op.t.assign(o.tensors, o.tensors + o.tensor_count);
    op.n.assign(o.networks, o.networks + o.network_count);
    op.i.assign(o.integers, o.integers + o.integer_count);
    op.h.assign(o.hypers, o.hypers + o.hyper_count);
    program.add_op(std::move(op));
  }
  return program;
}

std::unique_ptr<Replay, Replay::Release> replay_of(const unifiedrl_backend_replay& from) {
  std::unique_ptr<Replay, Replay::Release> replay(new Replay(std::vector<int64_t>(from.widths, from.widths + from.column_count)));
  for (int64_t k = 0; k < from.segment_count; ++k) {
    replay->add(from.segments[k].columns, from.segments[k].last, from.segments[k].rows);
  }
  return replay;
}

int32_t score() {
  int32_t result = 0;
  guarded(nullptr, 0, [&] { result = exported->score(); });
  return result;
}

void description(char* text, int64_t size) {
  guarded(text, size, [&] { write(text, size, exported->description().c_str()); });
}

int32_t supports(int32_t op) {
  int32_t result = 0;
  guarded(nullptr, 0, [&] { result = exported->supports(op) ? 1 : 0; });
  return result;
}

double tolerance(int32_t op) {
  double result = 0;
  guarded(nullptr, 0, [&] { result = exported->tolerance(op); });
  return result;
}

int32_t create(const unifiedrl_backend_program* program, const unifiedrl_backend_replay* replay, const unifiedrl_options* options,
               unifiedrl_backend_executor** executor, char* text, int64_t size) {
  return guarded(text, size, [&] {
    auto created = std::make_unique<unifiedrl_backend_executor>();
    created->program = program_of(*program);
    if (replay != nullptr) {
      created->replay = replay_of(*replay);
    }
    created->program.check_replay(created->replay.get());
    created->executor = exported->create(created->program, created->replay.get(), *options);
    *executor = created.release();
  });
}

void close(unifiedrl_backend_executor* executor) {
  guarded(nullptr, 0, [&] { delete executor; });
}

int32_t run(unifiedrl_backend_executor* executor, unifiedrl_backend_run* run, char* text, int64_t size) {
  Run inner{run->first_step, run->steps, run->seed, run->hypers, run->metrics, static_cast<size_t>(run->first_op), static_cast<size_t>(run->last_op)};
  int32_t status = guarded(text, size, [&] { executor->executor->run(inner); });
  run->completed = inner.completed;
  return status;
}

int64_t bytes(const unifiedrl_backend_executor* executor) {
  int64_t result = 0;
  guarded(nullptr, 0, [&] { result = executor->executor->bytes(); });
  return result;
}

void executor_description(const unifiedrl_backend_executor* executor, char* text, int64_t size) {
  guarded(text, size, [&] { write(text, size, executor->executor->description().c_str()); });
}

template <typename T>
int32_t read_network(const unifiedrl_backend_executor* executor, int32_t network, int32_t section, T* destination, char* text, int64_t size) {
  return guarded(text, size, [&] { executor->executor->read_network(network, section, destination); });
}

template <typename T>
int32_t write_network(unifiedrl_backend_executor* executor, int32_t network, int32_t section, const T* source, char* text, int64_t size) {
  return guarded(text, size, [&] { executor->executor->write_network(network, section, source); });
}

int32_t read_tensor(const unifiedrl_backend_executor* executor, int32_t tensor, double* destination, char* text, int64_t size) {
  return guarded(text, size, [&] { executor->executor->read_tensor(tensor, destination); });
}

int32_t write_tensor(unifiedrl_backend_executor* executor, int32_t tensor, const double* source, char* text, int64_t size) {
  return guarded(text, size, [&] { executor->executor->write_tensor(tensor, source); });
}

}  // namespace

const unifiedrl_backend_table* export_backend(const Backend& backend) {
  static const unifiedrl_backend_table table = [&] {
    exported = &backend;
    unifiedrl_backend_table t = {};
    t.abi_version = UNIFIEDRL_ABI_VERSION;
    t.automatic = backend.automatic ? 1 : 0;
    t.score = score;
    t.description = description;
    t.supports = supports;
    t.tolerance = backend.tolerance ? tolerance : nullptr;
    t.create = create;
    t.close = close;
    t.run = run;
    t.bytes = bytes;
    t.executor_description = executor_description;
    t.read_network = read_network<float>;
    t.write_network = write_network<float>;
    t.read_network64 = read_network<double>;
    t.write_network64 = write_network<double>;
    t.read_tensor = read_tensor;
    t.write_tensor = write_tensor;
    return t;
  }();
  return &table;
}

}  // namespace unifiedrl
