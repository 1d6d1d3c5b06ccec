// How much memory the host has left.
#pragma once

#include <cstdint>

namespace unifiedrl {

// Bytes that this machine and its container (cgroup version 1 or 2) have left.
double available_memory();
// Fails with UNIFIEDRL_OUT_OF_MEMORY when `bytes` is more than that. Back ends ask once, for the sum of all that they are about to allocate: a
// kernel that overcommits would otherwise grant the memory and kill the process when it is touched.
void check_memory(int64_t bytes, const char* what);

}  // namespace unifiedrl
