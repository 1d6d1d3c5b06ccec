#include "core/memory.h"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "core/error.h"
#include "unifiedrl.h"

namespace unifiedrl {

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
