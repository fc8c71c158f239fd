#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stagesim {

// The user's trouble. The text is complete in itself: where, what was found, what was expected,
// the way out. May hold several lines, one per problem.
struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A schedule that does not allow the shape it was asked for: a comparison lists it and goes on.
struct ShapeError : InputError {
  using InputError::InputError;
};

// Ops that wait for each other in a circle, named in the message.
struct DeadlockError : InputError {
  using InputError::InputError;
};

// Our trouble: a broken promise inside stagesim.
struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};

// Collects every problem of one input, in the order found, so that they are reported together.
class Problems {
 public:
  template <typename... Args>
  void add(fmt::format_string<Args...> text, Args&&... args) {
    lines_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  void add_text(std::string text) { lines_.push_back(std::move(text)); }

  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }

  // Throws one InputError with all lines if there are any.
  void throw_if_any() const;

 private:
  std::vector<std::string> lines_;
};

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace stagesim

// On in release builds too. Never for what a user can cause.
#define STAGESIM_CHECK(condition) \
  ((condition) ? void(0) : ::stagesim::check_failed(#condition, __FILE__, __LINE__))
