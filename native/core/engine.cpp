#include "core/engine.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <sstream>

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "core/error.h"
#include "ops/random.h"

namespace unifiedrl {

constexpr int64_t kRingRows = 1024;
constexpr int64_t kMaxStep = int64_t{1} << 40;  // the counter of a draw has room for no more (ops/random.h)

Engine::Engine(const Program& program, Replay* replay, const std::string& backend, const unifiedrl_options& options)
    : program_(program), seed_(options.seed) {
  if (options.threads < 0 || options.threads > 1024) {
    fail_argument("threads is %d; it must be 0 (default) to 1024", options.threads);
  }
  if (options.tile_rows < 0 || options.tile_rows % 16 != 0) {
    fail_argument("tile_rows is %d; it must be 0 (default) or a multiple of 16", options.tile_rows);
  }
  if (options.materialise != 0 && options.materialise != 1) {
    fail_argument("materialise is %d; it must be 0 or 1", options.materialise);
  }
  if (options.isa < 0 || options.isa > 3) {
    fail_argument("isa is %d; it must be 0 (best), 1 (baseline), 2 (AVX2) or 3 (AVX-512)", options.isa);
  }
  program_.check_replay(replay);
  if (replay != nullptr) {
    replay->hold();
    replay_.reset(replay);
  }
  for (const Hyper& hyper : program_.hypers) {
    hypers_.push_back(hyper.value);
  }
  row_.resize(static_cast<size_t>(program_.metric_slots));
  ring_.resize(row_.size() * kRingRows);
  executor_ = create_executor(program_, replay, backend, options, &backend_);
  description_ = executor_->description();
  if (program_.ops.empty()) {
    fail_argument("the program has no ops: add at least one");
  }
}

void Engine::run(int64_t steps) {
  if (steps < 0) {
    fail_argument("steps is %lld; it must be 0 or more", static_cast<long long>(steps));
  }
  if (steps > kMaxStep - step_) {
    fail_argument("%lld steps after step %lld pass 2^40, beyond which random draws would repeat", static_cast<long long>(steps),
                  static_cast<long long>(step_));
  }
  if (stopped_ && steps > 0) {
    fail_argument("the run stopped within step %lld at a gradient that is not finite: write parameters, or call set_step, before it goes on",
                  static_cast<long long>(step_ + 1));
  }
  for (int64_t k = 0; k < steps; ++k) {
    std::fill(row_.begin(), row_.end(), 0.0f);
    try {
      executor_->run({step_ + 1, seed_, hypers_.data(), row_.data()}, 0, program_.ops.size());
    } catch (const Error& error) {
      stopped_ = error.status() == UNIFIEDRL_NOT_FINITE;
      throw error.within(format("step %lld", static_cast<long long>(step_ + 1)));
    }
    std::copy(row_.begin(), row_.end(), ring_.begin() + static_cast<ptrdiff_t>(row_.size()) * (written_ % kRingRows));
    ++written_;
    ++step_;
  }
}

void Engine::set_step(int64_t step) {
  if (step < 0 || step > kMaxStep) {
    fail_argument("step is %lld; it must be 0 to 2^40", static_cast<long long>(step));
  }
  step_ = step;
  stopped_ = false;
}

void Engine::set_hyper(int32_t id, double value) {
  if (id < 0 || static_cast<size_t>(id) >= hypers_.size()) {
    fail_argument("hyper-parameter %d does not exist; the program has %zu", id, hypers_.size());
  }
  program_.check_hyper(id, value, hypers_);
  hypers_[static_cast<size_t>(id)] = value;
}

int64_t Engine::drain_metrics(float* destination, int64_t max_rows) {
  if (max_rows < 0) {
    fail_argument("max_rows is %lld; it must be 0 or more", static_cast<long long>(max_rows));
  }
  drained_ = std::max(drained_, written_ - kRingRows);
  int64_t rows = std::min(max_rows, written_ - drained_);
  for (int64_t k = 0; k < rows; ++k, ++drained_) {
    auto from = ring_.begin() + static_cast<ptrdiff_t>(row_.size()) * (drained_ % kRingRows);
    destination = std::copy(from, from + static_cast<ptrdiff_t>(row_.size()), destination);
  }
  return rows;
}

int64_t Engine::bytes() const { return executor_->bytes() + static_cast<int64_t>(ring_.size() * sizeof(float)); }

const Network& Engine::network(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= program_.networks.size()) {
    fail_argument("network %d does not exist; the program has %zu", id, program_.networks.size());
  }
  return program_.networks[static_cast<size_t>(id)];
}

void Engine::check_section(int32_t id, int32_t section, int64_t count) const {
  const Network& n = network(id);
  if (section < UNIFIEDRL_PARAMETERS || section > UNIFIEDRL_MOMENT2) {
    fail_argument("section %d of network '%s' does not exist; sections are 0 (parameters) to 3 (second moment)", section, n.name.c_str());
  }
  if (section != UNIFIEDRL_PARAMETERS && !n.trained) {
    fail_argument("network '%s' is not trained by any op, so it has no section %d, only parameters (0)", n.name.c_str(), section);
  }
  if (count != n.size) {
    fail_argument("network '%s' has %lld elements a section, but %lld were given", n.name.c_str(), static_cast<long long>(n.size),
                  static_cast<long long>(count));
  }
}

void Engine::initialise(int32_t id, uint64_t seed) {
  const Network& n = network(id);
  std::vector<float> parameters(static_cast<size_t>(n.size));
  for (int64_t e = 0; e < n.members; ++e) {
    for (size_t l = 0; l < n.layers.size(); ++l) {
      const Layer& layer = n.layers[l];
      float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(layer.in)));
      int64_t weights = layer.in * layer.out;
      // Counter: network, layer and position below, use and member above; weights first, then biases.
      uint64_t stream = static_cast<uint64_t>(id) << 52 | static_cast<uint64_t>(l) << 48;
      uint64_t high = kStreamInitialise << 32 | static_cast<uint64_t>(e & 0xffffffff);
      Philox4 draw{};
      for (int64_t k = 0; k < weights + layer.out; ++k) {
        if (k % 4 == 0) {
          draw = philox(seed, stream | static_cast<uint64_t>(k / 4), high);
        }
        int64_t at = k < weights ? layer.weight + e * weights + k : layer.bias + e * layer.out + (k - weights);
        parameters[static_cast<size_t>(at)] = uniform_signed(draw.x[k % 4]) * scale;
      }
    }
  }
  write_network(id, UNIFIEDRL_PARAMETERS, parameters.data(), n.size);
}

const Tensor& Engine::tensor(int32_t id, int64_t count) const {
  if (id < 0 || static_cast<size_t>(id) >= program_.tensors.size()) {
    fail_argument("tensor %d does not exist; the program has %zu", id, program_.tensors.size());
  }
  const Tensor& t = program_.tensors[static_cast<size_t>(id)];
  if (count != t.elements()) {
    fail_argument("tensor '%s' [%lld, %lld, %lld] has %lld elements, but %lld were given", t.name.c_str(), static_cast<long long>(t.members),
                  static_cast<long long>(t.rows), static_cast<long long>(t.columns), static_cast<long long>(t.elements()),
                  static_cast<long long>(count));
  }
  return t;
}

void Engine::read_tensor(int32_t id, double* destination, int64_t count) const {
  tensor(id, count);
  executor_->read_tensor(id, destination);
}

void Engine::read_tensor(int32_t id, float* destination, int64_t count) const {
  tensor(id, count);
  std::vector<double> values(static_cast<size_t>(count));
  executor_->read_tensor(id, values.data());
  std::transform(values.begin(), values.end(), destination, [](double x) { return static_cast<float>(x); });
}

void Engine::write_tensor(int32_t id, const float* source, int64_t count) {
  tensor(id, count);
  std::vector<double> values(source, source + count);
  write_tensor(id, values.data(), count);
}

void Engine::write_tensor(int32_t id, const double* source, int64_t count) {
  const Tensor& t = tensor(id, count);
  if (t.kind != UNIFIEDRL_TENSOR_CONSTANT) {
    fail_argument("tensor '%s' is not constant: only constant tensors may be written", t.name.c_str());
  }
  executor_->write_tensor(id, source);
}

#if !defined(_WIN32)
namespace {

constexpr double kNoLimit = 1e300;

// The number in a file that holds one; "max" means none.
double number_in(const char* file) {
  double value;
  return std::ifstream(file) >> value ? value : kNoLimit;
}

// The sum of the numbers that follow these words in a file of "word number" lines; negative where there is none.
double numbers_after(const char* file, std::initializer_list<const char*> words) {
  std::ifstream in(file);
  double sum = 0, value;
  bool found = false;
  std::string line, word;
  while (std::getline(in, line)) {
    std::istringstream parts(line);
    if (parts >> word >> value && std::find(words.begin(), words.end(), word) != words.end()) {
      sum += value;
      found = true;
    }
  }
  return found ? sum : -1;
}

// What a container leaves: its limit less what is in use, without the file pages that the kernel gives back on demand.
double left_in_container(const char* limit, const char* usage, const char* statistics, std::initializer_list<const char*> file_pages) {
  double most = number_in(limit), used = number_in(usage);
  return most >= kNoLimit || used >= kNoLimit ? kNoLimit : most - used + std::max(0.0, numbers_after(statistics, file_pages));
}

}  // namespace
#endif

double available_memory() {
#if !defined(_WIN32)
  double left = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  double available = numbers_after("/proc/meminfo", {"MemAvailable:"}) * 1024;
  left = available >= 0 ? std::min(left, available) : left;
  left = std::min(left, left_in_container("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat",
                                          {"active_file", "inactive_file"}));
  return std::min(left, left_in_container("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                                          "/sys/fs/cgroup/memory/memory.stat", {"total_active_file", "total_inactive_file"}));
#else
  return 1e300;
#endif
}

void check_memory(int64_t bytes, const char* what) {
  double available = available_memory();
  if (static_cast<double>(bytes) > available) {
    throw Error(UNIFIEDRL_OUT_OF_MEMORY,
                format("%s needs %.1f GiB, but this machine has %.1f GiB left: use a smaller batch, network or ensemble", what,
                       static_cast<double>(bytes) / (1 << 30), std::max(0.0, available) / (1 << 30)));
  }
}

}  // namespace unifiedrl
