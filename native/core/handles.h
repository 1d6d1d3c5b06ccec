// Which handles are alive, so that a closed, foreign or invented handle is an error and not a crash.
#pragma once

#include <cstdint>

namespace unifiedrl {

enum class Handle { kProgram, kReplay, kEngine, kPolicy };

// A pointer to the C++ object becomes a handle of this kind until it is removed.
void add_handle(const void* handle, Handle kind);
// False where the handle is not a living one of this kind.
bool remove_handle(const void* handle, Handle kind);
// Throws Error(UNIFIEDRL_INVALID_ARGUMENT) unless the handle is a living one of this kind.
void check_handle(const void* handle, Handle kind);

// Inside a catch block: sets this thread's error text and gives the status.
int32_t current_failure(const char* function) noexcept;

// Runs the body of one function of the C ABI: failures become a status and this thread's error text. Nothing escapes.
template <typename Body>
int32_t guarded(const char* function, Body body) noexcept {
  try {
    body();
    return 0;
  } catch (...) {
    return current_failure(function);
  }
}

}  // namespace unifiedrl
