// The C ABI: checks what crosses it, and turns exceptions into a status and a text. The serving functions are in cpu/policy.cpp, the measuring
// functions in cpu/measure.cpp.
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <unordered_map>

#include "core/backend.h"
#include "core/engine.h"
#include "core/error.h"
#include "core/handles.h"

using namespace unifiedrl;

namespace {

thread_local char error_text[4096];  // fixed, so that running out of memory can be reported too
thread_local char description_text[1024];

struct Handles {
  std::mutex mutex;
  std::unordered_map<const void*, Handle> kinds;
};

// Never destroyed: handles may be closed while the process exits.
Handles& handles() {
  static Handles* all = new Handles;
  return *all;
}

const char* const kHandleNames[] = {"program", "replay", "engine", "policy"};

int32_t record(int32_t status, const char* function, const char* text) noexcept {
  std::snprintf(error_text, sizeof error_text, "%s: %s", function, text);
  return status;
}

template <typename T>
T* required(T* pointer, const char* name) {
  if (pointer == nullptr) {
    fail_argument("%s is NULL", name);
  }
  return pointer;
}

const int32_t* ids(const int32_t* list, int32_t count, const char* name) {
  if (count < 0) {
    fail_argument("the number of %s is %d", name, count);
  }
  return count == 0 ? nullptr : required(list, name);
}

Program& program_of(const unifiedrl_program* handle) {
  check_handle(handle, Handle::kProgram);
  return *reinterpret_cast<Program*>(const_cast<unifiedrl_program*>(handle));
}

Replay& replay_of(const unifiedrl_replay* handle) {
  check_handle(handle, Handle::kReplay);
  return *reinterpret_cast<Replay*>(const_cast<unifiedrl_replay*>(handle));
}

Engine& engine_of(const unifiedrl_engine* handle) {
  check_handle(handle, Handle::kEngine);
  return *reinterpret_cast<Engine*>(const_cast<unifiedrl_engine*>(handle));
}

template <typename Object, typename Delete, typename Opaque>
void hand_out(std::unique_ptr<Object, Delete> object, Handle kind, Opaque** handle) {
  add_handle(object.get(), kind);
  *handle = reinterpret_cast<Opaque*>(object.release());
}

template <typename Object>
void close(const void* handle, Handle kind, const char* function) {
  guarded(function, [&] {
    if (handle == nullptr) {
      return;
    }
    check_handle(handle, kind);
    if (remove_handle(handle, kind)) {  // of two threads that close, one deletes
      delete static_cast<const Object*>(handle);
    }
  });
}

// For functions that return a number rather than a status: -1 on failure.
template <typename Body>
int64_t number(const char* function, Body body) noexcept {
  int64_t result = -1;
  guarded(function, [&] { result = body(); });
  return result;
}

const Backend& backend_at(int32_t index) {
  const std::vector<const Backend*> all = backends();
  if (index < 0 || static_cast<size_t>(index) >= all.size()) {
    fail_argument("back end %d does not exist; there are %zu", index, all.size());
  }
  return *all[static_cast<size_t>(index)];
}

}  // namespace

namespace unifiedrl {

void add_handle(const void* handle, Handle kind) {
  std::lock_guard<std::mutex> lock(handles().mutex);
  handles().kinds[handle] = kind;
}

bool remove_handle(const void* handle, Handle kind) {
  std::lock_guard<std::mutex> lock(handles().mutex);
  auto found = handles().kinds.find(handle);
  if (found == handles().kinds.end() || found->second != kind) {
    return false;
  }
  handles().kinds.erase(found);
  return true;
}

void check_handle(const void* handle, Handle kind) {
  const char* name = kHandleNames[static_cast<int>(kind)];
  if (handle == nullptr) {
    fail_argument("the %s is NULL", name);
  }
  std::lock_guard<std::mutex> lock(handles().mutex);
  auto found = handles().kinds.find(handle);
  if (found == handles().kinds.end()) {
    fail_argument("this %s is not open: it was closed, or never created", name);
  }
  if (found->second != kind) {
    fail_argument("expected the handle of a living %s, found that of a living %s", name, kHandleNames[static_cast<int>(found->second)]);
  }
}

int32_t current_failure(const char* function) noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return record(error.status(), function, error.text().c_str());
  } catch (const std::bad_alloc&) {
    return record(UNIFIEDRL_OUT_OF_MEMORY, function, "the system gave no more memory: use a smaller batch, network or ensemble");
  } catch (const std::exception& error) {
    return record(UNIFIEDRL_INTERNAL, function, error.what());
  } catch (...) {
    return record(UNIFIEDRL_INTERNAL, function, "an exception of unknown type");
  }
}

}  // namespace unifiedrl

int32_t unifiedrl_abi_version(void) { return UNIFIEDRL_ABI_VERSION; }

const char* unifiedrl_error(void) { return error_text; }

const char* unifiedrl_status_name(int32_t status) {
  static const char* const names[] = {"ok", "invalid argument", "out of memory", "unavailable", "not finite", "mismatch", "internal"};
  return status < 0 || status > UNIFIEDRL_INTERNAL ? "unknown" : names[status];
}

int32_t unifiedrl_backend_count(void) {
  return static_cast<int32_t>(number(__func__, [] { return static_cast<int64_t>(backends().size()); }));
}

const char* unifiedrl_backend_name(int32_t index) {
  const char* name = "";
  guarded(__func__, [&] { name = backend_at(index).name.c_str(); });
  return name;
}

int32_t unifiedrl_backend_score(int32_t index) {
  return static_cast<int32_t>(number(__func__, [&] { return backend_at(index).score(); }));
}

const char* unifiedrl_backend_description(int32_t index) {
  description_text[0] = 0;
  guarded(__func__, [&] { std::snprintf(description_text, sizeof description_text, "%s", backend_at(index).description().c_str()); });
  return description_text;
}

int32_t unifiedrl_backend_load(const char* name, const char* path) {
  return guarded(__func__, [&] { load_backend(required(name, "name"), required(path, "path")); });
}

int32_t unifiedrl_program_create(unifiedrl_program** program) {
  return guarded(__func__, [&] { hand_out(std::make_unique<Program>(), Handle::kProgram, required(program, "program")); });
}

void unifiedrl_program_close(unifiedrl_program* program) { close<Program>(program, Handle::kProgram, __func__); }

int32_t unifiedrl_program_tensor(
    unifiedrl_program* program, const char* name, int32_t kind, int64_t members, int64_t rows, int64_t columns, int32_t* id) {
  return guarded(__func__, [&] {
    Program& p = program_of(program);
    required(id, "id");
    *id = p.add_tensor(required(name, "name"), kind, members, rows, columns);
  });
}

int32_t unifiedrl_program_network(
    unifiedrl_program* program, const char* name, int64_t members, const int64_t* sizes, int32_t count, int32_t activation, int32_t* id) {
  return guarded(__func__, [&] {
    Program& p = program_of(program);
    required(id, "id");
    required(name, "name");
    if (count < 2 || count > 8) {
      fail_argument("network '%s' has %d sizes; 2 to 8 are needed: inputs, hidden layers, outputs", name, count);
    }
    *id = p.add_network(name, members, std::vector<int64_t>(required(sizes, "sizes"), sizes + count), activation);
  });
}

int32_t unifiedrl_program_hyper(unifiedrl_program* program, const char* name, double value, int32_t* id) {
  return guarded(__func__, [&] {
    Program& p = program_of(program);
    required(id, "id");
    *id = p.add_hyper(required(name, "name"), value);
  });
}

int32_t unifiedrl_program_op(
    unifiedrl_program* program, const char* name, int32_t op, const int32_t* tensors, int32_t tensor_count, const int32_t* networks,
    int32_t network_count, const int64_t* integers, int32_t integer_count, const int32_t* hypers, int32_t hyper_count) {
  return guarded(__func__, [&] {
    Program& p = program_of(program);
    Op added;
    added.name = required(name, "name");
    added.code = op;
    ids(tensors, tensor_count, "tensors");
    ids(networks, network_count, "networks");
    ids(hypers, hyper_count, "hypers");
    if (integer_count < 0 || (integer_count > 0 && integers == nullptr)) {
      fail_argument("%d integers at %s", integer_count, integers == nullptr ? "NULL" : "an address");
    }
    added.t.assign(tensors, tensors + tensor_count);
    added.n.assign(networks, networks + network_count);
    added.i.assign(integers, integers + integer_count);
    added.h.assign(hypers, hypers + hyper_count);
    p.add_op(std::move(added));
  });
}

int32_t unifiedrl_replay_create(const int64_t* widths, int32_t columns, unifiedrl_replay** replay) {
  return guarded(__func__, [&] {
    required(replay, "replay");
    if (columns < 1) {
      fail_argument("a replay has %d columns; at least 1 is needed", columns);
    }
    std::vector<int64_t> list(required(widths, "widths"), widths + columns);
    for (int32_t c = 0; c < columns; ++c) {
      if (widths[c] < 1) {
        fail_argument("replay column %d is %lld wide; at least 1 is needed", c, static_cast<long long>(widths[c]));
      }
    }
    hand_out(std::unique_ptr<Replay, Replay::Release>(new Replay(std::move(list))), Handle::kReplay, replay);
  });
}

void unifiedrl_replay_close(unifiedrl_replay* replay) {
  guarded(__func__, [&] {
    if (replay == nullptr) {
      return;
    }
    Replay& r = replay_of(replay);
    if (remove_handle(replay, Handle::kReplay)) {
      r.release();  // engines that still use it keep it until they are closed
    }
  });
}

int32_t unifiedrl_replay_add(unifiedrl_replay* replay, const float* const* columns, const uint8_t* last, int64_t rows) {
  return guarded(__func__, [&] {
    Replay& r = replay_of(replay);
    r.add(required(columns, "columns"), last, rows);
  });
}

int32_t unifiedrl_replay_add_addresses(unifiedrl_replay* replay, const int64_t* columns, int64_t last, int64_t rows) {
  return guarded(__func__, [&] {
    Replay& r = replay_of(replay);
    required(columns, "columns");
    std::vector<const float*> pointers;
    for (size_t c = 0; c < r.widths().size(); ++c) {
      pointers.push_back(reinterpret_cast<const float*>(static_cast<intptr_t>(columns[c])));
    }
    r.add(pointers.data(), reinterpret_cast<const uint8_t*>(static_cast<intptr_t>(last)), rows);
  });
}

int64_t unifiedrl_replay_rows(const unifiedrl_replay* replay) {
  return number(__func__, [&] { return replay_of(replay).rows(); });
}

int32_t unifiedrl_engine_create(
    const unifiedrl_program* program, const unifiedrl_replay* replay, const char* backend, const unifiedrl_options* options,
    unifiedrl_engine** engine) {
  return guarded(__func__, [&] {
    const Program& p = program_of(program);
    Replay* r = replay == nullptr ? nullptr : &replay_of(replay);
    required(engine, "engine");
    const unifiedrl_options defaults = {};  // not copied: options of another size must not be read past their end
    auto created = std::make_unique<Engine>(p, r, required(backend, "backend"), options == nullptr ? defaults : *options);
    hand_out(std::move(created), Handle::kEngine, engine);
  });
}

void unifiedrl_engine_close(unifiedrl_engine* engine) { close<Engine>(engine, Handle::kEngine, __func__); }

const char* unifiedrl_engine_backend(const unifiedrl_engine* engine) {
  const char* name = "";
  guarded(__func__, [&] { name = engine_of(engine).backend().c_str(); });
  return name;
}

const char* unifiedrl_engine_description(const unifiedrl_engine* engine) {
  const char* text = "";
  guarded(__func__, [&] { text = engine_of(engine).description().c_str(); });
  return text;
}

int32_t unifiedrl_engine_run(unifiedrl_engine* engine, int64_t steps) {
  return guarded(__func__, [&] { engine_of(engine).run(steps); });
}

int64_t unifiedrl_engine_step(const unifiedrl_engine* engine) {
  return number(__func__, [&] { return engine_of(engine).step(); });
}

int32_t unifiedrl_engine_set_step(unifiedrl_engine* engine, int64_t step) {
  return guarded(__func__, [&] { engine_of(engine).set_step(step); });
}

int32_t unifiedrl_engine_set_hyper(unifiedrl_engine* engine, int32_t id, double value) {
  return guarded(__func__, [&] { engine_of(engine).set_hyper(id, value); });
}

int32_t unifiedrl_engine_metrics(unifiedrl_engine* engine, float* destination, int64_t max_rows, int64_t* rows) {
  return guarded(__func__, [&] {
    Engine& e = engine_of(engine);
    required(rows, "rows");
    *rows = e.drain_metrics(max_rows == 0 ? destination : required(destination, "destination"), max_rows);
  });
}

int32_t unifiedrl_engine_metric_slots(const unifiedrl_engine* engine) {
  return static_cast<int32_t>(number(__func__, [&] { return engine_of(engine).program().metric_slots; }));
}

int64_t unifiedrl_engine_bytes(const unifiedrl_engine* engine) {
  return number(__func__, [&] { return engine_of(engine).bytes(); });
}

int64_t unifiedrl_network_size(const unifiedrl_engine* engine, int32_t network) {
  return number(__func__, [&] { return engine_of(engine).network(network).size; });
}

int32_t unifiedrl_network_read(const unifiedrl_engine* engine, int32_t network, int32_t section, float* destination, int64_t count) {
  return guarded(__func__, [&] { engine_of(engine).read_network(network, section, required(destination, "destination"), count); });
}

int32_t unifiedrl_network_write(unifiedrl_engine* engine, int32_t network, int32_t section, const float* source, int64_t count) {
  return guarded(__func__, [&] { engine_of(engine).write_network(network, section, required(source, "source"), count); });
}

int32_t unifiedrl_network_read64(const unifiedrl_engine* engine, int32_t network, int32_t section, double* destination, int64_t count) {
  return guarded(__func__, [&] { engine_of(engine).read_network(network, section, required(destination, "destination"), count); });
}

int32_t unifiedrl_network_write64(unifiedrl_engine* engine, int32_t network, int32_t section, const double* source, int64_t count) {
  return guarded(__func__, [&] { engine_of(engine).write_network(network, section, required(source, "source"), count); });
}

int32_t unifiedrl_network_initialise(unifiedrl_engine* engine, int32_t network, uint64_t seed) {
  return guarded(__func__, [&] { engine_of(engine).initialise(network, seed); });
}

int32_t unifiedrl_tensor_write(unifiedrl_engine* engine, int32_t tensor, const float* source, int64_t count) {
  return guarded(__func__, [&] { engine_of(engine).write_tensor(tensor, required(source, "source"), count); });
}

int32_t unifiedrl_tensor_read(const unifiedrl_engine* engine, int32_t tensor, float* destination, int64_t count) {
  return guarded(__func__, [&] { engine_of(engine).read_tensor(tensor, required(destination, "destination"), count); });
}

int32_t unifiedrl_tensor_read64(const unifiedrl_engine* engine, int32_t tensor, double* destination, int64_t count) {
  return guarded(__func__, [&] { engine_of(engine).read_tensor(tensor, required(destination, "destination"), count); });
}

int32_t unifiedrl_tensor_write64(unifiedrl_engine* engine, int32_t tensor, const double* source, int64_t count) {
  return guarded(__func__, [&] { engine_of(engine).write_tensor(tensor, required(source, "source"), count); });
}

#if !defined(UNIFIEDRL_CPU)
static int32_t no_cpu(const char* function) {
  return guarded(function, [] {
    throw Error(UNIFIEDRL_UNAVAILABLE, "this library was built without the CPU back end (UNIFIEDRL_CPU), which measures");
  });
}

int32_t unifiedrl_measure_sgemm(int64_t, int32_t, int32_t, double*) { return no_cpu(__func__); }

int32_t unifiedrl_measure_gather(const unifiedrl_replay*, int32_t, int64_t, int32_t, uint64_t, double*, double*) { return no_cpu(__func__); }
#endif
