#include "sim/base/error.hpp"

namespace stagesim {

void Problems::throw_if_any() const {
  if (lines_.empty()) return;
  std::string text;
  for (const std::string& line : lines_) {
    if (!text.empty()) text += '\n';
    text += line;
  }
  throw InputError(text);
}

void check_failed(const char* condition, const char* file, int line) {
  throw InternalError(fmt::format("internal check failed: {} ({}:{})", condition, file, line));
}

}  // namespace stagesim
