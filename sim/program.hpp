#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/base/time.hpp"
#include "sim/network.hpp"
#include "sim/overlap_tax.hpp"
#include "sim/schedule.hpp"

namespace stagesim {

using TaskId = std::uint32_t;
using LaneId = std::uint32_t;

// A message: its own task follows its producer's in the arrays.
struct Transfer {
  TaskId producer = 0, consumer = 0;
  std::int64_t bytes = 0;
};

struct Lane {
  int from_rank = 0, to_rank = 0;  // equal: the compute lane of that rank
  Nanos latency{};  // of a link: arrival comes this much after the link is free again
};

// What the tasks are, shared by a Program and every Timeline of it. Structure of arrays: entry t
// describes task t. Lanes 0..ranks-1 compute, lane `ranks` holds the joins, the rest are links, one
// direction each. The tasks of a rank are contiguous, in rank order; an op is followed by the
// transfer of its output; joins come last.
struct Activities {
  Shape shape;
  Dispatch dispatch = Dispatch::kFixed;
  std::vector<Op> op;
  std::vector<LaneId> lane;
  std::vector<Lane> lanes;
  std::vector<Transfer> transfers;    // in task order: the k-th task that is_transfer
  std::vector<TaskId> first_of_rank;  // [ranks + 1]
  // [t], where messages share links: how long a message takes alone. Empty: as long as it took.
  std::vector<Nanos> alone{};

  TaskId size() const { return static_cast<TaskId>(op.size()); }
};

// Calls visit(task, transfer) for every message, in task order.
template <typename Visit>
void for_each_transfer(const Activities& what, Visit&& visit) {
  std::size_t k = 0;
  for (TaskId t = 0; t < what.size(); ++t) {
    if (is_transfer(what.op[t].kind)) visit(t, what.transfers[k++]);
  }
}

// One graph of tasks. Successors of t are next[first_next[t]] up to next[first_next[t + 1]].
struct Program {
  std::shared_ptr<const Activities> what;
  std::vector<Nanos> duration;
  std::vector<std::uint32_t> unmet;  // how many tasks it waits for
  std::vector<std::uint32_t> first_next{0};
  std::vector<TaskId> next;
  Dispatch dispatch = Dispatch::kFixed;
  std::vector<std::uint32_t> priority;  // greedy only: lower runs first
  // Overlapped pairs, by their second task. The first one takes the time of both; replay then gives
  // the second the same start and end.
  struct Pair {
    TaskId forward = 0, backward = 0;
  };
  std::vector<Pair> pairs;
  // greedy only: after this task the lane is kept for the task that follows it in the arrays (the
  // parts of an update are one unit)
  std::vector<bool> keeps_lane;
  Network network{};         // which messages share which links; without routes none do
  OverlapTax overlap_tax{};  // not together with a network
};

}  // namespace stagesim
