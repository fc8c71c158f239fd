#pragma once

#include <optional>
#include <vector>

#include "sim/dependencies.hpp"
#include "sim/timeline.hpp"

namespace stagesim {

// What a task of a Timeline could have waited for: shared by the idle attribution and the critical
// path. Built once per timeline, O(tasks) memory.
class Causes {
 public:
  explicit Causes(const Timeline& timeline);

  const std::vector<TaskId>& order(int rank) const {
    return order_[static_cast<std::size_t>(rank)];
  }
  // The task before t on its compute lane, or the message before it on its link.
  std::optional<TaskId> lane_before(TaskId t) const { return maybe(lane_before_[t]); }
  // The message that brings the input of a compute task, and its place in Activities::transfers.
  std::optional<TaskId> message_into(TaskId t) const { return maybe(message_into_[t]); }
  // The op of another task that t needs data from (never one it has only as a message's producer).
  std::vector<TaskId> producers(TaskId t) const;
  // Of an overlapped pair: the half whose inputs came last; t itself otherwise.
  TaskId waited_for(TaskId t) const;
  // Everything t may have waited for, most telling first; see predecessor().
  std::vector<TaskId> candidates(TaskId t) const;
  // The one that freed t: the latest to end that ended by t's start; none at the very start.
  std::optional<TaskId> predecessor(TaskId t) const;

 private:
  static std::optional<TaskId> maybe(TaskId t) {
    return t == OpIndex::kNone ? std::nullopt : std::optional<TaskId>(t);
  }
  // The forward that t runs jointly with, if t is the backward of a pair.
  TaskId start_of_pair(TaskId t) const;
  // When t stops holding back its successor `next`: a link is free before the message arrives.
  Nanos released(TaskId t, TaskId next) const;
  void group_collectives();

  const Timeline& timeline_;
  OpIndex index_;
  std::vector<std::vector<TaskId>> order_;
  std::vector<TaskId> lane_before_, lane_after_, message_into_;
  std::vector<TaskId> transfer_consumer_, transfer_producer_;  // by task, kNone for others
  std::vector<std::vector<TaskId>> groups_;                    // partners in a collective
  std::vector<std::uint32_t> group_of_;                        // by task
};

}  // namespace stagesim
