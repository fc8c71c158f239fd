#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tools/study/run.hpp"

namespace stagesim {

// The table of one or more schedules under a scenario, what its words mean, the verdict, and every
// assumption with where its number came from.
void print_report(std::ostream& out, const Scenario& scenario,
                  const std::vector<Attempt>& attempts);

// All assumptions of a scenario and its runs, each once.
std::vector<std::string> all_assumptions(const Scenario& scenario,
                                         const std::vector<Attempt>& attempts);

void print_json(std::ostream& out, const Scenario& scenario, const std::vector<Attempt>& attempts);

// kNo if a schedule does not fit the GPU and the user required that.
bool all_fit(const std::vector<Attempt>& attempts);

}  // namespace stagesim
