#include "sim/replay.hpp"

#include <algorithm>
#include <queue>
#include <tuple>

namespace stagesim {
namespace {

struct Event {
  Nanos at;
  TaskId task;
};

struct Later {
  // Without a branch: which of two events is first is a coin toss for the predictor.
  bool operator()(const Event& a, const Event& b) const {
    return static_cast<int>(a.at > b.at) |
           (static_cast<int>(a.at == b.at) & static_cast<int>(a.task > b.task));
  }
};

std::priority_queue<Event, std::vector<Event>, Later> empty_queue(std::size_t expected) {
  std::vector<Event> storage;
  storage.reserve(expected);
  return std::priority_queue<Event, std::vector<Event>, Later>(Later(), std::move(storage));
}

std::string name(const Program& program, TaskId task) {
  const Activities& what = *program.what;
  const Lane& lane = what.lanes[what.lane[task]];
  const std::string cell = cell_text(what.op[task], what.shape.pipelines);
  if (lane.from_rank < 0) return cell;
  if (lane.from_rank == lane.to_rank) return fmt::format("{} on rank {}", cell, lane.from_rank);
  return fmt::format("{} from rank {} to {}", cell, lane.from_rank, lane.to_rank);
}

// Some tasks never became ready: each of them waits for another one of them, so a cycle exists.
[[noreturn]] void report_deadlock(const Program& program, const std::vector<std::uint32_t>& unmet,
                                  TaskId stuck) {
  const TaskId tasks = program.what->size();
  std::vector<TaskId> waits_for(tasks, tasks);
  for (TaskId t = 0; t < tasks; ++t) {
    if (unmet[t] == 0) continue;
    for (std::uint32_t i = program.first_next[t]; i < program.first_next[t + 1]; ++i) {
      TaskId& blocker = waits_for[program.next[i]];
      if (blocker == tasks) blocker = t;
    }
  }
  TaskId at = 0;
  while (unmet[at] == 0) ++at;
  std::vector<bool> seen(tasks, false);
  while (!seen[at]) {
    seen[at] = true;
    at = waits_for[at];
  }
  const TaskId first = at;
  std::string text = fmt::format("deadlock: {} of {} tasks never became ready; {}", stuck, tasks,
                                 name(program, at));
  constexpr int kShown = 40;
  int shown = 0;
  do {
    at = waits_for[at];
    if (++shown <= kShown) text += fmt::format(", which waits for {}", name(program, at));
  } while (at != first);
  if (shown > kShown) text += fmt::format(", … ({} more in the cycle)", shown - kShown);
  throw DeadlockError(text);
}

// A fixed order needs no ready queue: the chain of a rank makes one task ready at a time, and a
// link serves in order of readiness, so a task's start is known the moment it becomes ready.
TaskId run_fixed(const Program& program, ReplayBuffers& b) {
  const Activities& what = *program.what;
  const TaskId tasks = what.size();
  auto events = empty_queue(4 * what.lanes.size() + 16);
  std::vector<Nanos> latency;
  for (const Lane& lane : what.lanes) latency.push_back(lane.latency);
  const auto start = [&](TaskId t, Nanos now) {
    const LaneId lane = what.lane[t];
    const Nanos from = std::max(now, b.lane_free[lane]);
    const Nanos to = from + program.duration[t];
    b.start[t] = from;
    b.end[t] = to;
    b.lane_free[lane] = to - latency[lane];
    events.push({to, t});
  };
  for (TaskId t = 0; t < tasks; ++t) {
    if (program.unmet[t] == 0) start(t, Nanos{0});
  }
  TaskId done = 0;
  while (!events.empty()) {
    const Event event = events.top();
    events.pop();
    ++done;
    const std::uint32_t last = program.first_next[event.task + 1];
    for (std::uint32_t i = program.first_next[event.task]; i < last; ++i) {
      const TaskId t = program.next[i];
      if (--b.unmet[t] == 0) start(t, event.at);
    }
  }
  return done;
}

struct Ready {
  Nanos since;
  std::uint32_t priority;
  TaskId task;
};

// Greedy dispatch: an idle rank takes its best ready task once everything that happens at this
// instant is known.
TaskId run_greedy(const Program& program, ReplayBuffers& b) {
  const Activities& what = *program.what;
  const TaskId tasks = what.size();
  const auto ranks = static_cast<LaneId>(what.shape.ranks);
  const bool fifo = program.dispatch == Dispatch::kFifo;
  const auto worse = [fifo](const Ready& x, const Ready& y) {
    const auto key = [fifo](const Ready& r) {
      return std::make_tuple(fifo ? r.since : Nanos{0}, r.priority, r.task);
    };
    return key(x) > key(y);
  };
  using ReadyQueue = std::priority_queue<Ready, std::vector<Ready>, decltype(worse)>;
  std::vector<ReadyQueue> waiting(ranks, ReadyQueue(worse));
  std::vector<bool> running(ranks, false);
  std::vector<LaneId> touched;
  auto events = empty_queue(4 * what.lanes.size() + 16);

  const auto run = [&](TaskId t, Nanos from) {
    b.start[t] = from;
    b.end[t] = from + program.duration[t];
    events.push({b.end[t], t});
  };
  const auto ready = [&](TaskId t, Nanos now) {
    const LaneId lane = what.lane[t];
    if (t > 0 && program.keeps_lane[t - 1]) return run(t, now);  // its lane was kept for it
    if (lane < ranks) {
      waiting[lane].push({now, program.priority[t], t});
      touched.push_back(lane);
      return;
    }
    run(t, std::max(now, b.lane_free[lane]));
    b.lane_free[lane] = b.end[t] - what.lanes[lane].latency;
  };
  const auto dispatch = [&](Nanos now) {
    std::sort(touched.begin(), touched.end());
    for (const LaneId lane : touched) {
      if (running[lane] || waiting[lane].empty()) continue;
      running[lane] = true;
      run(waiting[lane].top().task, now);
      waiting[lane].pop();
    }
    touched.clear();
  };

  for (TaskId t = 0; t < tasks; ++t) {
    if (program.unmet[t] == 0) ready(t, Nanos{0});
  }
  dispatch(Nanos{0});
  TaskId done = 0;
  while (!events.empty()) {
    const Nanos now = events.top().at;
    while (!events.empty() && events.top().at == now) {
      const TaskId task = events.top().task;
      events.pop();
      ++done;
      if (what.lane[task] < ranks && !program.keeps_lane[task]) {
        running[what.lane[task]] = false;
        touched.push_back(what.lane[task]);
      }
      for (std::uint32_t i = program.first_next[task]; i < program.first_next[task + 1]; ++i) {
        const TaskId t = program.next[i];
        if (--b.unmet[t] == 0) ready(t, now);
      }
    }
    dispatch(now);
  }
  return done;
}

}  // namespace

void replay_into(const Program& program, ReplayBuffers& b) {
  const TaskId tasks = program.what->size();
  b.start.resize(tasks);
  b.end.resize(tasks);
  b.unmet.assign(program.unmet.begin(), program.unmet.end());
  b.lane_free.assign(program.what->lanes.size(), Nanos{0});
  const TaskId done =
      program.dispatch == Dispatch::kFixed ? run_fixed(program, b) : run_greedy(program, b);
  if (done != tasks) report_deadlock(program, b.unmet, tasks - done);
  for (const Program::Pair& pair : program.pairs) b.start[pair.backward] = b.start[pair.forward];
}

Timeline replay(const Program& program) {
  ReplayBuffers buffers;
  replay_into(program, buffers);
  return {program.what, std::move(buffers.start), std::move(buffers.end)};
}

}  // namespace stagesim
