#pragma once

#include <boost/program_options.hpp>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <vector>

#include "tools/study/run.hpp"

namespace stagesim {

// --uncertainty N; `by_default` says what happens without it.
void add_uncertainty_option(boost::program_options::options_description& options,
                            const char* by_default);

// Fills Attempt::uncertainty of every run: as many samples as the option says; without it
// kDefaultSamples where `by_default`, unless that replays more than kMostByDefault activities.
// Throws InputError where the option is given and nothing varies.
void sample_steps(const boost::program_options::variables_map& vm, const Scenario& scenario,
                  bool by_default, std::vector<Attempt>& attempts);

inline constexpr int kDefaultSamples = 200;
inline constexpr double kMostByDefault = 2e7;

// The interval of each schedule, what makes it wide, and who is the fastest how often.
void print_uncertainty(std::ostream& out, const Scenario& scenario,
                       const std::vector<Attempt>& attempts);
// Into the result's "schedules", one for each attempt that ran.
void add_uncertainty(nlohmann::json& schedules, const Scenario& scenario,
                     const std::vector<Attempt>& attempts);

}  // namespace stagesim
