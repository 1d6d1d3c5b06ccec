// Inference of one small network, for serving: no library call, no thread, no allocation.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "core/error.h"
#include "core/handles.h"
#include "core/memory.h"
#include "core/program.h"
#include "cpu/buffer.h"
#include "cpu/kernels.h"
#include "unifiedrl.h"

using unifiedrl::cpu::Buffer;
using unifiedrl::cpu::Kernels;

struct unifiedrl_policy {
  const Kernels* kernels;
  std::vector<int64_t> sizes;
  int32_t activation;
  Buffer parameters, shift, scale;
  bool normalised;
  Buffer scratch[2];  // [kBlock, widest layer]
};

namespace {
constexpr int64_t kBlock = 48;  // rows at a time: a block's activations stay in the first-level cache
}

extern "C" int32_t unifiedrl_policy_create(const int64_t* sizes, int32_t count, int32_t activation, const float* parameters, const float* shift,
                                           const float* scale, int32_t isa, unifiedrl_policy** policy) {
  return unifiedrl::guarded("policy_create", [&] {
    if (sizes == nullptr || parameters == nullptr || policy == nullptr || (shift == nullptr) != (scale == nullptr)) {
      unifiedrl::fail_argument("sizes, parameters and policy are needed, and shift and scale only together");
    }
    unifiedrl::Program program;  // checks the shape
    program.add_network("policy", 1, std::vector<int64_t>(sizes, sizes + (count < 0 ? 0 : count)), activation);
    auto p = std::make_unique<unifiedrl_policy>();
    p->kernels = unifiedrl::cpu::kernels(isa);
    if (p->kernels == nullptr) {
      throw unifiedrl::Error(UNIFIEDRL_UNAVAILABLE, unifiedrl::format("this processor lacks instruction set %d; use 0 for the best it has", isa));
    }
    p->sizes.assign(sizes, sizes + count);
    p->activation = activation;
    int64_t widest = *std::max_element(p->sizes.begin(), p->sizes.end());
    unifiedrl::check_memory(Buffer::bytes(program.networks[0].size) + 2 * Buffer::bytes(sizes[0]) + 2 * Buffer::bytes(kBlock * widest), "the policy");
    p->parameters = Buffer(program.networks[0].size, "policy parameters");
    std::memcpy(p->parameters.data(), parameters, static_cast<size_t>(program.networks[0].size) * sizeof(float));
    p->normalised = shift != nullptr;
    if (p->normalised) {
      p->shift = Buffer(sizes[0], "policy shift");
      p->scale = Buffer(sizes[0], "policy scale");
      std::memcpy(p->shift.data(), shift, static_cast<size_t>(sizes[0]) * sizeof(float));
      std::memcpy(p->scale.data(), scale, static_cast<size_t>(sizes[0]) * sizeof(float));
    }
    for (Buffer& scratch : p->scratch) {
      scratch = Buffer(kBlock * widest, "policy scratch memory");
    }
    unifiedrl::add_handle(p.get(), unifiedrl::Handle::kPolicy);
    *policy = p.release();
  });
}

extern "C" void unifiedrl_policy_close(unifiedrl_policy* policy) {
  unifiedrl::guarded("policy_close", [&] {
    if (policy != nullptr && unifiedrl::remove_handle(policy, unifiedrl::Handle::kPolicy)) {
      delete policy;
    }
  });
}

extern "C" int32_t unifiedrl_policy_run(unifiedrl_policy* policy, const float* x, int64_t rows, float* y) {
  return unifiedrl::guarded("policy_run", [&] {
    unifiedrl::check_handle(policy, unifiedrl::Handle::kPolicy);
    if (rows < 0 || (rows > 0 && (x == nullptr || y == nullptr))) {
      unifiedrl::fail_argument("rows must be at least 0, and x and y given");
    }
    const Kernels& k = *policy->kernels;
    size_t layers = policy->sizes.size() - 1;
    int64_t inputs = policy->sizes.front(), outputs = policy->sizes.back();
    for (int64_t row = 0; row < rows; row += kBlock) {
      int64_t count = rows - row < kBlock ? rows - row : kBlock;
      const float* in = x + row * inputs;
      if (policy->normalised) {
        float* normal = policy->scratch[1].data();
        for (int64_t r = 0; r < count; ++r) {
          k.normalise(inputs, in + r * inputs, policy->shift.data(), policy->scale.data(), normal + r * inputs);
        }
        in = normal;
      }
      const float* parameters = policy->parameters.data();
      for (size_t l = 0; l < layers; ++l) {
        int64_t n = policy->sizes[l + 1], m = policy->sizes[l];
        bool last = l + 1 == layers;
        float* out = last ? y + row * outputs : policy->scratch[l % 2].data();
        k.gemm(count, n, m, in, m, 1, parameters, n, false, out, n);
        if (last) {
          k.bias(count, n, parameters + m * n, out);
        } else {
          k.bias_relu(count, n, parameters + m * n, out, nullptr);
        }
        parameters += m * n + n;
        in = out;
      }
      if (policy->activation == UNIFIEDRL_TANH) {
        float* out = y + row * outputs;
        for (int64_t i = 0; i < count * outputs; ++i) {
          out[i] = std::tanh(out[i]);
        }
      }
    }
  });
}
