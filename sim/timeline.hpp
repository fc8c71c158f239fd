#pragma once

#include <memory>
#include <vector>

#include "sim/program.hpp"

namespace stagesim {

// What happened: predicted by replay, measured by an executor, or read from somebody else's trace.
// Entry t of start and end belongs to task t of `what`. Of a transfer: start is when the link took
// it, end is the arrival; the producer's end to start is time spent queueing for the link.
struct Timeline {
  std::shared_ptr<const Activities> what;
  std::vector<Nanos> start, end;

  const Shape& shape() const { return what->shape; }
  Nanos duration(TaskId t) const { return end[t] - start[t]; }
};

// Tasks on the compute lane of a rank in the order they ran (ties: zero-length first, then task
// id).
std::vector<TaskId> order_of_rank(const Timeline& timeline, int rank);

struct Span {
  Nanos start{}, end{};
  Nanos length() const { return end - start; }
};
// First start to last end over all ranks; zero for an empty timeline.
Span wall(const Timeline& timeline);
// The longest single rank, from its own first op to its last (what zero-bubble papers report).
Nanos longest_rank_span(const Timeline& timeline);

// Of a timeline that was measured, not replayed: every join is where the last of the tasks before
// it ended.
void place_joins(const Program& program, Timeline& timeline);

// The order that a greedy run chose, as a fixed schedule with U cells put back.
Schedule chosen_order(const Timeline& timeline, const std::string& name);

}  // namespace stagesim
