#pragma once

#include <vector>

#include "sim/program.hpp"

namespace stagesim::test {

struct SimgridRun {
  std::vector<double> end;  // [task]: ns; 0 for a task that never ended
  double seconds = 0;       // of real time
};

// Runs programs of a fixed order in SimGrid (https://simgrid.org, S4U interface, network model
// CM02 without cross traffic), where one simulated second stands for one nanosecond: computations
// are executions on the one core of a rank's host, messages are communications over SimGrid links,
// whose rates SimGrid shares on its own. An activity is created when what it waits for is over.
// The order of what is ready at once is ours, since a link serves first come, first served: by
// instant, then by task. Once per process: SimGrid has one engine.
std::vector<SimgridRun> run_in_simgrid(const std::vector<Program>& programs);

}  // namespace stagesim::test
