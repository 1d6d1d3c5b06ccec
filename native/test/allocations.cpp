// Inside run(K) nothing allocates once the first step is done: every allocation of the process, libraries included, passes through here.
#include <cerrno>
#include <atomic>
#include <cstdlib>

#include "engine.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(WITH_SANITIZER)
#define COUNTS
#endif

#if defined(COUNTS)

namespace {
std::atomic<bool> counting{false};
std::atomic<long> allocations{0};

void count() {
  if (counting.load(std::memory_order_relaxed)) {
    allocations.fetch_add(1);
  }
}
}  // namespace

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t n) noexcept {
  count();
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t size) noexcept {
  count();
  return __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) noexcept {
  count();
  return __libc_realloc(p, n);
}
void* aligned_alloc(size_t alignment, size_t n) noexcept {
  count();
  return __libc_memalign(alignment, n);
}
int posix_memalign(void** p, size_t alignment, size_t n) noexcept {
  count();
  *p = __libc_memalign(alignment, n);
  return *p == nullptr ? ENOMEM : 0;
}
}

using namespace test;

TEST(the_counter_counts) {
  counting = true;
  std::free(std::calloc(3, 7));
  unifiedrl_program* program = nullptr;
  unifiedrl_program_create(&program);
  counting = false;
  unifiedrl_program_close(program);
  CHECK(allocations.exchange(0) >= 2);
}

namespace {

void check_steps(const char* backend, int64_t state, int64_t group, int64_t batch, std::vector<int64_t> hidden) {
  for (int32_t threads : {1, 2}) {
    Store store(state, 10, 2, {90, 50});
    Step step(state, 10, 2, group, batch, hidden);
    unifiedrl_options options = {};
    options.threads = threads;
    Engine engine(step.p, backend, options, store.handle);
    step.initialise(engine);
    engine.run(1);
    counting = true;
    int32_t status = unifiedrl_engine_run(engine.handle, 5);
    counting = false;
    CHECK(status == UNIFIEDRL_OK);
    long found = allocations.exchange(0);
    if (found != 0) {
      check::fail(__FILE__, __LINE__, "%s on %d threads: %ld allocations in 5 steps", backend, threads, found);
    }
  }
}

}  // namespace

TEST(a_step_allocates_nothing) {
  for (int32_t i = 0; i < unifiedrl_backend_count(); ++i) {
    check_steps(unifiedrl_backend_name(i), 33, 4, 64, {64, 48});
    if (std::string(unifiedrl_backend_name(i)) == "cpu") {
      check_steps("cpu", 128, 2, 256, {256, 256});  // strides of 256 floats, at which a library may want to copy
    }
  }
}

TEST(inference_allocates_nothing) {
  const int64_t sizes[] = {128, 256, 256, 10};
  std::vector<float> parameters(128 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10, 0.01f), x(100 * 128, 0.5f), y(100 * 10);
  unifiedrl_policy* policy = nullptr;
  CHECK_OK(unifiedrl_policy_create(sizes, 4, UNIFIEDRL_TANH, parameters.data(), nullptr, nullptr, 0, &policy));
  counting = true;
  int32_t one = unifiedrl_policy_run(policy, x.data(), 1, y.data()), many = unifiedrl_policy_run(policy, x.data(), 100, y.data());
  counting = false;
  unifiedrl_policy_close(policy);
  CHECK(one == UNIFIEDRL_OK && many == UNIFIEDRL_OK);
  CHECK(allocations.exchange(0) == 0);
}

#endif

int main(int argc, char** argv) {
#if defined(COUNTS)
  return test::main(argc, argv);
#else
  static_cast<void>(argc);
  static_cast<void>(argv);
  std::printf("skipped: the allocator of this build is not glibc's own\n");
  return 0;
#endif
}
