#include "core/engine.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/options.h"
#include "ops/random.h"

namespace unifiedrl {

constexpr int64_t kKeptRows = 1024;
// A call of the executor is given at most kKeptRows rows to write, which may fail after the first: the others must not cost rows that are kept.
constexpr int64_t kRingRows = 2 * kKeptRows;
constexpr int64_t kMaxStep = int64_t{1} << 40;  // the counter of a draw has room for no more (ops/random.h)

Engine::Engine(const Program& program, Replay* replay, const std::string& backend, const unifiedrl_options& options)
    : program_(program) {
  check_options(options);
  seed_ = options.seed;
  program_.check_replay(replay);
  if (replay != nullptr) {
    replay->hold();
    replay_.reset(replay);
  }
  for (const Hyper& hyper : program_.hypers) {
    hypers_.push_back(hyper.value);
  }
  ring_.resize(static_cast<size_t>(program_.metric_slots * kRingRows));
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
  while (steps > 0) {
    int64_t slots = program_.metric_slots, row = written_ % kRingRows;
    Run run{step_ + 1, std::min({steps, kKeptRows, kRingRows - row}), seed_, hypers_.data(), ring_.data() + row * slots, 0, program_.ops.size()};
    std::fill_n(run.metrics, run.steps * slots, 0.0f);
    const auto keep_completed = [&] {
      written_ += run.completed;
      step_ += run.completed;
    };
    try {
      executor_->run(run);
    } catch (const Error& error) {
      keep_completed();
      stopped_ = error.status() == UNIFIEDRL_NOT_FINITE;
      throw error.within(format("step %lld", static_cast<long long>(step_ + 1)));
    } catch (...) {
      keep_completed();
      throw;
    }
    keep_completed();
    steps -= run.steps;
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
  drained_ = std::max(drained_, written_ - kKeptRows);
  int64_t rows = std::min(max_rows, written_ - drained_);
  for (int64_t k = 0; k < rows; ++k, ++drained_) {
    destination = std::copy_n(ring_.data() + drained_ % kRingRows * program_.metric_slots, program_.metric_slots, destination);
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

}  // namespace unifiedrl
