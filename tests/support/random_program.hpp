#pragma once

#include <random>

#include "sim/costs.hpp"
#include "sim/schedule.hpp"
#include "sim/timeline.hpp"

namespace stagesim::test {

struct RandomShape {
  int most_ranks = 5, most_stages_per_rank = 3, most_microbatches = 6, most_windows = 3;
  bool several_pipelines = false, zero_costs = false, messages = true;
};

// A schedule whose order was drawn by running random ready ops one after another: always legal,
// seldom sensible. Placement, split or full backward, windows and pipelines are drawn too.
Schedule random_schedule(std::mt19937& random, const RandomShape& shape);
Costs random_costs(std::mt19937& random, const Schedule& schedule, const RandomShape& shape);

// All times, so many times as long: the rounding of ends to nanoseconds stays small beside them.
Costs times_longer(Costs costs, int factor);

// A second engine, slow and obvious: settles every op whose inputs are known, then serves the
// message that has waited longest, again and again. One pipeline, overlapped communication. Returns
// start and end per op of ops_of_rank, flattened rank after rank (updates included).
std::vector<Span> slow_replay(const Schedule& schedule, const Costs& costs);

}  // namespace stagesim::test
