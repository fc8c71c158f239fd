#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/error.hpp"

namespace stagesim {

// The flags of one launch by name without "--" ("_" as "-"), with the words up to the next flag.
class MegatronArguments {
 public:
  MegatronArguments(std::map<std::string, std::vector<std::string>> flags, std::string file,
                    Problems& problems)
      : flags_(std::move(flags)), file_(std::move(file)), problems_(&problems) {}

  bool has(const std::string& name) const { return flags_.count(name) > 0; }
  // A switch takes no value; what follows it is a problem.
  bool on(const std::string& name);
  std::optional<std::string> text(const std::string& name);
  // A whole number from low to high. Nothing when the flag is missing or a problem was reported.
  std::optional<int> integer(const std::string& name, int low = 1, int high = 1'000'000'000);
  std::optional<double> number(const std::string& name);

  void missing(const std::string& name) { problem("--" + name + ": missing"); }
  void problem(const std::string& text) { problems_->add("{}: {}", file_, text); }
  std::string said(const std::string& name) const;  // "--num-layers 24"
  const std::map<std::string, std::vector<std::string>>& all() const { return flags_; }

 private:
  std::map<std::string, std::vector<std::string>> flags_;
  std::string file_;
  Problems* problems_;
};

// megatron_model.cpp: what the arguments say about the model, and about the rest of a scenario.
struct MegatronLaunch;
void read_megatron_model(MegatronArguments& args, MegatronLaunch& launch);
void read_megatron_parallel(MegatronArguments& args, MegatronLaunch& launch);

}  // namespace stagesim
