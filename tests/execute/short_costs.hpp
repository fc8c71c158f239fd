#pragma once

#include "sim/costs.hpp"
#include "sim/schedule.hpp"
#include "sim/timeline.hpp"

namespace stagesim::test {

// Of short ops: for tests that look at the order, not at the time.
Costs short_costs(const Shape& shape);

// A schedule whose ranks choose, as the order that they chose.
Schedule fixed_order(const Schedule& schedule, const Costs& costs);

// Every edge of the program holds in what was measured, and no task ran shorter than its time.
void check_measured(const Program& program, const Timeline& measured);

}  // namespace stagesim::test
