#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/hf_config.hpp"

namespace stagesim {

// What the launch says about another part of a scenario, to be used where that says nothing.
struct ScenarioDefault {
  std::string path;  // "parallel.pipeline"
  Json value;
  std::string from;  // "--pipeline-model-parallel-size 8"
};

struct MegatronLaunch {
  ModelFile file;  // vocab 0 where only the tokenizer knows it
  std::vector<ScenarioDefault> defaults;
};

// Reads the arguments of a Megatron-LM training (NVIDIA/Megatron-LM megatron/training/arguments.py)
// from a shell script that launches it, or from the argument line alone. Flags that do not matter
// here are counted, those that matter and are not modelled are problems or notes, unknown ones are
// named. Throws one InputError with all problems, variables that cannot be filled in among them.
MegatronLaunch read_megatron_args(std::string_view text, const std::string& file);

enum class FlagKind { kRead, kIgnored, kNoted, kRefused, kUnknown };
struct FlagMeaning {
  FlagKind kind = FlagKind::kUnknown;
  std::string_view why{};  // of a note or a refusal
  bool above_one = false;  // only a value above 1 means anything
};
FlagMeaning megatron_flag(std::string_view name);  // without "--", "_" as "-"
std::vector<std::string> megatron_read_flags();

}  // namespace stagesim
