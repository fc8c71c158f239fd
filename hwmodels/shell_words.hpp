#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stagesim {

// One simple command of a shell script, variables filled in.
struct ShellCommand {
  int line = 1;
  std::vector<std::string> words;
};

struct ShellScript {
  std::vector<ShellCommand> commands;  // assignments alone are no command
  // Variables that are used and that if, case or a loop sets: every assignment was taken, in order.
  std::vector<std::string> conditional;
};

// The part of POSIX shell and bash that launch scripts are written in: comments, continued lines,
// quotes, NAME=value, arrays, ${NAME}, ${NAME:-default}, ${NAME[@]}, $((arithmetic)). Nothing runs.
// What cannot be known (environment, $1, $(command)) becomes a mark, see unresolved_in(). Throws
// InputError "<file>:<line>: ..." for text that never ends or grows without bound.
ShellScript read_shell(std::string_view text, const std::string& file);

// The names in a word that could not be filled in: "$WORLD_SIZE", "$(hostname)".
std::vector<std::string> unresolved_in(const std::string& word);

// "8 * (nodes + 1)": whole numbers, + - * / %, parentheses, names with or without $. Nothing when
// a name is unknown, the text is something else, or it divides by 0.
using ShellVariable = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::int64_t> shell_arithmetic(std::string_view text, const ShellVariable& variable);

}  // namespace stagesim
