#include "sim/lower.hpp"

#include <algorithm>
#include <cmath>

#include "sim/lowering.hpp"

namespace stagesim {
namespace {

void check_size(const Schedule& schedule) {
  std::int64_t cells = 0;
  for (const auto& ops : schedule.ops_of_rank) cells += static_cast<std::int64_t>(ops.size());
  if (cells > kMostActivities / 2) {
    throw InputError(
        fmt::format("{}: {} ops and their messages are more than the {} activities that fit; "
                    "use fewer ranks, micro-batches or steps",
                    schedule.name, cells, kMostActivities));
  }
}

// The rank that gets the output of `op`, or -1 when there is none or it stays on the rank.
int receiver(const Lowering& l, const Op& op) {
  int stage = -1;
  if (op.kind == OpKind::kForward && op.stage + 1 < l.shape.stages) stage = op.stage + 1;
  if (is_gradient(op.kind) && op.stage > 0) stage = op.stage - 1;
  if (stage < 0) return -1;
  const int rank = l.shape.rank_of(op.pipeline, stage);
  return rank == l.shape.rank_of(op.pipeline, op.stage) ? -1 : rank;
}

void make_lanes(Lowering& l) {
  for (int r = 0; r < l.shape.ranks; ++r) l.what->lanes.push_back({r, r, {}});
  l.what->lanes.push_back({-1, -1, {}});  // joins
  std::vector<std::pair<int, int>> pairs;
  for (int p = 0; p < l.shape.pipelines; ++p) {
    for (int stage = 0; stage + 1 < l.shape.stages; ++stage) {
      const int a = l.shape.rank_of(p, stage), b = l.shape.rank_of(p, stage + 1);
      if (a != b) pairs.insert(pairs.end(), {{a, b}, {b, a}});
    }
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  for (const auto& [from, to] : pairs) {
    l.links[{from, to}] = static_cast<LaneId>(l.what->lanes.size());
    l.what->lanes.push_back({from, to, l.costs.links.at(l.costs.link_class(from, to)).latency});
  }
}

Nanos duration(const Lowering& l, const Op& op) {
  const StageCosts& c = l.costs.stages[op.stage];
  switch (op.kind) {
    case OpKind::kForward:
      return c.forward;
    case OpKind::kBackward:
      return c.backward;
    case OpKind::kInputGrad:
      return c.input_grad;
    case OpKind::kWeightGrad:
      return c.weight_grad;
    case OpKind::kReduce:
      return c.reduce;
    case OpKind::kStep:
      return c.step;
    case OpKind::kBroadcast:
      return c.broadcast;
    case OpKind::kUpdate:
    case OpKind::kBarrier:
    case OpKind::kSendForward:
    case OpKind::kSendBackward:
    case OpKind::kJoin:
    case OpKind::kPair:
      return Nanos{0};
  }
  return Nanos{0};
}

Nanos scaled(const Lowering& l, const Op& op, Nanos time) {
  const double scale = scale_of(l.costs.microbatch_scale, op.microbatch);
  if (scale == 1) return time;
  return rounded_nanos(scale * static_cast<double>(time.count()));
}

Nanos compute_time(const Lowering& l, const Op& op) { return scaled(l, op, duration(l, op)); }

Nanos at_speed(const Lowering& l, int rank, Nanos time) {
  const double speed = speed_of(l.costs.rank_speed, rank);
  if (speed == 1) return time;
  return rounded_nanos(static_cast<double>(time.count()) / speed);
}

// Of a pair: as stated, or as long as its two halves one after the other.
Nanos pair_time(const Lowering& l, const Op& forward, const Op& backward) {
  const Nanos apart = compute_time(l, forward) + compute_time(l, backward);
  if (l.costs.pair.empty()) return apart;
  const Nanos stated = l.costs.pair.at(forward.stage);
  // Halves of unequal size: as much longer or shorter as they would be apart.
  return (scaled(l, forward, stated) + scaled(l, backward, stated)) / 2;
}

TaskId add(Lowering& l, const Op& op, LaneId lane, Nanos length) {
  l.what->op.push_back(op);
  l.what->lane.push_back(lane);
  l.program.duration.push_back(length);
  return l.what->size() - 1;
}

void add_transfer(Lowering& l, const Op& producer, int from, int to) {
  const std::size_t boundary = static_cast<std::size_t>(
      producer.kind == OpKind::kForward ? producer.stage : producer.stage - 1);
  const LinkClass& link = l.costs.links.at(l.costs.link_class(from, to));
  Op message = producer;
  message.kind = producer.kind == OpKind::kForward ? OpKind::kSendForward : OpKind::kSendBackward;
  const Nanos time = link.transfer_time.empty() ? link.latency : link.transfer_time.at(boundary);
  STAGESIM_CHECK(time >= link.latency);
  // The latency does not grow with the message.
  add(l, message, l.links.at({from, to}), link.latency + scaled(l, producer, time - link.latency));
  const std::int64_t bytes = std::llround(
      scale_of(l.costs.microbatch_scale, producer.microbatch) *
      static_cast<double>(l.costs.message_bytes.empty() ? 0 : l.costs.message_bytes.at(boundary)));
  l.what->transfers.push_back({l.what->size() - 2, kNoTask, bytes});
}

// A run of update cells of one window becomes: all reduces, the barrier, all steps, all
// broadcasts.
std::size_t add_update(Lowering& l, int rank, const std::vector<Op>& ops, std::size_t from) {
  std::size_t to = from;
  while (to < ops.size() && ops[to].kind == OpKind::kUpdate &&
         ops[to].microbatch == ops[from].microbatch)
    ++to;
  std::vector<Op> cells(ops.begin() + static_cast<std::ptrdiff_t>(from),
                        ops.begin() + static_cast<std::ptrdiff_t>(to));
  // Every member of a group takes its stages in the same order, or the collectives would cross.
  std::stable_sort(cells.begin(), cells.end(),
                   [](const Op& a, const Op& b) { return a.stage < b.stage; });
  const TaskId begin = l.what->size();
  if (l.greedy()) {  // where an idle rank turns to its update
    l.update_cells[add(l, cells[0], static_cast<LaneId>(rank), Nanos{0})] = cells;
  }
  const auto add_all = [&](OpKind kind, auto&& wanted) {
    for (Op cell : cells) {
      cell.kind = kind;
      if (!wanted(cell)) continue;
      const Nanos time = duration(l, cell);
      l.update_tasks.push_back(add(l, cell, static_cast<LaneId>(rank),
                                   kind == OpKind::kStep ? at_speed(l, rank, time) : time));
    }
  };
  const bool owner_mode = l.shape.optimizer == Optimizer::kOwner && l.replicated();
  add_all(OpKind::kReduce, [&](const Op& cell) {
    return l.replicated() || l.costs.stages[cell.stage].reduce.count() > 0;
  });
  if (l.costs.barrier)
    add_all(OpKind::kBarrier,
            [&](const Op& cell) { return cell == with_kind(cells[0], cell.kind); });
  add_all(OpKind::kStep,
          [&](const Op& cell) { return !owner_mode || l.shape.rank_of(0, cell.stage) == rank; });
  if (owner_mode) add_all(OpKind::kBroadcast, [](const Op&) { return true; });
  if (l.greedy()) {
    l.program.keeps_lane.resize(l.what->size(), false);
    for (TaskId t = begin; t + 1 < l.what->size(); ++t) l.program.keeps_lane[t] = true;
  }
  return to;
}

void make_tasks(Lowering& l) {
  l.program.dispatch = l.schedule.dispatch;
  std::size_t cells = 0;
  for (const auto& ops : l.schedule.ops_of_rank) cells += ops.size();
  l.what->op.reserve(2 * cells);
  l.what->lane.reserve(2 * cells);
  l.what->transfers.reserve(cells);
  l.program.duration.reserve(2 * cells);
  for (int r = 0; r < l.shape.ranks; ++r) {
    l.what->first_of_rank.push_back(l.what->size());
    const auto& ops = l.schedule.ops_of_rank[static_cast<std::size_t>(r)];
    for (std::size_t i = 0; i < ops.size();) {
      if (ops[i].kind == OpKind::kUpdate) {
        i = add_update(l, r, ops, i);
        continue;
      }
      Nanos time = compute_time(l, ops[i]);
      if (ops[i].pair == PairPart::kForward) time = pair_time(l, ops[i], ops[i + 1]);
      if (ops[i].pair == PairPart::kBackward) time = Nanos{0};  // its forward takes all of it
      const TaskId task = add(l, ops[i], static_cast<LaneId>(r), at_speed(l, r, time));
      l.index.insert(ops[i], task);
      if (ops[i].pair == PairPart::kBackward)
        l.program.pairs.push_back({l.index.find(ops[i - 1]), task});
      if (const int to = receiver(l, ops[i]); to >= 0) add_transfer(l, ops[i], r, to);
      ++i;
    }
  }
  l.what->first_of_rank.push_back(l.what->size());
}

// Collectives and the barrier: one zero-length task where all participants meet.
void make_joins(Lowering& l) {
  const auto lane = static_cast<LaneId>(l.shape.ranks);
  for (const TaskId task : l.update_tasks) {
    const Op& op = l.what->op[task];
    const bool meets =
        op.kind == OpKind::kBarrier ||
        (l.replicated() && (op.kind == OpKind::kReduce || op.kind == OpKind::kBroadcast));
    if (!meets) continue;
    const int stage = op.kind == OpKind::kBarrier ? -1 : op.stage;
    const auto [entry, fresh] = l.joins.try_emplace({op.kind, stage, op.microbatch}, kNoTask);
    if (fresh)
      entry->second =
          add(l, {.microbatch = op.microbatch, .stage = op.stage, .kind = OpKind::kJoin}, lane,
              Nanos{0});
  }
  if (!l.greedy()) return;
  for (int r = 0; r < l.shape.ranks;
       ++r) {  // backwards of the next window wait for the rank's update
    for (int w = 0; w < l.shape.windows(); ++w) {
      l.updated.push_back(add(l, {.microbatch = w, .kind = OpKind::kJoin}, lane, Nanos{0}));
    }
  }
  l.program.keeps_lane.resize(l.what->size(), false);
  l.program.priority.assign(l.what->size(), 0);
  for (TaskId t = 0; t < l.what->size(); ++t) {
    const Op& op = l.what->op[t];
    if (is_update_part(op.kind) || op.kind == OpKind::kJoin) continue;
    l.program.priority[t] =
        1 + 2 * static_cast<std::uint32_t>(op.microbatch) + (op.kind == OpKind::kForward ? 1 : 0);
  }
}

// No timeline is longer than all its tasks one after another; that sum has to fit 64 bits.
void check_length(const Lowering& l) {
  double total = 0;
  for (const Nanos d : l.program.duration) total += static_cast<double>(d.count());
  if (total < 4e18) return;
  throw InputError(
      fmt::format("{}: all ops one after another take {:.3g} years, and a run has to stay below "
                  "100; use shorter times or fewer micro-batches",
                  l.schedule.name, total / 1e9 / 86400 / 365));
}

}  // namespace

Program lower(const Schedule& schedule, const Costs& costs) {
  STAGESIM_CHECK(costs.stages.size() == static_cast<std::size_t>(schedule.shape.stages));
  STAGESIM_CHECK(!costs.links.empty() &&
                 schedule.ops_of_rank.size() == static_cast<std::size_t>(schedule.shape.ranks));
  if (schedule.dispatch != Dispatch::kFixed && costs.comm == CommMode::kBlocking) {
    throw ShapeError(
        fmt::format("{}: comm.mode \"blocking\" needs a fixed order, because both ends of a "
                    "group are posted by position; "
                    "use \"overlapped\", or a fixed schedule",
                    schedule.name));
  }
  check_size(schedule);
  Lowering l{schedule, costs, schedule.shape,
             OpIndex(schedule.shape.stages, schedule.shape.microbatches)};
  l.what->shape = schedule.shape;
  l.what->dispatch = schedule.dispatch;
  make_lanes(l);
  make_tasks(l);
  make_joins(l);
  check_length(l);
  make_edges(l);
  if (costs.sharing.fair) make_network(l);
  l.program.overlap_tax = costs.overlap_tax;
  l.program.what = std::move(l.what);
  return std::move(l.program);
}

}  // namespace stagesim
