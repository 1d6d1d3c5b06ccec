// Failures inside the engine are exceptions of this one type; the C ABI turns them into a status and a thread-local text (api.cpp).
#pragma once

#include <cstdarg>
#include <cstdint>
#include <string>

namespace unifiedrl {

class Error {
 public:
  Error(int32_t status, std::string text) : status_(status), text_(std::move(text)) {}
  int32_t status() const { return status_; }
  const std::string& text() const { return text_; }
  // The same failure with the context of a caller in front: "engine_create: op 'x': ...".
  Error within(const std::string& context) const { return Error(status_, context + ": " + text_); }

 private:
  int32_t status_;
  std::string text_;
};

// printf into a string.
[[gnu::format(printf, 1, 0)]] std::string vformat(const char* pattern, va_list arguments);
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);
// Throws Error(UNIFIEDRL_INVALID_ARGUMENT, format(...)).
[[noreturn, gnu::format(printf, 1, 2)]] void fail_argument(const char* pattern, ...);

}  // namespace unifiedrl
