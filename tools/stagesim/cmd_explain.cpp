#include <fmt/format.h>
#include <fmt/ostream.h>

#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/report.hpp"
#include "tools/study/explain.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

Answer explain_command(const std::vector<std::string>& args, std::ostream& out, std::ostream&) {
  po::options_description options = scenario_options();
  options.add_options()("schedule", po::value<std::string>(),
                        "NAME or NAME:parameter=value, instead of the scenario's");
  options.add_options()("help", "this text");
  const po::variables_map vm = parse_args("explain", args, options);
  if (vm.count("help")) {
    out << "usage: stagesim explain [SCENARIO] [options]\n\n"
           "Replays one schedule and says why each rank idles: its warm-up, what it waits for, the "
           "limiting stage,\nthe critical path op by op, and the closed form, where the schedule "
           "has one, beside the replayed number.\n\n"
        << options
        << "\nexamples\n"
           "  stagesim explain unit-p4-m8 --schedule zb-h1\n"
           "  stagesim explain --schedule interleaved-1f1b:v=4 --ranks 4 --microbatches 8 --F 1 "
           "--B 2\n";
    return Answer::kYes;
  }
  const Scenario scenario = scenario_with_schedule("explain", vm);
  const Attempt attempt{scenario.schedule, run_schedule(scenario, scenario.schedule), ""};
  for (const std::string& line : explain(*attempt.run)) fmt::print(out, "{}\n", line);
  fmt::print(out, "\nassumptions\n");
  for (const std::string& line : all_assumptions(scenario, {attempt}))
    fmt::print(out, "  {}\n", line);
  return Answer::kYes;
}

}  // namespace

const Command kExplainCommand{
    "explain", "why each rank idles, the critical path, and the closed form beside the replay",
    explain_command};

}  // namespace stagesim
