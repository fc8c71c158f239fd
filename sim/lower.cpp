#include "sim/lower.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "sim/dependencies.hpp"

namespace stagesim {
namespace {

constexpr TaskId kNoTask = OpIndex::kNone;

// One task on a compute lane before ids are known.
struct LaneTask {
  Op op;
  bool first_of_cell = false;  // an update cell becomes several tasks, the others one
};

class Lowering {
 public:
  Lowering(const Schedule& schedule, const Costs& costs)
      : s_(schedule),
        costs_(costs),
        shape_(schedule.shape),
        index_(shape_.stages, shape_.microbatches),
        what_(std::make_shared<Activities>()) {}

  Program run() {
    STAGESIM_CHECK(costs_.stages.size() == static_cast<std::size_t>(shape_.stages));
    STAGESIM_CHECK(!costs_.links.empty() &&
                   s_.ops_of_rank.size() == static_cast<std::size_t>(shape_.ranks));
    if (greedy() && costs_.comm == CommMode::kBlocking) {
      throw InputError(
          fmt::format("{}: comm.mode \"blocking\" needs a fixed order, because both ends of a "
                      "group are posted by position; "
                      "use \"overlapped\", or a fixed schedule",
                      s_.name));
    }
    check_size();
    what_->shape = shape_;
    make_lanes();
    make_tasks();
    make_joins();
    make_edges();
    program_.what = std::move(what_);
    return std::move(program_);
  }

 private:
  bool greedy() const { return s_.dispatch != Dispatch::kFixed; }
  bool replicated() const { return shape_.pipelines > 1; }

  void check_size() const {
    std::int64_t cells = 0;
    for (const auto& ops : s_.ops_of_rank) cells += static_cast<std::int64_t>(ops.size());
    if (cells > kMostActivities / 2) {
      throw InputError(
          fmt::format("{}: {} ops and their messages are more than the {} activities that fit; "
                      "use fewer ranks, micro-batches or steps",
                      s_.name, cells, kMostActivities));
    }
  }

  // The rank that gets the output of `op`, or -1 when there is none or it stays on the rank.
  int receiver(const Op& op) const {
    int stage = -1;
    if (op.kind == OpKind::kForward && op.stage + 1 < shape_.stages) stage = op.stage + 1;
    if (is_gradient(op.kind) && op.stage > 0) stage = op.stage - 1;
    if (stage < 0) return -1;
    const int rank = shape_.rank_of(op.pipeline, stage);
    return rank == shape_.rank_of(op.pipeline, op.stage) ? -1 : rank;
  }

  void make_lanes() {
    for (int r = 0; r < shape_.ranks; ++r) what_->lanes.push_back({r, r, {}});
    what_->lanes.push_back({-1, -1, {}});  // joins
    std::vector<std::pair<int, int>> pairs;
    for (int p = 0; p < shape_.pipelines; ++p) {
      for (int stage = 0; stage + 1 < shape_.stages; ++stage) {
        const int a = shape_.rank_of(p, stage), b = shape_.rank_of(p, stage + 1);
        if (a != b) pairs.insert(pairs.end(), {{a, b}, {b, a}});
      }
    }
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    for (const auto& [from, to] : pairs) {
      links_[{from, to}] = static_cast<LaneId>(what_->lanes.size());
      what_->lanes.push_back({from, to, costs_.links.at(costs_.link_class(from, to)).latency});
    }
  }

  Nanos duration(const Op& op) const {
    const StageCosts& c = costs_.stages[op.stage];
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
        return Nanos{0};
    }
    return Nanos{0};
  }

  TaskId add(const Op& op, LaneId lane, Nanos length) {
    what_->op.push_back(op);
    what_->lane.push_back(lane);
    program_.duration.push_back(length);
    return what_->size() - 1;
  }

  void add_transfer(const Op& producer, int from, int to) {
    const std::size_t boundary = static_cast<std::size_t>(
        producer.kind == OpKind::kForward ? producer.stage : producer.stage - 1);
    const LinkClass& link = costs_.links.at(costs_.link_class(from, to));
    Op message = producer;
    message.kind = producer.kind == OpKind::kForward ? OpKind::kSendForward : OpKind::kSendBackward;
    const Nanos time = link.transfer_time.empty() ? link.latency : link.transfer_time.at(boundary);
    STAGESIM_CHECK(time >= link.latency);
    add(message, links_.at({from, to}), time);
    const std::int64_t bytes = costs_.message_bytes.empty() ? 0 : costs_.message_bytes.at(boundary);
    what_->transfers.push_back({what_->size() - 2, kNoTask, bytes});
  }

  void make_tasks() {
    program_.dispatch = s_.dispatch;
    std::size_t cells = 0;
    for (const auto& ops : s_.ops_of_rank) cells += ops.size();
    what_->op.reserve(2 * cells);
    what_->lane.reserve(2 * cells);
    what_->transfers.reserve(cells);
    program_.duration.reserve(2 * cells);
    for (int r = 0; r < shape_.ranks; ++r) {
      what_->first_of_rank.push_back(what_->size());
      const auto& ops = s_.ops_of_rank[static_cast<std::size_t>(r)];
      for (std::size_t i = 0; i < ops.size();) {
        if (ops[i].kind == OpKind::kUpdate) {
          i = add_update(r, ops, i);
          continue;
        }
        index_.insert(ops[i], add(ops[i], static_cast<LaneId>(r), duration(ops[i])));
        if (const int to = receiver(ops[i]); to >= 0) add_transfer(ops[i], r, to);
        ++i;
      }
    }
    what_->first_of_rank.push_back(what_->size());
  }

  // A run of update cells of one window becomes: all reduces, the barrier, all steps, all
  // broadcasts.
  std::size_t add_update(int rank, const std::vector<Op>& ops, std::size_t from) {
    std::size_t to = from;
    while (to < ops.size() && ops[to].kind == OpKind::kUpdate &&
           ops[to].microbatch == ops[from].microbatch)
      ++to;
    std::vector<Op> cells(ops.begin() + static_cast<std::ptrdiff_t>(from),
                          ops.begin() + static_cast<std::ptrdiff_t>(to));
    // Every member of a group takes its stages in the same order, or the collectives would cross.
    std::stable_sort(cells.begin(), cells.end(),
                     [](const Op& a, const Op& b) { return a.stage < b.stage; });
    const auto add_all = [&](OpKind kind, auto&& wanted) {
      for (Op cell : cells) {
        cell.kind = kind;
        if (wanted(cell))
          update_tasks_.push_back(add(cell, static_cast<LaneId>(rank), duration(cell)));
      }
    };
    const bool owner_mode = shape_.optimizer == Optimizer::kOwner && replicated();
    add_all(OpKind::kReduce, [&](const Op& cell) {
      return replicated() || costs_.stages[cell.stage].reduce.count() > 0;
    });
    if (costs_.barrier)
      add_all(OpKind::kBarrier,
              [&](const Op& cell) { return cell == with_kind(cells[0], cell.kind); });
    add_all(OpKind::kStep,
            [&](const Op& cell) { return !owner_mode || shape_.rank_of(0, cell.stage) == rank; });
    if (owner_mode) add_all(OpKind::kBroadcast, [](const Op&) { return true; });
    return to;
  }

  static Op with_kind(Op op, OpKind kind) {
    op.kind = kind;
    return op;
  }

  // Collectives and the barrier: one zero-length task where all participants meet.
  void make_joins() {
    const auto lane = static_cast<LaneId>(shape_.ranks);
    for (const TaskId task : update_tasks_) {
      const Op& op = what_->op[task];
      const bool meets =
          op.kind == OpKind::kBarrier ||
          (replicated() && (op.kind == OpKind::kReduce || op.kind == OpKind::kBroadcast));
      if (!meets) continue;
      const int stage = op.kind == OpKind::kBarrier ? -1 : op.stage;
      const auto [entry, fresh] = joins_.try_emplace({op.kind, stage, op.microbatch}, kNoTask);
      if (fresh)
        entry->second = add({.microbatch = op.microbatch, .stage = op.stage, .kind = OpKind::kJoin},
                            lane, Nanos{0});
    }
    if (!greedy()) return;
    for (int r = 0; r < shape_.ranks;
         ++r) {  // backwards of the next window wait for the rank's update
      for (int w = 0; w < shape_.windows(); ++w) {
        updated_.push_back(add({.microbatch = w, .kind = OpKind::kJoin}, lane, Nanos{0}));
      }
    }
    program_.priority.assign(what_->size(), 0);
    for (TaskId t = 0; t < what_->size(); ++t) {
      const Op& op = what_->op[t];
      if (is_update_part(op.kind) || op.kind == OpKind::kJoin) continue;
      program_.priority[t] =
          1 + 2 * static_cast<std::uint32_t>(op.microbatch) + (op.kind == OpKind::kForward ? 1 : 0);
    }
  }

  TaskId join_of(const Op& op) const {
    const auto found =
        joins_.find({op.kind, op.kind == OpKind::kBarrier ? -1 : int(op.stage), op.microbatch});
    return found == joins_.end() ? kNoTask : found->second;
  }

  bool is_compute_lane(TaskId t) const {
    return what_->lane[t] < static_cast<LaneId>(shape_.ranks);
  }
  TaskId transfer_of(TaskId t) const {
    return t + 1 < what_->size() && is_transfer(what_->op[t + 1].kind) ? t + 1 : kNoTask;
  }

  // Calls edge(before, after) for every edge, in the same order every time.
  template <typename Edge>
  void for_each_edge(Edge&& edge) {
    for (int r = 0; r < shape_.ranks; ++r) {
      TaskId before = kNoTask, late = kNoTask;  // late: a message that the next group takes along
      const TaskId end = what_->first_of_rank[static_cast<std::size_t>(r) + 1];
      for (TaskId t = what_->first_of_rank[static_cast<std::size_t>(r)]; t < end; ++t) {
        if (!is_compute_lane(t)) continue;
        if (const TaskId send = transfer_of(t); send != kNoTask) edge(t, send);
        if (!greedy()) {
          fixed_edges(before, t, edge);
          if (costs_.comm == CommMode::kBlocking) late = blocking_edges(before, late, t, edge);
        } else if (is_update_part(what_->op[t].kind)) {
          greedy_update_edges(r, t, edge);
        }
        data_edges(before, t, edge);
        before = t;
      }
    }
    if (greedy()) greedy_edges(edge);
  }

  template <typename Edge>
  void fixed_edges(TaskId before, TaskId t, Edge& edge) {
    const Op& op = what_->op[t];
    const TaskId join = is_update_part(op.kind) ? join_of(op) : kNoTask;
    // Two replicas of a stage on one rank: the first has met the others for both.
    const bool met = join != kNoTask && before != kNoTask && what_->op[before].kind == op.kind &&
                     join_of(what_->op[before]) == join;
    if (join != kNoTask && !met) {
      if (before != kNoTask) edge(before, join);
      edge(join, t);
    } else if (before != kNoTask) {
      edge(before, t);
    }
    if (op.kind == OpKind::kStep && join_of(with_kind(op, OpKind::kBroadcast)) != kNoTask) {
      edge(t, join_of(with_kind(op, OpKind::kBroadcast)));
    }
  }

  // The rank does not go on to t before its group is done: the sends of `before`, and one left
  // over. Returns the message that this group leaves for the next one.
  template <typename Edge>
  TaskId blocking_edges(TaskId before, TaskId late, TaskId t, Edge& edge) {
    if (before == kNoTask) return kNoTask;
    if (late != kNoTask) {
      edge(before, late);
      edge(late, t);
    }
    const TaskId send = transfer_of(before);
    if (send == kNoTask) return kNoTask;
    if (late_senders_.count(before) > 0) return send;
    edge(send, t);
    return kNoTask;
  }

  template <typename Edge>
  void data_edges(TaskId before, TaskId t, Edge& edge) {
    const Op op = what_->op[t];
    for (const Dependency& d : dependencies(op, shape_.stages)) {
      const TaskId producer = index_.find(d.op);
      STAGESIM_CHECK(producer != kNoTask);
      if (what_->lane[producer] == what_->lane[t]) {
        if (greedy()) edge(producer, t);  // a fixed order has it in the chain
        continue;
      }
      const TaskId message = transfer_of(producer);
      STAGESIM_CHECK(message != kNoTask);
      edge(message, t);
      if (costs_.comm == CommMode::kBlocking && before != kNoTask) edge(before, message);
    }
  }

  // Without a chain: an update waits for the gradients of its window, and for its own earlier
  // parts.
  template <typename Edge>
  void greedy_update_edges(int rank, TaskId t, Edge& edge) {
    const Op op = what_->op[t];
    const TaskId join = join_of(op);
    const TaskId begin = join == kNoTask ? t : join;
    if (join != kNoTask) edge(join, t);
    edge(t, updated_[static_cast<std::size_t>(rank * shape_.windows() + op.microbatch)]);
    if (op.kind == OpKind::kBarrier) return;  // filled by the reduces below
    const TaskId barrier =
        costs_.barrier ? joins_.at({OpKind::kBarrier, -1, op.microbatch}) : kNoTask;
    if (op.kind == OpKind::kReduce) {
      after_gradients(op, begin, edge);
      const TaskId step_from = barrier != kNoTask ? barrier : greedy_step_of(op);
      if (step_from != kNoTask) edge(t, step_from);
    } else if (op.kind == OpKind::kStep) {
      if (join_of(with_kind(op, OpKind::kReduce)) == kNoTask) after_gradients(op, t, edge);
      if (barrier != kNoTask) edge(barrier, t);
      const TaskId broadcast = join_of(with_kind(op, OpKind::kBroadcast));
      if (broadcast != kNoTask) edge(t, broadcast);
    }
  }

  TaskId greedy_step_of(const Op& reduce) {
    const auto found = step_of_.find({reduce.stage, reduce.pipeline, reduce.microbatch});
    return found == step_of_.end() ? kNoTask : found->second;
  }

  template <typename Edge>
  void after_gradients(const Op& update, TaskId waiting, Edge& edge) {
    for (int m = update.microbatch * shape_.window; m < (update.microbatch + 1) * shape_.window;
         ++m) {
      for (const OpKind kind : {OpKind::kBackward, OpKind::kWeightGrad}) {
        const TaskId gradient = index_.find({.microbatch = m, .stage = update.stage, .kind = kind});
        if (gradient != kNoTask && what_->op[gradient].pipeline == update.pipeline)
          edge(gradient, waiting);
      }
    }
  }

  template <typename Edge>
  void greedy_edges(Edge& edge) {
    for (TaskId t = 0; t < what_->first_of_rank.back(); ++t) {
      const Op& op = what_->op[t];
      if (!is_gradient(op.kind)) continue;
      if (const int w = op.microbatch / shape_.window; w > 0) {
        edge(updated_[static_cast<std::size_t>(static_cast<int>(what_->lane[t]) * shape_.windows() +
                                               w - 1)],
             t);
      }
    }
    for (const Schedule::Release& r : s_.releases) edge(index_.find(r.after), index_.find(r.op));
  }

  void make_edges() {
    for (const TaskId t : update_tasks_) {
      const Op& op = what_->op[t];
      if (op.kind == OpKind::kStep) step_of_[{op.stage, op.pipeline, op.microbatch}] = t;
    }
    for (const Op& op : s_.late_sends) late_senders_.insert(index_.find(op));
    const TaskId tasks = what_->size();
    program_.unmet.assign(tasks, 0);
    program_.first_next.assign(std::size_t{tasks} + 1, 0);
    for_each_edge([&](TaskId before, TaskId after) {
      ++program_.unmet[after];
      ++program_.first_next[before + 1];
    });
    std::size_t edges = 0;
    for (std::size_t t = 1; t <= tasks; ++t) {
      edges += program_.first_next[t];
      STAGESIM_CHECK(edges <= 0xffffffff);
      program_.first_next[t] = static_cast<std::uint32_t>(edges);
    }
    program_.next.resize(edges);
    // first_next[t] serves as the write position of t and is put back by the shift that follows.
    for_each_edge(
        [&](TaskId before, TaskId after) { program_.next[program_.first_next[before]++] = after; });
    for (std::size_t t = tasks; t > 0; --t) program_.first_next[t] = program_.first_next[t - 1];
    program_.first_next[0] = 0;
    set_consumers();
  }

  void set_consumers() {
    for (Transfer& transfer : what_->transfers) {
      const Op& op = what_->op[transfer.producer];
      Op consumer = op;
      consumer.stage =
          static_cast<std::uint16_t>(op.kind == OpKind::kForward ? op.stage + 1 : op.stage - 1);
      transfer.consumer = index_.find(consumer);
    }
  }

  const Schedule& s_;
  const Costs& costs_;
  const Shape& shape_;
  OpIndex index_;
  std::shared_ptr<Activities> what_;
  Program program_;
  std::set<TaskId> late_senders_;
  std::map<std::pair<int, int>, LaneId> links_;
  std::vector<TaskId> update_tasks_;                      // every update part, in id order
  std::map<std::tuple<OpKind, int, int>, TaskId> joins_;  // (kind, stage or -1, window)
  std::map<std::tuple<int, int, int>, TaskId> step_of_;   // (stage, pipeline, window)
  std::vector<TaskId> updated_;                           // greedy: [rank * windows + window]
};

}  // namespace

Program lower(const Schedule& schedule, const Costs& costs) {
  return Lowering(schedule, costs).run();
}

}  // namespace stagesim
