#include "sim/critical_path.hpp"

#include <algorithm>

#include "sim/causes.hpp"

namespace stagesim {

CriticalPath critical_path(const Timeline& timeline) {
  CriticalPath path;
  const Activities& what = *timeline.what;
  if (what.size() == 0) return path;
  const Causes causes(timeline);
  TaskId last = 0;
  for (TaskId t = 1; t < what.size(); ++t) {
    if (what.op[t].kind != OpKind::kJoin && timeline.end[t] > timeline.end[last]) last = t;
  }
  path.tasks.push_back(last);
  // A chain cannot be longer than the timeline; the bound keeps a malformed measured one from
  // looping.
  for (auto before = causes.predecessor(last); before && path.tasks.size() < what.size();
       before = causes.predecessor(*before)) {
    path.tasks.push_back(*before);
  }
  std::reverse(path.tasks.begin(), path.tasks.end());
  path.waiting = timeline.start[path.tasks.front()] - wall(timeline).start;
  for (std::size_t i = 0; i < path.tasks.size(); ++i) {
    const TaskId t = path.tasks[i];
    const bool end_of_path = i + 1 == path.tasks.size();
    const Nanos until = end_of_path ? timeline.end[t] : timeline.start[path.tasks[i + 1]];
    // A message's link is handed on before it arrives: then only that part is on the path.
    const Nanos on_path = std::min(timeline.end[t], until) - timeline.start[t];
    const OpKind kind = what.op[t].pair == PairPart::kNone ? what.op[t].kind : OpKind::kPair;
    path.by_kind[static_cast<std::size_t>(kind)] += on_path;
    path.waiting += until - timeline.start[t] - on_path;
  }
  path.length = path.waiting;
  for (const Nanos time : path.by_kind) path.length += time;
  return path;
}

}  // namespace stagesim
