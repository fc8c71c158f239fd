#pragma once

#include "sim/costs.hpp"
#include "sim/program.hpp"

namespace stagesim {

// The most activities a program may have (about 16 GB of memory).
inline constexpr std::int64_t kMostActivities = 200'000'000;

// Turns a plan and its costs into one graph of tasks: a task per op and per message, updates
// expanded into reduce, barrier, step and broadcast, blocking communication into edges. Expects a
// schedule that passes check_schedule and costs with one entry per stage (InternalError otherwise).
// Throws ShapeError for blocking communication of a greedy schedule.
Program lower(const Schedule& schedule, const Costs& costs);

}  // namespace stagesim
