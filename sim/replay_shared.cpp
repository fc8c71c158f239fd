#include "sim/network.hpp"
#include "sim/replay_loops.hpp"

namespace stagesim {
namespace {

// Messages that share a link of the program's network share it fairly. A message has two events:
// its links are free again, and after the latency it arrives. An event that a change of rates has
// superseded differs from the time that is due now.
class SharedLinks {
 public:
  static constexpr bool kShared = true;

  explicit SharedLinks(const Program& program)
      : program_(program), shares_(program.network), message_of_(program.what->size()) {
    std::uint32_t k = 0;
    for_each_transfer(*program.what, [&](TaskId t, const Transfer&) { message_of_[t] = k++; });
    messages_.resize(k);
  }

  bool carries(LaneId lane) const { return !program_.network.route[lane].empty(); }

  void send(TaskId t, Nanos now, ReplayBuffers& b, EventQueue& events) {
    const Activities& what = *program_.what;
    const LaneId lane = what.lane[t];
    const Nanos alone = program_.duration[t] - what.lanes[lane].latency;
    const auto bytes = static_cast<double>(what.transfers[message_of_[t]].bytes);
    Message& message = messages_[message_of_[t]];
    b.start[t] = now;
    // Without a size it takes nothing from others, and nobody slows it.
    if (alone.count() == 0 || bytes == 0) return on_its_way(message, t, now + alone, events);
    message.state = State::kSending;
    message.slot = shares_.start(program_.network.route[lane], bytes, alone, now);
    if (message.slot >= task_of_slot_.size()) task_of_slot_.resize(message.slot + std::size_t{1});
    task_of_slot_[message.slot] = t;
    reschedule(events);
  }

  // Whether a task is over with this event.
  bool settles(const Event& event, ReplayBuffers& b, EventQueue& events) {
    const TaskId t = event.task;
    if (!carries(program_.what->lane[t])) return true;
    Message& message = messages_[message_of_[t]];
    if (message.due != event.at) return false;
    if (message.state == State::kSending) {
      shares_.finish(message.slot, event.at);
      reschedule(events);
      on_its_way(message, t, event.at, events);
      return false;
    }
    if (message.state != State::kOnItsWay) return false;
    message.state = State::kThere;
    b.end[t] = event.at;
    return true;
  }

 private:
  enum class State : std::uint8_t { kUnsent, kSending, kOnItsWay, kThere };
  struct Message {
    State state = State::kUnsent;
    std::uint32_t slot = 0;
    Nanos due{};
  };

  void on_its_way(Message& message, TaskId t, Nanos now, EventQueue& events) {
    message.state = State::kOnItsWay;
    message.due = now + program_.what->lanes[program_.what->lane[t]].latency;
    events.push({message.due, t});
  }

  void reschedule(EventQueue& events) {
    for (const std::uint32_t slot : shares_.moved()) {
      const TaskId t = task_of_slot_[slot];
      messages_[message_of_[t]].due = shares_.end(slot);
      events.push({shares_.end(slot), t});
    }
  }

  const Program& program_;
  FairShares shares_;
  std::vector<std::uint32_t> message_of_;  // [task]
  std::vector<Message> messages_;          // [transfer]
  std::vector<TaskId> task_of_slot_;
};

}  // namespace

TaskId run_on_shared_links(const Program& program, ReplayBuffers& b) {
  SharedLinks links(program);
  return run(program, b, links);
}

}  // namespace stagesim
