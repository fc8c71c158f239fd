#include "hwmodels/megatron_args.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "hwmodels/megatron_arguments.hpp"
#include "hwmodels/shell_words.hpp"
#include "sim/base/names.hpp"

namespace stagesim {
namespace {

using Flags = std::map<std::string, std::vector<std::string>>;

bool is_flag(const std::string& word) {
  return word.size() > 2 && word.compare(0, 2, "--") == 0 && word[2] != '-';
}

// "--nproc_per_node=8" -> "nproc-per-node".
std::string flag_name(const std::string& word) {
  std::string name =
      word.substr(2, word.find('=') == std::string::npos ? word.npos : word.find('=') - 2);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

// bash -c "torchrun ... --num-layers 24" is one word; its inside is what matters.
std::vector<std::string> flat_words(const ShellCommand& command, const std::string& file) {
  std::vector<std::string> words;
  for (const std::string& word : command.words) {
    if (word.find("--num-layers ") == std::string::npos) {
      words.push_back(word);
      continue;
    }
    for (const ShellCommand& inner : read_shell(word, file).commands)
      words.insert(words.end(), inner.words.begin(), inner.words.end());
  }
  return words;
}

bool launches(const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return is_flag(word) && (flag_name(word) == "num-layers" || flag_name(word) == "hidden-size");
  });
}

struct Launch {
  int line = 0;
  std::vector<std::string> words;
};

Launch find_launch(const ShellScript& script, const std::string& file) {
  std::vector<Launch> found;
  std::vector<std::string> lines;
  for (const ShellCommand& command : script.commands) {
    std::vector<std::string> words = flat_words(command, file);
    if (!launches(words) || words.front() == "echo") continue;
    lines.push_back(std::to_string(command.line));
    found.push_back({command.line, std::move(words)});
  }
  if (found.empty()) {
    throw InputError(fmt::format(
        "{}: no command with --num-layers; expected a script that launches Megatron-LM, or its "
        "arguments",
        file));
  }
  if (found.size() > 1) {
    throw InputError(fmt::format("{}: {} commands launch a training, on lines {}; keep one", file,
                                 found.size(), fmt::join(lines, ", ")));
  }
  return found.front();
}

Flags flags_of(const std::vector<std::string>& words, ModelFile& to) {
  Flags flags;
  std::string open;
  for (const std::string& word : words) {
    if (!is_flag(word)) {
      if (!open.empty()) flags[open].push_back(word);
      continue;
    }
    open = flag_name(word);
    std::vector<std::string> before;
    std::swap(before, flags[open]);
    const std::size_t equals = word.find('=');
    if (equals != std::string::npos) flags[open].push_back(word.substr(equals + 1));
    if (!before.empty())
      to.notes.push_back(fmt::format("--{} is given twice; the last counts", open));
  }
  return flags;
}

// A script's name says which model class it trains.
void read_script_name(const std::vector<std::string>& words, MegatronArguments& args, Model& m,
                      ModelFile& to) {
  const auto script = std::find_if(words.begin(), words.end(), [](const std::string& word) {
    return word.size() > 3 && word.compare(word.size() - 3, 3, ".py") == 0;
  });
  if (script == words.end()) return;
  const std::string name = script->substr(script->find_last_of('/') + 1);
  if (name.compare(0, 12, "pretrain_gpt") == 0) return;
  m.encoder = name.compare(0, 13, "pretrain_bert") == 0;
  if (m.encoder) return;
  for (const char* other : {"t5", "mamba", "vlm", "retro", "ict", "vision", "multimodal"}) {
    if (name.find(other) != std::string::npos)
      args.problem(fmt::format("{}: only pretrain_gpt.py and pretrain_bert.py are modelled", name));
  }
  to.notes.push_back(fmt::format("{}: taken as a decoder, as pretrain_gpt.py trains it", name));
}

// Words that may hide flags: $EXTRA_ARGS where a value or nothing should be.
void check_unresolved(const std::string& flag, const std::vector<std::string>& values,
                      FlagKind kind, MegatronArguments& args, ModelFile& to) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (const std::string& name : unresolved_in(values[i])) {
      if (name == "$@" || name == "$*") {
        to.notes.push_back(fmt::format("{}: arguments of the script itself are not seen", name));
      } else if (kind != FlagKind::kRead && i == 0 && name.find("ARG") == std::string::npos &&
                 name.find("OPT") == std::string::npos && name.find("FLAG") == std::string::npos) {
        continue;  // the value of a flag that does not matter
      } else if (flag == "nproc-per-node" || flag == "nnodes") {
        to.notes.push_back(fmt::format(
            "--{} {}: not known here; cluster.nodes and gpus_per_node, or parallel.data, say how "
            "many GPUs there are",
            flag, name));
      } else {
        args.problem(fmt::format(
            "--{}: {} is not set in the script; set it there, or give the arguments as a line",
            flag, name));
      }
    }
  }
}

void check_flags(MegatronArguments& args, ModelFile& to) {
  int ignored = 0;
  std::vector<std::string> unknown;
  for (const auto& [name, values] : args.all()) {
    const FlagMeaning meaning = megatron_flag(name);
    check_unresolved(name, values, meaning.kind, args, to);
    switch (meaning.kind) {
      case FlagKind::kRead:
        break;
      case FlagKind::kIgnored:
        ++ignored;
        break;
      case FlagKind::kNoted:
        to.notes.push_back(fmt::format("{}: {}", args.said(name), meaning.why));
        break;
      case FlagKind::kRefused:
        if (meaning.above_one && (values.empty() || values[0] == "1")) break;
        args.problem(fmt::format("{}: {}", args.said(name), meaning.why));
        break;
      case FlagKind::kUnknown: {
        // A longer one is no misspelling, and comparing it takes long.
        const std::string near = name.size() > 60 ? "" : nearest_name(name, megatron_read_flags());
        unknown.push_back("--" + name +
                          (near.empty() ? "" : fmt::format(" (did you mean --{}?)", near)));
        break;
      }
    }
  }
  if (!unknown.empty())
    to.notes.push_back(fmt::format("flags not known here, ignored: {}", fmt::join(unknown, ", ")));
  if (ignored > 0) {
    to.notes.push_back(
        fmt::format("{} flag{} about data, logging, checkpoints or learning: no effect", ignored,
                    ignored == 1 ? "" : "s"));
  }
}

}  // namespace

bool MegatronArguments::on(const std::string& name) {
  if (!has(name)) return false;
  const std::vector<std::string>& values = flags_[name];
  if (!values.empty() && unresolved_in(values[0]).empty())
    problem(fmt::format("--{}: takes no value, got {}", name, values[0]));
  return true;
}

std::optional<std::string> MegatronArguments::text(const std::string& name) {
  if (!has(name)) return {};
  const std::vector<std::string>& values = flags_[name];
  if (values.empty()) {
    problem(fmt::format("--{}: its value is missing", name));
    return {};
  }
  if (!unresolved_in(values[0]).empty()) return {};  // reported
  return values[0];
}

std::optional<int> MegatronArguments::integer(const std::string& name, int low, int high) {
  const auto word = text(name);
  if (!word) return {};
  int value = 0;
  const auto [end, error] = std::from_chars(word->data(), word->data() + word->size(), value);
  if (error == std::errc() && end == word->data() + word->size() && value >= low && value <= high)
    return value;
  problem(
      fmt::format("--{}: expected a whole number from {} to {}, got {}", name, low, high, *word));
  return {};
}

std::optional<double> MegatronArguments::number(const std::string& name) {
  const auto word = text(name);
  if (!word) return {};
  char* end = nullptr;
  const double value = std::strtod(word->c_str(), &end);
  if (!word->empty() && *end == '\0' && std::isfinite(value)) return value;
  problem(fmt::format("--{}: expected a number, got {}", name, *word));
  return {};
}

std::string MegatronArguments::said(const std::string& name) const {
  const auto found = flags_.find(name);
  std::string text = "--" + name;
  if (found == flags_.end()) return text + " not given";
  if (!found->second.empty() && unresolved_in(found->second[0]).empty())
    text += " " + found->second[0];
  return text;
}

MegatronLaunch read_megatron_args(std::string_view text, const std::string& file) {
  const ShellScript script = read_shell(text, file);
  const Launch found = find_launch(script, file);
  MegatronLaunch launch;
  launch.file.model.name = "megatron";
  Problems problems;
  MegatronArguments args(flags_of(found.words, launch.file), file, problems);
  if (!script.conditional.empty()) {
    launch.file.notes.push_back(
        fmt::format("{}: set inside if, case or a loop; every assignment was taken, in order",
                    fmt::join(script.conditional, ", ")));
  }
  for (const std::string& word : found.words) {  // before the first flag: the launcher's
    if (is_flag(word)) break;
    for (const std::string& name : unresolved_in(word)) {
      if (word.size() == name.size() + 2)
        args.problem(fmt::format("{} is not set in the script; it may hold arguments", name));
    }
  }
  read_script_name(found.words, args, launch.file.model, launch.file);
  check_flags(args, launch.file);
  read_megatron_model(args, launch);
  read_megatron_parallel(args, launch);
  problems.throw_if_any();
  return launch;
}

}  // namespace stagesim
