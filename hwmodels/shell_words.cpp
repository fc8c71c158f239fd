#include "hwmodels/shell_words.hpp"

#include <algorithm>
#include <iterator>

#include "hwmodels/shell_scanner.hpp"

namespace stagesim {

ShellWords ShellScanner::word(bool split) {
  ShellWords words;
  while (at_ < text_.size() &&
         std::string_view(" \t\r\n;&|()<>").find(peek()) == std::string::npos) {
    if (take("\\\n") || take("\\\r\n")) break;
    part(words, split);
  }
  // An unquoted expansion may leave nothing, or a gap at its end.
  if (split) words.erase(std::remove(words.begin(), words.end(), ""), words.end());
  return words;
}

void ShellScanner::array(ShellWords& words) {
  while (!take(")")) {
    if (at_ >= text_.size()) fail("an array's ( is never closed");
    if (take("\\\n") || take("\\\r\n")) continue;
    if (peek() == '#')
      skip_comment();
    else if (shell_blank(peek()) || std::string_view(";&|(<>").find(peek()) != std::string::npos)
      next();
    else
      for (std::string& one : word(true)) words.push_back(std::move(one));
  }
}

// NAME=value, NAME+=value, NAME=( ... ); false when there is none here.
bool ShellScanner::assignment() {
  std::size_t end = at_;
  while (end < text_.size() && shell_name_char(text_[end])) ++end;
  const std::string name(text_.substr(at_, end - at_));
  const bool add = text_.substr(end, 2) == "+=";
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) ||
      (!add && text_.substr(end, 1) != "=")) {
    return false;
  }
  at_ = end + (add ? 2 : 1);
  const bool is_array = take("(");
  ShellWords value;
  if (is_array)
    array(value);
  else {
    value = word(false);
    if (value.empty()) value.emplace_back();
  }
  ShellWords& variable = shell_.variables[name];
  if (add && is_array) {
    variable.insert(variable.end(), value.begin(), value.end());
  } else if (add && !variable.empty()) {
    grow(variable, value.front());
  } else {
    variable = value;
  }
  return true;
}

// "> log", "2>&1": neither the number before it nor the file is a word of the command.
void ShellScanner::redirection(ShellWords& words) {
  const bool digit_before = at_ > 0 && std::isdigit(static_cast<unsigned char>(text_[at_ - 1]));
  if (digit_before && !words.empty() && words.back().size() == 1) words.pop_back();
  while (peek() == '<' || peek() == '>' || peek() == '&') next();
  while (peek() == ' ' || peek() == '\t') next();
  word(false);
}

void ShellScanner::script(ShellScript& to) {
  static const std::set<std::string> opening = {"if", "for", "while", "until", "case"};
  static const std::set<std::string> closing = {"fi", "done", "esac"};
  static const std::set<std::string> others = {"then", "else", "elif", "do", "{", "}", "!"};
  static const std::set<std::string> declaring = {"export", "local", "readonly", "declare"};
  int level = 0;
  ShellCommand command{.line = line_, .words = {}};
  const auto finish = [&] {
    if (!command.words.empty()) to.commands.push_back(std::move(command));
    command = {.line = line_, .words = {}};
  };
  while (at_ < text_.size()) {
    if (take("\\\n") || take("\\\r\n")) continue;
    const char c = peek();
    if (c == '#') {
      skip_comment();
    } else if (std::string_view("\n;&|()").find(c) != std::string_view::npos) {
      next();
      finish();
    } else if (c == '<' || c == '>') {
      redirection(command.words);
    } else if (shell_blank(c)) {
      next();
    } else {
      const bool first = command.words.empty();
      if (first) command.line = line_;
      const std::size_t begin = at_;
      if ((first || declaring.count(command.words.front()) > 0) && assignment()) {
        const std::string_view text = text_.substr(begin);
        if (level > 0) shell_.conditional.emplace(text.substr(0, text.find_first_of("+=")));
        continue;
      }
      ShellWords words = word(true);
      if (first && words.size() == 1) {
        if (opening.count(words[0]) > 0) ++level;
        if (closing.count(words[0]) > 0) level = std::max(0, level - 1);
        if (others.count(words[0]) > 0) continue;
      }
      command.words.insert(command.words.end(), words.begin(), words.end());
    }
  }
  finish();
}

ShellScript read_shell(std::string_view text, const std::string& file) {
  Shell shell{.file = file, .variables = {}, .conditional = {}, .used = {}};
  ShellScript script;
  ShellScanner(shell, text, 1, 0).script(script);
  std::set_intersection(shell.conditional.begin(), shell.conditional.end(), shell.used.begin(),
                        shell.used.end(), std::back_inserter(script.conditional));
  return script;
}

std::vector<std::string> unresolved_in(const std::string& word) {
  std::vector<std::string> names;
  for (std::size_t at = word.find(kMark); at != std::string::npos; at = word.find(kMark, at + 1)) {
    const std::size_t end = std::min(word.find(kMarkEnd, at), word.size());
    names.push_back(word.substr(at + 1, end - at - 1));
    std::replace(names.back().begin(), names.back().end(), kMarkBlank, ' ');
  }
  return names;
}

}  // namespace stagesim
