// A test framework of one page: TEST(name) { CHECK(...); }, run by name or all at once.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

namespace check {

// Under AddressSanitizer, where a step takes ten times as long and the first ones show what it can see, runs are shorter.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Failure {
  std::string text;
};

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Register {
  Register(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

template <typename... Values>
[[noreturn]] void fail(const char* file, int line, const char* pattern, Values... values) {
  char text[1024];
  std::snprintf(text, sizeof text, pattern, values...);
  throw Failure{std::string(file) + ":" + std::to_string(line) + ": " + text};
}

// Runs the tests whose name contains one of the arguments, or all. The number of failures is the exit status.
inline int main(int argc, char** argv) {
  int passed = 0, failed = 0;
  for (const Test& test : tests()) {
    bool chosen = argc == 1;
    for (int i = 1; i < argc; ++i) {
      chosen = chosen || std::strstr(test.name, argv[i]) != nullptr;
    }
    if (!chosen) {
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    try {
      test.body();
      ++passed;
    } catch (const Failure& failure) {
      ++failed;
      std::printf("FAILED %s\n  %s\n", test.name, failure.text.c_str());
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (seconds >= 1) {
      std::printf("%s: %.1f s\n", test.name, seconds);
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return passed == 0 || failed > 0;
}

}  // namespace check

#define TEST(name)                                            \
  static void test_##name();                                  \
  static check::Register register_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition)                                         \
  do {                                                           \
    if (!(condition)) {                                          \
      check::fail(__FILE__, __LINE__, "not true: %s", #condition); \
    }                                                            \
  } while (false)

// |a - b| <= tolerance * max(1, |b|)
#define CHECK_NEAR(a, b, tolerance)                                                                     \
  do {                                                                                                  \
    double check_a = (a), check_b = (b), check_t = (tolerance);                                         \
    if (!(std::fabs(check_a - check_b) <= check_t * std::fmax(1.0, std::fabs(check_b)))) {              \
      check::fail(__FILE__, __LINE__, "%s = %.12g, expected %.12g within %g", #a, check_a, check_b, check_t); \
    }                                                                                                   \
  } while (false)

#define CHECK_CONTAINS(text, part)                                                                   \
  do {                                                                                               \
    if (std::string(text).find(part) == std::string::npos) {                                         \
      check::fail(__FILE__, __LINE__, "\"%s\" does not contain \"%s\"", std::string(text).c_str(), part); \
    }                                                                                                \
  } while (false)
