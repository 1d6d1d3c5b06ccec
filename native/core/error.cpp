#include "core/error.h"

#include <cstdio>
#include <vector>

#include "unifiedrl.h"

namespace unifiedrl {

std::string vformat(const char* pattern, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int size = std::vsnprintf(nullptr, 0, pattern, arguments);
  std::vector<char> text(static_cast<size_t>(size < 0 ? 0 : size) + 1);
  std::vsnprintf(text.data(), text.size(), pattern, again);
  va_end(again);
  return std::string(text.data());
}

std::string format(const char* pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  std::string text = vformat(pattern, arguments);
  va_end(arguments);
  return text;
}

void fail_argument(const char* pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  std::string text = vformat(pattern, arguments);
  va_end(arguments);
  throw Error(UNIFIEDRL_INVALID_ARGUMENT, std::move(text));
}

}  // namespace unifiedrl
