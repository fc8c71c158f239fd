#include "sim/causes.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace stagesim {

namespace {
constexpr TaskId kNone = OpIndex::kNone;
}

Causes::Causes(const Timeline& timeline)
    : timeline_(timeline), index_(timeline.shape().stages, timeline.shape().microbatches) {
  const Activities& what = *timeline.what;
  const std::size_t tasks = what.size();
  lane_before_.assign(tasks, kNone);
  lane_after_.assign(tasks, kNone);
  message_into_.assign(tasks, kNone);
  transfer_consumer_.assign(tasks, kNone);
  transfer_producer_.assign(tasks, kNone);
  group_of_.assign(tasks, kNone);
  for (int r = 0; r < what.shape.ranks; ++r) {
    order_.push_back(order_of_rank(timeline, r));
    TaskId before = kNone;
    for (const TaskId t : order_.back()) {
      lane_before_[t] = before;
      if (before != kNone) lane_after_[before] = t;
      before = t;
      index_.insert(what.op[t], t);
    }
  }
  std::vector<std::vector<TaskId>> on_link(what.lanes.size());
  for_each_transfer(what, [&](TaskId t, const Transfer& transfer) {
    message_into_[transfer.consumer] = t;
    transfer_consumer_[t] = transfer.consumer;
    transfer_producer_[t] = transfer.producer;
    if (what.alone.empty()) on_link[what.lane[t]].push_back(t);  // else they share, none queues
  });
  for (std::vector<TaskId>& messages : on_link) {
    std::sort(messages.begin(), messages.end(), [&](TaskId a, TaskId b) {
      return std::tie(timeline.start[a], timeline.end[a], a) <
             std::tie(timeline.start[b], timeline.end[b], b);
    });
    for (std::size_t i = 1; i < messages.size(); ++i) lane_before_[messages[i]] = messages[i - 1];
  }
  group_collectives();
}

// Partners: the same collective of the same stage and window, or the barrier of the same window.
void Causes::group_collectives() {
  const Activities& what = *timeline_.what;
  std::map<std::tuple<OpKind, int, int>, std::uint32_t> groups;
  for (TaskId t = 0; t < what.size(); ++t) {
    const Op& op = what.op[t];
    if (op.kind != OpKind::kReduce && op.kind != OpKind::kBarrier &&
        op.kind != OpKind::kBroadcast && op.kind != OpKind::kStep) {
      continue;
    }
    if (op.kind == OpKind::kStep && what.shape.pipelines == 1) continue;  // nobody waits for it
    // A broadcast also waits for the owner's step, which therefore is looked up under its name.
    const int stage = op.kind == OpKind::kBarrier ? -1 : op.stage;
    const auto [entry, fresh] = groups.try_emplace({op.kind, stage, op.microbatch}, groups_.size());
    if (fresh) groups_.emplace_back();
    groups_[entry->second].push_back(t);
    group_of_[t] = entry->second;
  }
  for (const auto& [key, members] : groups) {
    if (std::get<0>(key) != OpKind::kBroadcast) continue;
    const auto step = groups.find({OpKind::kStep, std::get<1>(key), std::get<2>(key)});
    if (step == groups.end()) continue;
    for (const TaskId t : groups_[step->second]) groups_[members].push_back(t);
  }
}

std::vector<TaskId> Causes::producers(TaskId t) const {
  std::vector<TaskId> found;
  for (const Dependency& d : dependencies(timeline_.what->op[t], timeline_.shape().stages)) {
    if (const TaskId producer = index_.find(d.op); producer != kNone) found.push_back(producer);
  }
  return found;
}

TaskId Causes::start_of_pair(TaskId t) const {
  const bool second = timeline_.what->op[t].pair == PairPart::kBackward;
  return second && lane_before_[t] != kNone ? lane_before_[t] : t;
}

TaskId Causes::waited_for(TaskId t) const {
  if (timeline_.what->op[t].pair != PairPart::kForward || lane_after_[t] == kNone) return t;
  const auto ready = [&](TaskId half) {
    Nanos at{0};
    if (message_into_[half] != kNone) at = timeline_.end[message_into_[half]];
    for (const TaskId producer : producers(half)) at = std::max(at, timeline_.end[producer]);
    return at;
  };
  return ready(lane_after_[t]) > ready(t) ? lane_after_[t] : t;
}

std::vector<TaskId> Causes::candidates(TaskId t) const {
  const Activities& what = *timeline_.what;
  t = start_of_pair(t);
  std::vector<TaskId> found;
  const auto add = [&](TaskId c) {
    if (c != kNone && c != t) found.push_back(c);
  };
  if (is_transfer(what.op[t].kind)) {
    add(transfer_producer_[t]);
    add(lane_before_[t]);
    // blocking: the receiver posts when the op before its consumer is done, a late sender when the
    // op after the producer is
    TaskId posts = lane_before_[transfer_consumer_[t]];
    while (posts != kNone && is_update_part(what.op[posts].kind)) posts = lane_before_[posts];
    add(posts);
    add(lane_after_[transfer_producer_[t]]);
    return found;
  }
  add(message_into_[t]);
  add(lane_before_[t]);
  for (const TaskId producer : producers(t)) add(producer);
  if (what.op[t].pair == PairPart::kForward && lane_after_[t] != kNone) {
    add(message_into_[lane_after_[t]]);
    for (const TaskId producer : producers(lane_after_[t])) add(producer);
  }
  // blocking: the messages of the two ops before hold the rank (one may have been posted late); an
  // update between them posts none
  const bool update = is_update_part(what.op[t].kind);
  TaskId before = update ? kNone : lane_before_[t];
  for (int ops = 0; before != kNone && ops < 2; before = lane_before_[before]) {
    if (before + 1 < what.size() && transfer_producer_[before + 1] == before) add(before + 1);
    ops += is_update_part(what.op[before].kind) ? 0 : 1;
  }
  if (group_of_[t] != kNone && what.op[t].kind != OpKind::kStep) {
    for (const TaskId partner : groups_[group_of_[t]]) {
      add(what.op[partner].kind == what.op[t].kind ? lane_before_[partner] : partner);
    }
  }
  return found;
}

Nanos Causes::released(TaskId t, TaskId next) const {
  const Activities& what = *timeline_.what;
  const bool queue = is_transfer(what.op[t].kind) && what.lane[t] == what.lane[next];
  return timeline_.end[t] - (queue ? what.lanes[what.lane[t]].latency : Nanos{0});
}

std::optional<TaskId> Causes::predecessor(TaskId t) const {
  std::optional<TaskId> best;
  for (const TaskId c : candidates(t)) {
    const Nanos at = released(c, t);
    if (at <= timeline_.start[t] && (!best || at > released(*best, t))) best = c;
  }
  return best;
}

}  // namespace stagesim
