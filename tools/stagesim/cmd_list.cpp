#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <set>

#include "hwmodels/model.hpp"
#include "hwmodels/node_type.hpp"
#include "hwmodels/profile.hpp"
#include "schedules/table.hpp"
#include "sim/base/names.hpp"
#include "tools/stagesim/command.hpp"
#include "tools/study/scenario.hpp"

namespace stagesim {
namespace {

void list_schedules(std::ostream& out) {
  fmt::print(out, "schedules\n");
  for (const ScheduleInfo& info : schedule_table()) {
    std::string aliases;
    for (const std::string_view alias : info.aliases)
      aliases += fmt::format("{}{}", aliases.empty() ? " (also " : ", ", alias);
    fmt::print(out, "  {:<22} {}{}; {}\n", info.name, info.summary,
               aliases.empty() ? "" : aliases + ")", info.source);
    for (const ScheduleOption& o : info.options) {
      fmt::print(out, "    {:<20} {} [{}], default {}\n", fmt::format("{}:{}=", info.name, o.name),
                 o.meaning, o.values, o.fallback);
    }
  }
}

Answer list(const std::vector<std::string>& args, std::ostream& out, std::ostream&) {
  const std::vector<std::string> kinds{"schedules", "scenarios", "profiles",
                                       "nodes",     "models",    "--help"};
  std::set<std::string> only;
  for (const std::string& arg : args) {
    if (std::find(kinds.begin(), kinds.end(), arg) == kinds.end())
      throw InputError("stagesim list: " + unknown_name("kind", arg, kinds));
    only.insert(arg);
  }
  if (only.count("--help") > 0) {
    fmt::print(out,
               "usage: stagesim list [schedules|scenarios|profiles|nodes|models]\none line each; "
               "parameters of a schedule are given as name:parameter=value\n");
    return Answer::kYes;
  }
  const auto wanted = [&](const char* kind) { return only.empty() || only.count(kind) > 0; };
  if (wanted("schedules")) list_schedules(out);
  if (wanted("scenarios")) {
    fmt::print(out, "scenarios\n");
    for (const ScenarioLine& line : list_scenarios())
      fmt::print(out, "  {:<22} {}\n", line.name, line.summary);
  }
  if (wanted("profiles")) {
    fmt::print(out, "profiles\n");
    for (const ProfileLine& line : list_profiles()) {
      std::string links;
      if (line.kind == "gpu") {
        for (const LinkProfile& link : gpu_profile(line.name).links)
          links += (links.empty() ? "; link " : ", ") + link.name;
      }
      fmt::print(out, "  {:<22} {}: {}{}\n", line.name, line.kind, line.summary, links);
    }
  }
  if (wanted("nodes")) {
    fmt::print(out, "nodes\n");
    for (const ProfileLine& line : list_node_types())
      fmt::print(out, "  {:<22} {}\n", line.name, line.summary);
  }
  if (wanted("models")) {
    fmt::print(out, "models\n");
    for (const std::string& name : model_preset_names()) fmt::print(out, "  {}\n", name);
  }
  return Answer::kYes;
}

}  // namespace

const Command kListCommand{
    "list", "schedules, scenarios, profiles, node types and models, one line each", list};

}  // namespace stagesim
