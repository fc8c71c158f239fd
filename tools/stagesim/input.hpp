#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "tools/study/scenario_input.hpp"

namespace stagesim {

// What run and compare share: where the scenario comes from and what overrides it.
// `positional`: whether the scenario is what stands without an option.
boost::program_options::options_description scenario_options(bool positional = true);
boost::program_options::options_description output_options();

// Parses args strictly: long options only, nothing guessed, unknown ones answered with the nearest.
// `positional_name` receives up to `most` words without an option; -1 for any number.
boost::program_options::variables_map parse_args(
    const std::string& command, const std::vector<std::string>& args,
    const boost::program_options::options_description& options,
    const char* positional_name = "scenario", int most = 1);

// The scenario of file or ready-made name, inline options and --set, in this order.
ScenarioInput scenario_input(const std::string& command,
                             const boost::program_options::variables_map& vm);
Scenario scenario_from(const std::string& command, const boost::program_options::variables_map& vm);
// The same for a command that replays one schedule: --schedule, or the scenario's. InputError when
// there is none.
Scenario scenario_with_schedule(const std::string& command,
                                const boost::program_options::variables_map& vm);

// The value of --name, an option with a default. InputError unless it is a number in [low, high].
double number_option(const boost::program_options::variables_map& vm, const char* name, double low,
                     double high);

// --threads, a number; 0, one for each core.
int threads_option(const boost::program_options::variables_map& vm);

}  // namespace stagesim
