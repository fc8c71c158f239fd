#include "sim/timeline.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

namespace stagesim {

std::vector<TaskId> order_of_rank(const Timeline& timeline, int rank) {
  const Activities& what = *timeline.what;
  const auto r = static_cast<std::size_t>(rank);
  std::vector<TaskId> order;
  for (TaskId t = what.first_of_rank[r]; t < what.first_of_rank[r + 1]; ++t) {
    if (what.lane[t] == static_cast<LaneId>(rank)) order.push_back(t);
  }
  const auto before = [&](TaskId a, TaskId b) {
    return std::tie(timeline.start[a], timeline.end[a], a) <
           std::tie(timeline.start[b], timeline.end[b], b);
  };
  // A fixed order comes out sorted; only greedy and measured runs need the work.
  if (!std::is_sorted(order.begin(), order.end(), before))
    std::sort(order.begin(), order.end(), before);
  return order;
}

Span wall(const Timeline& timeline) {
  if (timeline.start.empty()) return {};
  return {*std::min_element(timeline.start.begin(), timeline.start.end()),
          *std::max_element(timeline.end.begin(), timeline.end.end())};
}

Nanos longest_rank_span(const Timeline& timeline) {
  const Activities& what = *timeline.what;
  Nanos longest{0};
  for (std::size_t r = 0; r + 1 < what.first_of_rank.size(); ++r) {
    std::optional<Span> span;
    for (TaskId t = what.first_of_rank[r]; t < what.first_of_rank[r + 1]; ++t) {
      if (what.lane[t] != static_cast<LaneId>(r)) continue;
      if (!span) span = Span{timeline.start[t], timeline.end[t]};
      span->start = std::min(span->start, timeline.start[t]);
      span->end = std::max(span->end, timeline.end[t]);
    }
    if (span) longest = std::max(longest, span->length());
  }
  return longest;
}

void place_joins(const Program& program, Timeline& timeline) {
  for (TaskId t = 0; t < timeline.what->size(); ++t) {
    for (std::uint32_t i = program.first_next[t]; i < program.first_next[t + 1]; ++i) {
      const TaskId next = program.next[i];
      if (timeline.what->op[next].kind != OpKind::kJoin) continue;
      timeline.end[next] = std::max(timeline.end[next], timeline.end[t]);
      timeline.start[next] = timeline.end[next];
    }
  }
}

Schedule chosen_order(const Timeline& timeline, const std::string& name) {
  Schedule s{.name = name, .shape = timeline.shape()};
  for (int r = 0; r < timeline.shape().ranks; ++r) {
    const std::vector<TaskId> order = order_of_rank(timeline, r);
    const auto update_key = [&](TaskId t) {
      const Op& op = timeline.what->op[t];
      return std::make_tuple(op.pipeline, op.stage, op.microbatch);
    };
    // The cell of an update stands where its last part ran: there the new weights are in.
    std::map<std::tuple<std::uint16_t, std::uint16_t, std::int32_t>, TaskId> last_part;
    for (const TaskId t : order) {
      const OpKind kind = timeline.what->op[t].kind;
      if (is_update_part(kind) && kind != OpKind::kBarrier) last_part[update_key(t)] = t;
    }
    std::vector<Op>& ops = s.ops_of_rank.emplace_back();
    for (const TaskId t : order) {
      Op op = timeline.what->op[t];
      if (is_update_part(op.kind)) {
        if (op.kind == OpKind::kBarrier || last_part[update_key(t)] != t) continue;
        op.kind = OpKind::kUpdate;
      }
      ops.push_back(op);
    }
  }
  return s;
}

}  // namespace stagesim
