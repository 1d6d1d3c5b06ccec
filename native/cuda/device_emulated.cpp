#include "cuda/device.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "unifiedrl.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNIFIEDRL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNIFIEDRL_ASAN 1
#endif
#endif
#if defined(UNIFIEDRL_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace unifiedrl::cuda {

__thread Index threadIdx;
__thread Index blockIdx;
__thread Index blockDim;
__thread Index gridDim;

namespace emulated {

__thread Block* block;

namespace {

constexpr int kMaxThreads = 1024;
constexpr size_t kMaxShared = 163 << 10;  // of an sm_80
#if defined(UNIFIEDRL_ASAN)
constexpr size_t kStack = 272 << 10;
#else
constexpr size_t kStack = 80 << 10;
#endif

// Where a fiber goes on.
struct Context {
#if defined(__x86_64__)
  void* stack = nullptr;
#else
  ucontext_t registers;
#endif
};

#if defined(__x86_64__)
// Saves what the calling convention has a callee keep on the stack, and goes on with the other's.
__attribute__((naked, noinline, no_sanitize("address", "undefined"))) void swap_stacks(void**, void*) {
  asm(R"(
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
  )");
}
#endif

struct Fiber {
  char* bottom = nullptr;  // of the stack
  size_t size = 0;
  size_t offset = 0;       // of the first frame from the top
  bool owner = false;
  bool fresh = true;       // starts at the top when it goes on
  Context context;
  void* fake_stack = nullptr;

  Fiber() = default;
  // The number spreads the fibers' frames over the cache: at the same place of each page they would push each other out of it.
  Fiber(size_t bytes, size_t number) : size(bytes), offset(number % 28 * 576) {
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* memory = mmap(nullptr, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      throw Error(UNIFIEDRL_OUT_OF_MEMORY, format("emulation: no memory for the stack of a thread (%zu bytes)", size));
    }
    mprotect(memory, page, PROT_NONE);  // a stack that overflows ends the process instead of spoiling another's
    bottom = static_cast<char*>(memory) + page;
    owner = true;
  }
  Fiber(const Fiber&) = delete;
  ~Fiber() {
    if (owner) {
      size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
      munmap(bottom - page, page + size);
    }
  }
};

// From the symbols of the file that the function is in, since few kernels are exported.
std::string function_name(const void* function) {
  Dl_info module;
  std::string name = format("at %p", function);
  if (dladdr(function, &module) == 0) {
    return name;
  }
  std::ifstream file(module.dli_fname, std::ios::binary);
  auto read = [&](uint64_t at, void* to, size_t bytes) {
    return static_cast<bool>(file.seekg(static_cast<std::streamoff>(at)).read(static_cast<char*>(to), static_cast<std::streamsize>(bytes)));
  };
  ElfW(Ehdr) header;
  if (!read(0, &header, sizeof header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shentsize != sizeof(ElfW(Shdr))) {
    return name;
  }
  auto base = header.e_type == ET_EXEC ? 0 : reinterpret_cast<uintptr_t>(module.dli_fbase);
  auto section = [&](size_t i, ElfW(Shdr)* to) { return read(header.e_shoff + i * sizeof *to, to, sizeof *to); };
  for (size_t i = 0; i < header.e_shnum; ++i) {
    ElfW(Shdr) symbols, strings;
    if (!section(i, &symbols) || symbols.sh_type != SHT_SYMTAB || !section(symbols.sh_link, &strings)) {
      continue;
    }
    std::vector<ElfW(Sym)> table(symbols.sh_size / sizeof(ElfW(Sym)));
    std::vector<char> text(strings.sh_size + 1);
    if (!read(symbols.sh_offset, table.data(), table.size() * sizeof table[0]) || !read(strings.sh_offset, text.data(), strings.sh_size)) {
      continue;
    }
    for (const ElfW(Sym) & symbol : table) {
      if (symbol.st_value + base == reinterpret_cast<uintptr_t>(function) && (symbol.st_info & 0xf) == STT_FUNC && symbol.st_name < strings.sh_size) {
        int status = 0;
        char* plain = abi::__cxa_demangle(&text[symbol.st_name], nullptr, nullptr, &status);
        name = status == 0 ? plain : &text[symbol.st_name];
        std::free(plain);
        return name;
      }
    }
  }
  return name;
}

enum class State : uint8_t { kRuns, kAtBarrier, kAtWarpBarrier, kEnded };

struct Copy {
  int64_t position;
  const void* global;
  int valid;
  int group;
};

struct Thread {
  Fiber* fiber;
  State state;
  Index index;
  Location where;            // it waits
  int groups;                // of asynchronous copies that are committed
  std::vector<Copy> copies;  // under way
};

struct Warp {
  uint32_t time;
  int arrived;
  Location where;
  void (*combine)(void* const*);
  void* lanes[kWarp];
};

bool same(const Location& a, const Location& b) { return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0); }

// The one processor of a host thread: it runs a block at a time.
//
// Time is a clock that every barrier, of a block or of a warp, moves on; all that happens between two barriers has the time of the
// first. Two accesses of different threads are ordered where a barrier of the block lies between them (the earlier is older than the block's
// last barrier), or, in one warp, a barrier of the warp (the earlier is older than the warp's time). The clock runs on from block to block,
// so that cells need no clearing: what is older than the block's start never happened.
struct Machine {
  Machine() : threads(kMaxThreads), memory(kMaxShared + 128), cells(kMaxShared / kCellBytes) {
    void* aligned = memory.data();
    size_t space = memory.size();
    std::align(128, kMaxShared, aligned, space);
    block_.memory = static_cast<unsigned char*>(aligned);
    block_.cells = cells.data();
  }

  void run_block(const void* which, const std::function<void()>& thread_body, int thread_count, int64_t shared_bytes) {
    if (clock > (1u << 31)) {
      std::fill(cells.begin(), cells.end(), Cell{});
      clock = 0;
    }
    kernel = which;
    body = &thread_body;
    count = thread_count;
    unstarted = ended = at_barrier = 0;
    ready_first = ready_last = 0;
    block_.bytes = shared_bytes;
    block_.start = block_.barrier = block_.now = ++clock;
    for (int w = 0; w < (count + kWarp - 1) / kWarp; ++w) {
      warps[w].time = clock;
      warps[w].arrived = 0;
    }
    running = &main;
    switch_to(fiber_for_new_thread());
    if (!error.empty()) {
      // What lay on the stacks of the threads that did not end is given up: kernels own nothing.
      for (std::unique_ptr<Fiber>& fiber : fibers) {
        fiber->fresh = true;
      }
      idle.clear();
      for (std::unique_ptr<Fiber>& fiber : fibers) {
        idle.push_back(fiber.get());
      }
      for (int t = 0; t < count; ++t) {
        threads[static_cast<size_t>(t)].copies.clear();
      }
      std::string text = std::move(error);
      error.clear();
      throw Error(UNIFIEDRL_INTERNAL, std::move(text));
    }
  }

  // A fiber runs one thread after another for as long as there are some that nothing has started.
  void work() {
    for (;;) {
      while (unstarted < count) {
        start(unstarted++);
        (*body)();
        end();
      }
      idle.push_back(running);
      switch_to(next());
    }
  }

  void start(int t) {
    Thread& thread = threads[static_cast<size_t>(t)];
    unsigned u = static_cast<unsigned>(t);
    thread.index = Index{u % blockDim.x, u / blockDim.x % blockDim.y, u / (blockDim.x * blockDim.y)};
    thread.fiber = running;
    thread.groups = 0;
    take_turn(t);
  }

  void end() {
    Thread& thread = current();
    if (!thread.copies.empty()) {
      report(format("thread %s ended while %zu of its asynchronous copies were under way: wait for them", name(block_.thread).c_str(),
                  thread.copies.size()));
      abandon();
    }
    thread.state = State::kEnded;
    ++ended;
  }

  void take_turn(int t) {
    Thread& thread = threads[static_cast<size_t>(t)];
    thread.state = State::kRuns;
    block_.thread = static_cast<uint16_t>(t);
    block_.now = warps[t / kWarp].time;
    threadIdx = thread.index;
  }

  void wait(State state, const Location& where) {
    Thread& thread = current();
    thread.state = state;
    thread.where = where;
    switch_to(next());
  }

  void wake(int t) { ready[ready_last++ % kMaxThreads] = static_cast<uint16_t>(t); }

  // Who goes on when the running thread cannot.
  Fiber* next() {
    if (ready_first != ready_last) {
      int t = ready[ready_first++ % kMaxThreads];
      take_turn(t);
      return threads[static_cast<size_t>(t)].fiber;
    }
    if (unstarted < count) {
      return fiber_for_new_thread();
    }
    if (ended == count) {
      return &main;
    }
    report(divergence());
    abandon();
  }

  Fiber* fiber_for_new_thread() {
    if (idle.empty()) {
      fibers.push_back(std::make_unique<Fiber>(kStack, fibers.size()));
      return fibers.back().get();
    }
    Fiber* fiber = idle.back();
    idle.pop_back();
    return fiber;
  }

  void switch_to(Fiber* to) {
    Fiber* from = running;
    if (to == from) {
      return;
    }
    running = to;
    if (to->fresh && to != &main) {
      to->fresh = false;
      prepare(to);
    }
#if defined(UNIFIEDRL_ASAN)
    if (from == &main) {
      asan_from_main = true;
    }
    // A thread that failed does not come back: its frames' fake stack goes with it.
    __sanitizer_start_switch_fiber(error.empty() ? &from->fake_stack : nullptr, to->bottom, to->size);
#endif
#if defined(__x86_64__)
    swap_stacks(&from->context.stack, to->context.stack);
#else
    swapcontext(&from->context.registers, &to->context.registers);
#endif
    arrived(from->fake_stack);
  }

  void arrived([[maybe_unused]] void* fake_stack) {
#if defined(UNIFIEDRL_ASAN)
    const void* bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(fake_stack, &bottom, &size);
    if (asan_from_main) {
      asan_from_main = false;
      main.bottom = static_cast<char*>(const_cast<void*>(bottom));
      main.size = size;
    }
#endif
  }

  static void entry() noexcept;

  void prepare(Fiber* fiber) {
#if defined(UNIFIEDRL_ASAN)
    __asan_unpoison_memory_region(fiber->bottom, fiber->size);
    fiber->fake_stack = nullptr;
#endif
#if defined(__x86_64__)
    void** top = reinterpret_cast<void**>(fiber->bottom + fiber->size - fiber->offset);
    *--top = nullptr;  // entry() returns to nowhere, and finds the stack as a call leaves it
    *--top = reinterpret_cast<void*>(&Machine::entry);
    for (int saved = 0; saved < 6; ++saved) {
      *--top = nullptr;
    }
    fiber->context.stack = top;
#else
    getcontext(&fiber->context.registers);
    fiber->context.registers.uc_stack.ss_sp = fiber->bottom;
    fiber->context.registers.uc_stack.ss_size = fiber->size;
    fiber->context.registers.uc_link = nullptr;
    makecontext(&fiber->context.registers, &Machine::entry, 0);
#endif
  }

  Thread& current() { return threads[block_.thread]; }

  // Of the running block's threads.
  std::string name(int t) const {
    const Index& i = threads[static_cast<size_t>(t)].index;
    return blockDim.y * blockDim.z == 1 ? std::to_string(t) : format("(%u, %u, %u)", i.x, i.y, i.z);
  }

  void report(const std::string& text) {
    error = "kernel " + function_name(kernel) + format(", block (%u, %u, %u): ", blockIdx.x, blockIdx.y, blockIdx.z) + text;
  }
  // Ends the launch: run_block() throws what was reported. No stack is unwound, so nothing on it may need to be, such as the text.
  [[noreturn]] void abandon() {
    switch_to(&main);
    std::abort();  // nothing switches back
  }

  std::string divergence() const {
    // The first thread that waits, and the first that it waits for in vain.
    int waiting = 0;
    while (threads[static_cast<size_t>(waiting)].state == State::kEnded) {
      ++waiting;
    }
    const Thread& one = threads[static_cast<size_t>(waiting)];
    bool of_block = one.state == State::kAtBarrier;
    int first = of_block ? 0 : waiting / kWarp * kWarp, last = of_block ? count : first + kWarp, there = 0, missing = -1;
    for (int t = first; t < last; ++t) {
      bool here = threads[static_cast<size_t>(t)].state == one.state;
      there += here;
      missing = here || missing >= 0 ? missing : t;
    }
    std::string text = format("divergent barrier: %d of %d threads %s wait in %s (%s:%d), but thread %s ", there, last - first,
                              of_block ? "of the block" : "of a warp", one.where.function, one.where.file, one.where.line, name(missing).c_str());
    const Thread& other = threads[static_cast<size_t>(missing)];
    return text + (other.state == State::kEnded ? std::string("has ended")
                                                : format("waits in %s (%s:%d)", other.where.function, other.where.file, other.where.line));
  }

  Block block_{};
  const void* kernel = nullptr;
  const std::function<void()>* body = nullptr;
  int count = 0, unstarted = 0, ended = 0;
  int at_barrier = 0;  // threads
  Location barrier{"", "", 0};
  uint32_t clock = 0;
  std::vector<Thread> threads;
  Warp warps[kMaxThreads / kWarp];
  uint16_t ready[kMaxThreads];  // a ring of threads that can go on
  unsigned ready_first = 0, ready_last = 0;
  Fiber main;
  Fiber* running = nullptr;
  bool asan_from_main = false;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
  std::string error;
  std::vector<unsigned char> memory;
  std::vector<Cell> cells;
};

Machine& machine() {
  thread_local std::unique_ptr<Machine> mine;
  if (mine == nullptr) {
    mine = std::make_unique<Machine>();
  }
  return *mine;
}
// The one that runs on this thread, for the calls from kernels.
__thread Machine* active;

void Machine::entry() noexcept {
  active->arrived(nullptr);
  active->work();
}

std::string bytes_text(int64_t position, int64_t size) {
  return format("bytes %lld to %lld of shared memory", static_cast<long long>(position), static_cast<long long>(position + size - 1));
}

}  // namespace

void open_view(int64_t offset, int64_t count, int64_t size, const Location& made) {
  Machine& m = *active;
  if (offset < 0 || count < 0 || offset > m.block_.bytes || count > (m.block_.bytes - offset) / size) {
    m.report(format("a view of %lld x %lld bytes at %lld, made in %s (%s:%d), does not fit the %lld bytes of shared memory of the launch",
                  static_cast<long long>(count), static_cast<long long>(size), static_cast<long long>(offset), made.function, made.file, made.line,
                  static_cast<long long>(m.block_.bytes)));
    m.abandon();
  }
}

namespace {
std::string access_failure(int64_t position, int64_t size, int64_t begin, int64_t end, bool write, const Location& made) {
  const Machine& m = *active;
  const Block& b = m.block_;
  std::string who = "thread " + m.name(b.thread) + (write ? " writes " : " reads ") + bytes_text(position, size);
  std::string view = format(" (view made in %s, %s:%d)", made.function, made.file, made.line);
  if (position < begin || position + size > end) {
    return who + format(", outside of its view's %lld to %lld", static_cast<long long>(begin), static_cast<long long>(end) - 1) + view;
  }
  for (int64_t at = position; at < position + size && position % kCellBytes == 0; at += kCellBytes) {
    const Cell& c = b.cells[at / kCellBytes];
    bool written = c.written >= b.start;
    int writer = c.writer & kThread, reader = c.reader & kThread;
    std::string where = format("; byte %lld", static_cast<long long>(at));
    if (!write && !written) {
      return who + where + " was not written before: never, or by a thread with no barrier between" + view;
    }
    if (written && (c.writer & kPending) != 0) {
      return who + where + " is the target of an asynchronous copy of thread " + m.name(writer) + " that was not waited for" + view;
    }
    if (written && unordered(b, c.writer, c.written)) {
      return format("threads %s and %s race: ", m.name(writer).c_str(), m.name(b.thread).c_str()) + who + where + " was written by thread " +
             m.name(writer) + " with no barrier between" + view;
    }
    if (write && c.read >= b.barrier) {
      bool lanes = (c.reader & kManyLanes) != 0 && c.read == b.now;
      if ((c.reader & kManyWarps) != 0 || lanes || unordered(b, c.reader, c.read)) {
        bool others = reader == b.thread;
        return format("threads %s and %s race: ", others ? "of its warp or others" : m.name(reader).c_str(), m.name(b.thread).c_str()) + who + where +
               " was read by " + (others ? "other threads" : "thread " + m.name(reader)) + " with no barrier between" + view;
      }
    }
  }
  return who + ", which are not aligned as their type needs" + view;
}
}  // namespace

void fail_access(int64_t position, int64_t size, int64_t begin, int64_t end, bool write, const Location& made) {
  active->report(access_failure(position, size, begin, end, write, made));
  active->abandon();
}

void block_barrier(const Location& where) {
  Machine& m = *active;
  if (m.at_barrier == 0) {
    m.barrier = where;
  } else if (!same(m.barrier, where)) {
    m.report(format("divergent barrier: thread %s waits in %s (%s:%d), but others in %s (%s:%d)", m.name(m.block_.thread).c_str(), where.function,
                  where.file, where.line, m.barrier.function, m.barrier.file, m.barrier.line));
    m.abandon();
  }
  if (++m.at_barrier < m.count) {
    m.wait(State::kAtBarrier, where);
    return;
  }
  m.at_barrier = 0;
  m.block_.barrier = m.block_.now = ++m.clock;
  for (int w = 0; w < (m.count + kWarp - 1) / kWarp; ++w) {
    m.warps[w].time = m.clock;
  }
  for (int t = 0; t < m.count; ++t) {
    if (t != m.block_.thread) {
      m.wake(t);
    }
  }
}

void warp_barrier(const Location& where, void* lane, void (*combine)(void* const*)) {
  Machine& m = *active;
  int thread = m.block_.thread, first = thread / kWarp * kWarp;
  if (m.count % kWarp != 0) {
    m.report(format("%s (%s:%d) is for whole warps, and a block of %d threads is not made of them", where.function, where.file, where.line, m.count));
    m.abandon();
  }
  Warp& warp = m.warps[thread / kWarp];
  if (warp.arrived == 0) {
    warp.where = where;
    warp.combine = combine;
  } else if (warp.combine != combine || !same(warp.where, where)) {
    m.report(format("divergent warp: thread %s waits in %s (%s:%d), but others of its warp in %s (%s:%d)", m.name(thread).c_str(), where.function,
                  where.file, where.line, warp.where.function, warp.where.file, warp.where.line));
    m.abandon();
  }
  warp.lanes[thread - first] = lane;
  if (++warp.arrived < kWarp) {
    m.wait(State::kAtWarpBarrier, where);
    return;
  }
  combine(warp.lanes);
  warp.arrived = 0;
  warp.time = m.block_.now = ++m.clock;
  for (int t = first; t < first + kWarp; ++t) {
    if (t != thread) {
      m.wake(t);
    }
  }
}

void copy_async(int64_t position, int64_t begin, int64_t end, const void* global, int valid, const Location& made) {
  Machine& m = *active;
  if (reinterpret_cast<uintptr_t>(global) % 16 != 0 || valid < 0 || valid > 16) {
    m.report(format("thread %s copies %d of 16 bytes asynchronously from %p: the address must be a multiple of 16, the number at most 16 (%s, %s:%d)",
                  m.name(m.block_.thread).c_str(), valid, global, made.function, made.file, made.line));
    m.abandon();
  }
  if (!may_write(position, 16, 16, begin, end, kPending)) {
    fail_access(position, 16, begin, end, true, made);
  }
  Thread& thread = m.current();
  thread.copies.push_back({position, global, valid, thread.groups});
}

void copy_async_commit() { ++active->current().groups; }

void copy_async_wait(int groups) {
  Machine& m = *active;
  Thread& thread = m.current();
  size_t done = 0;
  // In the order of their groups: copies that have not arrived are a tail.
  while (done < thread.copies.size() && thread.copies[done].group < thread.groups - groups) {
    const Copy& copy = thread.copies[done++];
    for (int64_t at = copy.position; at < copy.position + 16; at += kCellBytes) {
      Cell& cell = m.block_.cells[at / kCellBytes];
      cell = Cell{m.block_.now, 0, m.block_.thread, 0};
    }
    unsigned char* target = m.block_.memory + copy.position;
    std::memcpy(target, copy.global, static_cast<size_t>(copy.valid));
    std::memset(target + copy.valid, 0, static_cast<size_t>(16 - copy.valid));
  }
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + static_cast<ptrdiff_t>(done));
}

void check_launch(const void*, Dim grid, Dim block, size_t shared_bytes) {
  uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (uint64_t{grid.x} * grid.y * grid.z == 0 || threads == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || threads > kMaxThreads ||
      block.z > 64 || shared_bytes > kMaxShared) {
    throw Error(UNIFIEDRL_INTERNAL,
                format("a launch of grid (%u, %u, %u), block (%u, %u, %u) and %zu bytes of shared memory is not possible on the device (at most %d "
                       "threads, %zu bytes)",
                       grid.x, grid.y, grid.z, block.x, block.y, block.z, shared_bytes, kMaxThreads, kMaxShared));
  }
}

void run_grid(const void* kernel, Dim grid, Dim block_size, size_t shared_bytes, const std::function<void()>& thread) {
  Machine& m = machine();
  active = &m;
  block = &m.block_;
  gridDim = Index{grid.x, grid.y, grid.z};
  blockDim = Index{block_size.x, block_size.y, block_size.z};
  int threads = static_cast<int>(block_size.x * block_size.y * block_size.z);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = Index{x, y, z};
        m.run_block(kernel, thread, threads, static_cast<int64_t>(shared_bytes));
      }
    }
  }
}

}  // namespace emulated

// The host side.

namespace {

std::atomic<size_t> used_memory{0};
thread_local int recordings = 0;  // that this thread has begun and not ended

size_t memory_limit() {
  const char* text = std::getenv("UNIFIEDRL_EMULATED_MEMORY_MIB");
  return static_cast<size_t>(text == nullptr ? 2048 : std::strtoull(text, nullptr, 10)) << 20;
}

size_t free_memory() {
  size_t limit = memory_limit(), used = used_memory;
  return used < limit ? limit - used : 0;
}

void refuse_while_recording(const char* what) {
  if (recordings > 0) {
    throw Error(UNIFIEDRL_INTERNAL, format("%s while work is being recorded", what));
  }
}

void* allocate_zeroed(size_t bytes, const char* what) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes) != 0) {
    throw Error(UNIFIEDRL_OUT_OF_MEMORY, format("%s: no memory for %zu bytes on the host of the emulated device", what, bytes));
  }
  std::memset(memory, 0, bytes);
  return memory;
}

}  // namespace

int device_count() { return 1; }
std::string device_problem() { return ""; }

DeviceProperties properties(int index) {
  select_device(index);
  return DeviceProperties{"emulated device", 2, emulated::kMaxShared, memory_limit(), free_memory(), 8, 0, 0, 0};
}

void select_device(int index) {
  if (index < 0 || index >= device_count()) {
    fail_argument("device %d: there are %d, counted from 0", index, device_count());
  }
}

DeviceBuffer::DeviceBuffer(size_t bytes, const char* what) {
  refuse_while_recording("allocating");
  if (bytes == 0) {
    return;
  }
  size_t free = free_memory();
  if (bytes > free) {
    throw out_of_device_memory(what, bytes, free, memory_limit());
  }
  data_ = allocate_zeroed(bytes, what);
  size_ = bytes;
  used_memory += bytes;
}

DeviceBuffer::~DeviceBuffer() {
  std::free(data_);
  used_memory -= size_;
}

HostBuffer::HostBuffer(size_t bytes, const char* what) {
  refuse_while_recording("allocating");
  if (bytes != 0) {
    data_ = allocate_zeroed(bytes, what);
    size_ = bytes;
  }
}

HostBuffer::~HostBuffer() { std::free(data_); }

struct StreamState {
  Graph::State* recording = nullptr;
};

struct EventState {
  std::chrono::steady_clock::time_point time;
  Graph::State* recording = nullptr;  // that it was recorded in
  bool timed = false;
};

// Nodes run in the order in which they were recorded, whatever streams they were put on.
struct Graph::State {
  std::vector<std::function<void()>> nodes;
  std::vector<StreamState*> streams;  // that are being recorded; the first is the one that began
  std::vector<EventState*> events;    // that were recorded into it
  bool recording = false, complete = false;

  void stop() {
    recordings -= recording;
    recording = false;
    for (StreamState* stream : streams) {
      stream->recording = nullptr;
    }
    for (EventState* event : events) {
      event->recording = nullptr;
    }
    streams.clear();
    events.clear();
  }
};

namespace {

StreamState& state_of(const Stream& stream) { return *static_cast<StreamState*>(stream.handle()); }
EventState& state_of(void* event) { return *static_cast<EventState*>(event); }

template <typename T>
void erase(std::vector<T*>& from, T* what) {
  from.erase(std::remove(from.begin(), from.end(), what), from.end());
}

}  // namespace

Event::Event(bool timed) : handle_(new EventState) { state_of(handle_).timed = timed; }
Event::~Event() {
  EventState* state = &state_of(handle_);
  if (state->recording != nullptr) {
    erase(state->recording->events, state);
  }
  delete state;
}
void Event::record(Stream& stream) {
  EventState& state = state_of(handle_);
  if (state.recording != nullptr) {
    erase(state.recording->events, &state);
  }
  state.recording = state_of(stream).recording;
  if (state.recording != nullptr) {
    state.recording->events.push_back(&state);
  }
  state.time = std::chrono::steady_clock::now();
}
void Event::synchronise() { refuse_while_recording("waiting for an event"); }
float Event::milliseconds_since(const Event& earlier) const {
  const EventState &a = state_of(earlier.handle_), &b = state_of(handle_);
  if (!a.timed || !b.timed) {
    throw Error(UNIFIEDRL_INTERNAL, "time between events that are not timed");
  }
  return std::chrono::duration<float, std::milli>(b.time - a.time).count();
}

Stream::Stream(int) : handle_(new StreamState) {}
Stream::~Stream() {
  StreamState* state = &state_of(*this);
  if (state->recording != nullptr) {
    erase(state->recording->streams, state);
  }
  delete state;
}
void Stream::synchronise() { refuse_while_recording("waiting for a stream"); }
void Stream::wait(const Event& event) {
  StreamState& state = state_of(*this);
  Graph::State* recording = state_of(event.handle_).recording;
  if (recording != nullptr && state.recording == nullptr) {
    state.recording = recording;
    recording->streams.push_back(&state);
  }
}

namespace emulated {
void submit(Stream& stream, std::function<void()> work) {
  Graph::State* recording = state_of(stream).recording;
  if (recording != nullptr) {
    recording->nodes.push_back(std::move(work));
  } else {
    work();
  }
}
}  // namespace emulated

// Copies between launches allocate nothing, as on a device.
template <typename Work>
static void submit_copy(size_t bytes, Stream& stream, Work work) {
  if (bytes == 0) {
    return;
  }
  if (state_of(stream).recording != nullptr) {
    emulated::submit(stream, work);
  } else {
    work();
  }
}
void copy_to_device(void* destination, const void* source, size_t bytes, Stream& stream) {
  submit_copy(bytes, stream, [=] { std::memcpy(destination, source, bytes); });
}
void copy_to_host(void* destination, const void* source, size_t bytes, Stream& stream) { copy_to_device(destination, source, bytes, stream); }
void copy_on_device(void* destination, const void* source, size_t bytes, Stream& stream) { copy_to_device(destination, source, bytes, stream); }
void fill_zero(void* destination, size_t bytes, Stream& stream) {
  submit_copy(bytes, stream, [=] { std::memset(destination, 0, bytes); });
}

Graph::Graph() : state_(std::make_unique<State>()) {}
Graph::~Graph() { clear(); }
void Graph::begin(Stream& stream) {
  clear();
  if (state_of(stream).recording != nullptr) {
    throw Error(UNIFIEDRL_INTERNAL, "the stream is being recorded already");
  }
  state_of(stream).recording = state_.get();
  state_->streams.push_back(&state_of(stream));
  state_->recording = true;
  ++recordings;
}
void Graph::end() {
  if (!state_->recording) {
    throw Error(UNIFIEDRL_INTERNAL, "end of a recording that was not begun");
  }
  state_->stop();
  state_->complete = true;
}
void Graph::clear() noexcept {
  state_->stop();
  state_->nodes.clear();
  state_->complete = false;
}
void Graph::launch(Stream&) {
  if (!state_->complete) {
    throw Error(UNIFIEDRL_INTERNAL, "launch of a graph that was not recorded");
  }
  refuse_while_recording("launching a graph");
  for (const std::function<void()>& node : state_->nodes) {
    node();
  }
}
size_t Graph::nodes() const { return state_->complete ? state_->nodes.size() : 0; }

}  // namespace unifiedrl::cuda
