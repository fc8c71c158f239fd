#include <cctype>
#include <charconv>

#include "hwmodels/shell_words.hpp"

namespace stagesim {
namespace {

constexpr int kDeepest = 50;
constexpr std::int64_t kLargest = 1'000'000'000'000;  // exact as a double

class Expression {
 public:
  Expression(std::string_view text, const ShellVariable& variable)
      : text_(text), variable_(variable) {}

  std::optional<std::int64_t> all() {
    const auto value = sum(0);
    skip();
    if (at_ != text_.size()) return {};
    return value;
  }

 private:
  using Value = std::optional<std::int64_t>;

  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  static Value bounded(double value) {
    if (value > static_cast<double>(kLargest) || value < -static_cast<double>(kLargest)) return {};
    return static_cast<std::int64_t>(value);
  }

  Value sum(int depth) {
    Value left = product(depth);
    while (left) {
      const bool plus = take('+');
      if (!plus && !take('-')) return left;
      const Value right = product(depth);
      if (!right) return {};
      left = bounded(static_cast<double>(plus ? *left + *right : *left - *right));
    }
    return left;
  }

  Value product(int depth) {
    Value left = unary(depth);
    while (left) {
      const bool times = take('*');
      const bool over = !times && take('/');
      if (!times && !over && !take('%')) return left;
      const Value right = unary(depth);
      if (!right || (!times && *right == 0)) return {};
      if (times)
        left = bounded(static_cast<double>(*left) * static_cast<double>(*right));
      else
        left = over ? *left / *right : *left % *right;
    }
    return left;
  }

  Value unary(int depth) {
    if (depth > kDeepest) return {};
    if (take('-')) {
      const Value value = unary(depth + 1);
      return value ? Value(-*value) : value;
    }
    if (take('(')) {
      const Value value = sum(depth + 1);
      return take(')') ? value : Value{};
    }
    skip();
    const std::size_t begin = at_;
    bool braces = false;
    if (at_ < text_.size() && text_[at_] == '$') {
      ++at_;
      braces = at_ < text_.size() && text_[at_] == '{';
      if (braces) ++at_;
    }
    const std::size_t name_begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      ++at_;
    std::string word(text_.substr(name_begin, at_ - name_begin));
    const bool is_name = !word.empty() && (begin != name_begin ||
                                           !std::isdigit(static_cast<unsigned char>(word[0])));
    if (braces && (at_ >= text_.size() || text_[at_++] != '}')) return {};
    if (is_name) word = variable_(word).value_or("");
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (word.empty() || error != std::errc() || end != word.data() + word.size()) return {};
    return bounded(static_cast<double>(number));
  }

  std::string_view text_;
  const ShellVariable& variable_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::int64_t> shell_arithmetic(std::string_view text, const ShellVariable& variable) {
  return Expression(text, variable).all();
}

}  // namespace stagesim
