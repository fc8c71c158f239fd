#include "sim/clock_alignment.hpp"

#include <algorithm>
#include <deque>
#include <map>

namespace stagesim {

ClockAlignment clock_alignment(const Timeline& timeline) {
  const Activities& what = *timeline.what;
  std::map<std::pair<int, int>, Nanos> fastest;  // (from, to)
  for_each_transfer(what, [&](TaskId t, const Transfer&) {
    const Lane& lane = what.lanes[what.lane[t]];
    const auto [entry, fresh] =
        fastest.try_emplace({lane.from_rank, lane.to_rank}, timeline.duration(t));
    if (!fresh) entry->second = std::min(entry->second, timeline.duration(t));
  });
  const auto ranks = static_cast<std::size_t>(what.shape.ranks);
  ClockAlignment result{.offset = std::vector<Nanos>(ranks), .unknown = {}};
  std::vector<bool> known(ranks, false);
  std::deque<int> todo{0};
  known[0] = true;
  while (!todo.empty()) {
    const int rank = todo.front();
    todo.pop_front();
    for (const auto& [ends, there] : fastest) {
      const auto [from, to] = ends;
      if (from != rank || known[static_cast<std::size_t>(to)]) continue;
      const auto back = fastest.find({to, from});
      if (back == fastest.end()) continue;
      known[static_cast<std::size_t>(to)] = true;
      result.offset[static_cast<std::size_t>(to)] =
          result.offset[static_cast<std::size_t>(rank)] + (there - back->second) / 2;
      todo.push_back(to);
    }
  }
  for (std::size_t r = 0; r < ranks; ++r) {
    if (!known[r]) result.unknown.push_back(static_cast<int>(r));
  }
  return result;
}

Timeline aligned(const Timeline& timeline, const ClockAlignment& alignment) {
  const Activities& what = *timeline.what;
  Timeline result = timeline;
  Nanos earliest = Nanos::max();
  for (TaskId t = 0; t < what.size(); ++t) {
    const Lane& lane = what.lanes[what.lane[t]];
    const auto offset = [&](int rank) {
      return rank < 0 ? Nanos{0} : alignment.offset[static_cast<std::size_t>(rank)];
    };
    result.start[t] -= offset(lane.from_rank);
    result.end[t] -= offset(lane.to_rank);
    if (what.op[t].kind != OpKind::kJoin) earliest = std::min(earliest, result.start[t]);
  }
  if (what.size() == 0) return result;
  for (TaskId t = 0; t < what.size(); ++t) {
    result.start[t] -= earliest;
    result.end[t] -= earliest;
  }
  return result;
}

std::size_t messages_back_in_time(const Timeline& timeline) {
  std::size_t count = 0;
  for_each_transfer(*timeline.what, [&](TaskId t, const Transfer&) {
    count += timeline.end[t] < timeline.start[t] ? 1 : 0;
  });
  return count;
}

}  // namespace stagesim
