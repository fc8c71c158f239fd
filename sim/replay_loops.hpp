#pragma once

#include <algorithm>
#include <queue>
#include <tuple>

#include "sim/replay.hpp"

// The two event loops, over the kind of links: not for use outside replay*.cpp. Links::kShared is
// false where a lane is a link of its own; that instantiation pays nothing for the others, each of
// which is compiled apart from it. Elsewhere `carries` says for which lanes the Links decide when a
// task ends.
namespace stagesim {

TaskId run_on_shared_links(const Program& program, ReplayBuffers& b);
TaskId run_taxed(const Program& program, ReplayBuffers& b);

// Internal to each of the two files, as if written there: 3 % faster than with external linkage.
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

using EventQueue = std::priority_queue<Event, std::vector<Event>, Later>;
inline EventQueue empty_queue(std::size_t expected) {
  std::vector<Event> storage;
  storage.reserve(expected);
  return EventQueue(Later(), std::move(storage));
}

// A fixed order needs no ready queue: the chain of a rank makes one task ready at a time, and a
// link serves in order of readiness, so a task's start is known the moment it becomes ready.
template <typename Links>
TaskId run_fixed(const Program& program, ReplayBuffers& b, Links& links) {
  const Activities& what = *program.what;
  const TaskId tasks = what.size();
  auto events = empty_queue(4 * what.lanes.size() + 16);
  std::vector<Nanos> latency;
  for (const Lane& lane : what.lanes) latency.push_back(lane.latency);
  // Left to itself the compiler inlines this or not as its surroundings change, which moves the
  // time of a replay by 3 to 15 %.
  const auto start = [&](TaskId t, Nanos now) __attribute__((always_inline)) {
    const LaneId lane = what.lane[t];
    if constexpr (Links::kShared) {
      if (links.carries(lane)) return links.send(t, now, b, events);
    }
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
    if constexpr (Links::kShared) {
      if (!links.settles(event, b, events)) continue;
    }
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
template <typename Links>
TaskId run_greedy(const Program& program, ReplayBuffers& b, Links& links) {
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
    if constexpr (Links::kShared) {
      if (links.carries(what.lane[t])) return links.send(t, from, b, events);
    }
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
    if constexpr (Links::kShared) {
      if (links.carries(lane)) return run(t, now);
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
      const Event event = events.top();
      events.pop();
      if constexpr (Links::kShared) {
        if (!links.settles(event, b, events)) continue;
      }
      const TaskId task = event.task;
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

// Both return how many tasks ended.
template <typename Links>
TaskId run(const Program& program, ReplayBuffers& b, Links& links) {
  return program.dispatch == Dispatch::kFixed ? run_fixed(program, b, links)
                                              : run_greedy(program, b, links);
}

}  // namespace
}  // namespace stagesim
