#include <algorithm>

#include "hwmodels/shell_scanner.hpp"

namespace stagesim {
namespace {

// Stays one word wherever it is filled in.
std::string marked(std::string_view what) {
  std::string text(what.substr(0, 60));
  for (char& c : text) {
    if (shell_blank(c)) c = kMarkBlank;
    if (c == kMark || c == kMarkEnd) c = '?';
  }
  return kMark + text + kMarkEnd;
}

}  // namespace

void ShellScanner::insert(ShellWords& words, const ShellWords& values, bool split, bool apart) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && (apart || split)) words.emplace_back();
    if (i > 0 && !apart && !split) grow(words, " ");
    if (!split) {
      grow(words, values[i]);
      continue;
    }
    std::string_view rest = values[i];
    while (!rest.empty()) {
      const auto end = std::find_if(rest.begin(), rest.end(), shell_blank);
      grow(words, rest.substr(0, static_cast<std::size_t>(end - rest.begin())));
      rest.remove_prefix(static_cast<std::size_t>(end - rest.begin()));
      const bool gap = !rest.empty();
      while (!rest.empty() && shell_blank(rest.front())) rest.remove_prefix(1);
      if (gap) words.emplace_back();
    }
  }
}

void ShellScanner::braces(ShellWords& words, bool split, bool quoted) {
  const std::string_view inside = until_closed('{', '}');
  const auto end = std::find_if_not(inside.begin(), inside.end(), shell_name_char);
  const std::string name(inside.begin(), end);
  std::string_view rest = inside.substr(name.size());
  const bool all = rest.substr(0, 3) == "[@]" || rest.substr(0, 3) == "[*]";
  if (all) rest.remove_prefix(3);
  const ShellWords* found = shell_.find(name);
  const bool fallback = rest.substr(0, 2) == ":-" || rest.substr(0, 2) == ":=" ||
                        rest.substr(0, 1) == "-" || rest.substr(0, 1) == "=";
  if (!rest.empty() && !fallback) return grow(words, marked(fmt::format("${{{}}}", inside)));
  const bool empty = found != nullptr && (found->empty() || found->front().empty());
  if (fallback && (found == nullptr || (rest[0] == ':' && empty))) {
    if (depth_ >= kDeepestShell) fail("${...} nested too deep");
    ShellScanner inner(shell_, rest.substr(rest[0] == ':' ? 2 : 1), line_, depth_ + 1);
    return insert(words, {inner.joined()}, split, false);
  }
  if (found == nullptr) return grow(words, marked("$" + name));
  if (!all && !found->empty()) return insert(words, {found->front()}, split, false);
  insert(words, *found, split, quoted);
}

void ShellScanner::dollar(ShellWords& words, bool split, bool quoted) {
  next();
  if (take("((")) {
    const std::string_view inside = until_closed('(', ')');
    const auto value = shell_arithmetic(inside, [&](const std::string& name) {
      const ShellWords* found = shell_.find(name);
      return found == nullptr || found->empty() ? std::nullopt : std::optional(found->front());
    });
    if (!take(")")) fail("$(( is never closed");
    return grow(words, value ? std::to_string(*value) : marked(fmt::format("$(({}))", inside)));
  }
  if (take("(")) return grow(words, marked(fmt::format("$({})", until_closed('(', ')'))));
  if (take("{")) return braces(words, split, quoted);
  if (!shell_name_char(peek()) || std::isdigit(static_cast<unsigned char>(peek()))) {
    if (std::string_view("@*#?!$-0123456789").find(peek()) != std::string_view::npos && peek())
      return grow(words, marked(std::string("$") + next()));
    return grow(words, "$");
  }
  std::string name;
  while (shell_name_char(peek())) name += next();
  const ShellWords* found = shell_.find(name);
  if (found == nullptr) return grow(words, marked("$" + name));
  if (!found->empty()) insert(words, {found->front()}, split, false);
}

void ShellScanner::double_quoted(ShellWords& words) {
  const int begin = line_;
  next();
  grow(words, "");
  while (at_ < text_.size() && peek() != '"') {
    if (take("\\\n")) continue;
    if (peek() == '\\' && std::string_view("\"\\$`").find(peek(1)) != std::string_view::npos)
      next();
    else if (peek() == '$') {
      dollar(words, false, true);
      continue;
    }
    grow(words, std::string(1, next()));
  }
  if (!take("\"")) {
    line_ = begin;
    fail("a \" is never closed");
  }
}

void ShellScanner::part(ShellWords& words, bool split) {
  const char c = peek();
  if (c == '$') return dollar(words, split, false);
  if (c == '"') return double_quoted(words);
  if (c == '\'') {
    next();
    const std::size_t begin = at_;
    while (at_ < text_.size() && peek() != '\'') next();
    grow(words, text_.substr(begin, at_ - begin));
    if (!take("'")) fail("a ' is never closed");
    return;
  }
  if (c == '`') {
    next();
    const std::size_t begin = at_;
    while (at_ < text_.size() && peek() != '`') next();
    grow(words, marked(fmt::format("`{}`", text_.substr(begin, at_ - begin))));
    if (!take("`")) fail("a ` is never closed");
    return;
  }
  if (c == '\\' && at_ + 1 < text_.size()) next();
  const char plain = next();
  grow(words, std::string(1, plain == kMark || plain == kMarkEnd ? '?' : plain));
}

}  // namespace stagesim
