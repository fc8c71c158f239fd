#include <fmt/format.h>

#include "schedules/table.hpp"
#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/report.hpp"
#include "tools/stagesim/uncertainty_report.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

po::options_description compare_options() {
  po::options_description options = scenario_options();
  options.add_options()("schedules", po::value<std::string>(),
                        "a,b:parameter=value,c; all that train when left out");
  add_uncertainty_option(options,
                         "replay so many samples of each schedule, with the same draws for all: "
                         "the intervals of their step times, and which is the fastest how often");
  return options.add(output_options());
}

std::vector<ScheduleSpec> specs_from(const po::variables_map& vm, const Scenario& scenario) {
  std::vector<ScheduleSpec> specs;
  if (!vm.count("schedules")) {
    for (const ScheduleInfo& info : schedule_table()) {
      if (!trains(info)) continue;  // no row to compare
      // The scenario's own schedule keeps its parameters.
      const bool own = !scenario.schedule.name.empty() &&
                       find_schedule(scenario.schedule.name).name == info.name;
      specs.push_back(own ? scenario.schedule : ScheduleSpec{std::string(info.name), {}});
    }
    return specs;
  }
  return schedule_list(vm["schedules"].as<std::string>());
}

Answer compare(const std::vector<std::string>& args, std::ostream& out, std::ostream&) {
  const po::options_description options = compare_options();
  const po::variables_map vm = parse_args("compare", args, options);
  if (vm.count("help")) {
    out << "usage: stagesim compare [SCENARIO] [options]\n\n"
           "Replays several schedules under the same costs and prints one table. A schedule that "
           "refuses the\n"
           "shape is listed with its reason.\n\n"
        << options
        << "\nexamples\n"
           "  stagesim compare gpt-1.5b-8xa800\n"
           "  stagesim compare gpt-1.5b-8xa800 --schedules amdp:preload=1,amdp,2bw --set "
           "batch.global=32\n"
           "  stagesim compare --ranks 8 --microbatches 8 --F 1 --B 2\n";
    return Answer::kYes;
  }
  const Scenario scenario = scenario_from("compare", vm);
  std::vector<Attempt> attempts = run_schedules(scenario, specs_from(vm, scenario));
  Problems refusals;
  bool any = false;
  for (const Attempt& attempt : attempts) {
    any = any || attempt.run.has_value();
    if (!attempt.run) refusals.add_text(attempt.refusal);
  }
  if (!any) refusals.throw_if_any();
  sample_steps(vm, scenario, false, attempts);
  if (vm.count("json")) {
    print_json(out, scenario, attempts);
  } else {
    print_report(out, scenario, attempts);
  }
  return vm.count("require-fit") && !all_fit(attempts) ? Answer::kNo : Answer::kYes;
}

}  // namespace

const Command kCompareCommand{"compare", "replay several schedules under the same costs: one table",
                              compare};

}  // namespace stagesim
