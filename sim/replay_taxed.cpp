#include <cmath>
#include <deque>

#include "sim/replay_loops.hpp"

namespace stagesim {
namespace {

// Compute and messages slow each other down (OverlapTax). Every lane is a link of its own and
// serves one message at a time. A task's work is its duration in nanoseconds, done at a rate that
// changes when something beside it starts or ends; an event that a change has superseded differs
// from the time that is due now.
class TaxedLanes {
 public:
  static constexpr bool kShared = true;

  explicit TaxedLanes(const Program& program)
      : program_(program),
        jobs_(program.what->size()),
        links_(program.what->lanes.size()),
        ranks_(static_cast<std::size_t>(program.what->shape.ranks)) {}

  bool carries(LaneId) const { return true; }

  void send(TaskId t, Nanos now, ReplayBuffers& b, EventQueue& events) {
    Link& link = links_[lane(t)];
    if (is_message(t) && link.busy) return link.waiting.push_back(t);
    begin(t, now, b, events);
  }

  // Whether a task is over with this event.
  bool settles(const Event& event, ReplayBuffers& b, EventQueue& events) {
    Job& job = jobs_[event.task];
    if (job.due != event.at) return false;
    if (job.state == State::kWorking) {
      leave(event.task, event.at, events);
      if (is_message(event.task)) {
        on_its_way(event.task, event.at, events);
        serve_next(lane(event.task), event.at, b, events);
        return false;
      }
    } else if (job.state != State::kOnItsWay) {
      return false;
    }
    job.state = State::kOver;
    b.end[event.task] = event.at;
    return true;
  }

 private:
  enum class State : std::uint8_t { kWaiting, kWorking, kOnItsWay, kOver };
  struct Job {
    double left = 0;  // ns of work at `since`
    double rate = 0;  // of work per ns
    Nanos since{}, due{};
    State state = State::kWaiting;
  };
  struct Link {
    bool busy = false;
    std::deque<TaskId> waiting{};
  };
  struct Rank {
    std::vector<TaskId> messages{};   // that occupy a link, in or out
    std::vector<TaskId> computing{};  // one at most, or two of no length
  };

  LaneId lane(TaskId t) const { return program_.what->lane[t]; }
  bool is_message(TaskId t) const { return lane(t) > ranks_.size(); }
  const Lane& ends(TaskId t) const { return program_.what->lanes[lane(t)]; }
  Rank& sender(TaskId t) { return ranks_[static_cast<std::size_t>(ends(t).from_rank)]; }
  Rank& receiver(TaskId t) { return ranks_[static_cast<std::size_t>(ends(t).to_rank)]; }
  bool computes(TaskId t) const {
    return lane(t) < ranks_.size() && is_busy(program_.what->op[t].kind);
  }

  void begin(TaskId t, Nanos now, ReplayBuffers& b, EventQueue& events) {
    b.start[t] = now;
    Job& job = jobs_[t];
    job.left = static_cast<double>((program_.duration[t] - ends(t).latency).count());
    job.since = now;
    job.state = State::kWorking;
    if (is_message(t)) {
      links_[lane(t)].busy = true;
      if (job.left == 0) return take_rate(t, 1, now, events);  // occupies nothing
      sender(t).messages.push_back(t);
      receiver(t).messages.push_back(t);
    } else if (computes(t) && job.left > 0) {
      ranks_[lane(t)].computing.push_back(t);
    } else {
      return take_rate(t, 1, now, events);
    }
    take_rate(t, rate_of(t), now, events);
    change_beside(t, now, events);
  }

  void leave(TaskId t, Nanos now, EventQueue& events) {
    if (is_message(t)) {
      std::erase(sender(t).messages, t);
      std::erase(receiver(t).messages, t);
    } else if (computes(t)) {
      std::erase(ranks_[lane(t)].computing, t);
    } else {
      return;
    }
    change_beside(t, now, events);
  }

  double rate_of(TaskId t) {
    if (!is_message(t))
      return ranks_[lane(t)].messages.empty() ? 1 : 1 / program_.overlap_tax.compute;
    const bool alone = sender(t).computing.empty() && receiver(t).computing.empty();
    return alone ? 1 : 1 / program_.overlap_tax.transfer;
  }

  // The rates of what runs beside a task that has just begun or ended.
  void change_beside(TaskId t, Nanos now, EventQueue& events) {
    const auto change = [&](const std::vector<TaskId>& tasks) {
      for (const TaskId other : tasks) {
        if (const double rate = rate_of(other); rate != jobs_[other].rate)
          take_rate(other, rate, now, events);
      }
    };
    if (!is_message(t)) return change(ranks_[lane(t)].messages);
    change(sender(t).computing);
    change(receiver(t).computing);
  }

  void take_rate(TaskId t, double rate, Nanos now, EventQueue& events) {
    Job& job = jobs_[t];
    job.left = std::max(0.0, job.left - static_cast<double>((now - job.since).count()) * job.rate);
    job.since = now;
    job.rate = rate;
    // The end is rounded up, what is left is not; but not up by what 1 / rate is short of a double.
    job.due = now + Nanos(static_cast<std::int64_t>(std::ceil(job.left / rate - 1e-6)));
    events.push({job.due, t});
  }

  void on_its_way(TaskId t, Nanos now, EventQueue& events) {
    Job& job = jobs_[t];
    job.state = State::kOnItsWay;
    job.due = now + ends(t).latency;
    events.push({job.due, t});
  }

  void serve_next(LaneId at, Nanos now, ReplayBuffers& b, EventQueue& events) {
    Link& link = links_[at];
    link.busy = false;
    if (link.waiting.empty()) return;
    const TaskId next = link.waiting.front();
    link.waiting.pop_front();
    begin(next, now, b, events);
  }

  const Program& program_;
  std::vector<Job> jobs_;    // [task]
  std::vector<Link> links_;  // [lane]
  std::vector<Rank> ranks_;  // [rank]
};

}  // namespace

TaskId run_taxed(const Program& program, ReplayBuffers& b) {
  TaxedLanes lanes(program);
  return run(program, b, lanes);
}

}  // namespace stagesim
