#pragma once

#include <fmt/format.h>

#include <cctype>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/shell_words.hpp"
#include "sim/base/error.hpp"

namespace stagesim {

// Inside of shell_words.cpp (words, assignments, commands) and shell_expand.cpp (quotes and $).

inline constexpr std::size_t kMostShellText = 1 << 20;  // of all expansions together
inline constexpr int kDeepestShell = 20;
inline constexpr char kMark = '\x01', kMarkEnd = '\x02', kMarkBlank = '\x03';

using ShellWords = std::vector<std::string>;

inline bool shell_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}
inline bool shell_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// What all parts of a script share. A plain variable has one entry.
struct Shell {
  std::string file;
  std::map<std::string, ShellWords> variables;
  std::set<std::string> conditional, used;
  std::size_t grown = 0;

  const ShellWords* find(const std::string& name) {
    used.insert(name);
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : &found->second;
  }
};

class ShellScanner {
 public:
  ShellScanner(Shell& shell, std::string_view text, int line, int depth)
      : shell_(shell), text_(text), line_(line), depth_(depth) {}

  void script(ShellScript& to);
  // Everything as one word, as in ${NAME:-this}.
  std::string joined() {
    ShellWords words;
    while (at_ < text_.size()) part(words, false);
    std::string all;
    for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
    return all;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("{}:{}: {}", shell_.file, line_, what));
  }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  char next() {
    const char c = text_[at_++];
    if (c == '\n') ++line_;
    return c;
  }
  bool take(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    for (std::size_t i = 0; i < what.size(); ++i) next();
    return true;
  }
  void grow(ShellWords& words, std::string_view more) {
    shell_.grown += more.size() + 1;
    if (shell_.grown > kMostShellText) fail("variables expand to more than a million characters");
    if (words.empty()) words.emplace_back();
    words.back() += more;
  }
  // Up to the bracket that closes the one just read.
  std::string_view until_closed(char open, char close) {
    const std::size_t begin = at_;
    for (int level = 1; at_ < text_.size();) {
      const char c = next();
      if (c == open) ++level;
      if (c == close && --level == 0) return text_.substr(begin, at_ - 1 - begin);
    }
    fail(fmt::format("a '{}' is never closed", open));
  }

  void part(ShellWords& words, bool split);
  void double_quoted(ShellWords& words);
  void dollar(ShellWords& words, bool split, bool quoted);
  void braces(ShellWords& words, bool split, bool quoted);
  void insert(ShellWords& words, const ShellWords& values, bool split, bool apart);
  ShellWords word(bool split);
  bool assignment();
  void redirection(ShellWords& words);
  void array(ShellWords& words);
  void skip_comment() {
    while (at_ < text_.size() && peek() != '\n') next();
  }

  Shell& shell_;
  std::string_view text_;
  std::size_t at_ = 0;
  int line_, depth_;
};

}  // namespace stagesim
