#pragma once

#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/costs.hpp"
#include "sim/dependencies.hpp"
#include "sim/program.hpp"

namespace stagesim {

inline constexpr TaskId kNoTask = OpIndex::kNone;

// What lowering knows between its halves: lower.cpp makes the tasks, lower_edges.cpp joins them for
// a fixed order, lower_greedy.cpp for one that the replay chooses; lower_network.cpp lays the
// routes of messages that share links. Not for use outside.
struct Lowering {
  const Schedule& schedule;
  const Costs& costs;
  const Shape& shape;
  OpIndex index;
  std::shared_ptr<Activities> what = std::make_shared<Activities>();
  Program program{};
  std::map<std::pair<int, int>, LaneId> links{};           // (from rank, to rank)
  std::vector<TaskId> update_tasks{};                      // every update part, in id order
  std::map<std::tuple<OpKind, int, int>, TaskId> joins{};  // (kind, stage or -1, window)
  std::set<TaskId> late_senders{};                         // blocking: posted one group later
  std::vector<TaskId> updated{};                           // greedy: [rank * windows + window]
  std::map<TaskId, std::vector<Op>> update_cells{};        // greedy: what a U task starts

  bool greedy() const { return schedule.dispatch != Dispatch::kFixed; }
  bool replicated() const { return shape.pipelines > 1; }
  bool is_compute_lane(TaskId t) const { return what->lane[t] < static_cast<LaneId>(shape.ranks); }
  // The message of t's output, if it sends one.
  TaskId transfer_of(TaskId t) const {
    return t + 1 < what->size() && is_transfer(what->op[t + 1].kind) ? t + 1 : kNoTask;
  }
  // Greedy: when the update of a window is done on a rank.
  TaskId updated_at(LaneId rank, int window) const {
    return updated[rank * static_cast<std::size_t>(shape.windows()) +
                   static_cast<std::size_t>(window)];
  }
  // Where the participants of a collective or barrier meet.
  TaskId join_of(const Op& op) const {
    const int stage = op.kind == OpKind::kBarrier ? -1 : op.stage;
    const auto found = joins.find({op.kind, stage, op.microbatch});
    return found == joins.end() ? kNoTask : found->second;
  }
};

constexpr Op with_kind(Op op, OpKind kind) {
  op.kind = kind;
  return op;
}

// Edges are produced twice in the same order: counted first, then written where the counts say.
struct EdgeSink {
  Program& program;
  bool writing = false;
  void operator()(TaskId before, TaskId after) {
    if (writing) {
      program.next[program.first_next[before]++] = after;
    } else {
      ++program.unmet[after];
      ++program.first_next[before + 1];
    }
  }
};

void make_edges(Lowering& l);
void make_network(Lowering& l);
void greedy_update_edges(const Lowering& l, TaskId update, const std::vector<Op>& cells,
                         EdgeSink& edge);
void greedy_edges(const Lowering& l, EdgeSink& edge);

}  // namespace stagesim
