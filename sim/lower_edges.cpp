#include "sim/lowering.hpp"

namespace stagesim {
namespace {

// The chain of a rank; collectives meet in their join first.
void fixed_edges(const Lowering& l, TaskId before, TaskId t, EdgeSink& edge) {
  const Op& op = l.what->op[t];
  const TaskId join = is_update_part(op.kind) ? l.join_of(op) : kNoTask;
  // Two replicas of a stage on one rank: the first has met the others for both.
  const bool met = join != kNoTask && before != kNoTask && l.what->op[before].kind == op.kind &&
                   l.join_of(l.what->op[before]) == join;
  if (join != kNoTask && !met) {
    if (before != kNoTask) edge(before, join);
    edge(join, t);
  } else if (before != kNoTask) {
    edge(before, t);
  }
  if (op.kind == OpKind::kStep && l.join_of(with_kind(op, OpKind::kBroadcast)) != kNoTask) {
    edge(t, l.join_of(with_kind(op, OpKind::kBroadcast)));
  }
}

// The rank does not compute t before its group is done: the sends of the op before it, and one left
// over. An update between the two runs while the group is posted. Returns the message that this
// group leaves for the next one.
TaskId blocking_edges(const Lowering& l, TaskId before, TaskId late, TaskId t, EdgeSink& edge) {
  if (before == kNoTask) return kNoTask;
  if (late != kNoTask) {
    edge(before, late);
    edge(late, t);
  }
  const TaskId send = l.transfer_of(before);
  if (send == kNoTask) return kNoTask;
  if (l.late_senders.count(before) > 0) return send;
  edge(send, t);
  return kNoTask;
}

// Inputs of t come by message to `starts`, which is t or the task of the pair that runs for both;
// blocking receivers post theirs when the op before is done.
void data_edges(const Lowering& l, TaskId op_before, TaskId t, TaskId starts, EdgeSink& edge) {
  const Op op = l.what->op[t];
  for (const Dependency& d : dependencies(op, l.shape.stages)) {
    const TaskId producer = l.index.find(d.op);
    STAGESIM_CHECK(producer != kNoTask);
    if (l.what->lane[producer] == l.what->lane[t]) {
      if (l.greedy()) edge(producer, t);  // a fixed order has it in the chain
      continue;
    }
    const TaskId message = l.transfer_of(producer);
    STAGESIM_CHECK(message != kNoTask);
    edge(message, starts);
    if (l.costs.comm == CommMode::kBlocking && op_before != kNoTask) edge(op_before, message);
  }
}

// Every edge, in the same order every time.
void for_each_edge(const Lowering& l, EdgeSink& edge) {
  for (int r = 0; r < l.shape.ranks; ++r) {
    TaskId before = kNoTask, op_before = kNoTask;  // the latter is no part of an update
    TaskId pair = kNoTask, before_pair = kNoTask;  // the forward of the pair that is open
    TaskId late = kNoTask;                         // a message that the next group takes along
    const TaskId end = l.what->first_of_rank[static_cast<std::size_t>(r) + 1];
    for (TaskId t = l.what->first_of_rank[static_cast<std::size_t>(r)]; t < end; ++t) {
      if (!l.is_compute_lane(t)) continue;
      if (const TaskId send = l.transfer_of(t); send != kNoTask) edge(t, send);
      const bool update = is_update_part(l.what->op[t].kind);
      if (const auto begin = l.update_cells.find(t); begin != l.update_cells.end()) {
        greedy_update_edges(l, t, begin->second, edge);
      } else if (!l.greedy() || update) {
        fixed_edges(l, before, t, edge);
      }
      if (l.greedy() && update && !l.program.keeps_lane[t]) {
        edge(t, l.updated_at(static_cast<LaneId>(r), l.what->op[t].microbatch));
      }
      before = t;
      if (update) continue;
      if (l.what->op[t].pair == PairPart::kBackward) {
        data_edges(l, before_pair, t, pair, edge);
        op_before = t;
        continue;
      }
      if (l.costs.comm == CommMode::kBlocking) {
        if (pair != kNoTask && l.transfer_of(pair) != kNoTask) edge(l.transfer_of(pair), t);
        late = blocking_edges(l, op_before, late, t, edge);
      }
      data_edges(l, op_before, t, t, edge);
      const bool opens = l.what->op[t].pair == PairPart::kForward;
      pair = opens ? t : kNoTask;
      before_pair = opens ? op_before : kNoTask;
      op_before = t;
    }
  }
  if (l.greedy()) greedy_edges(l, edge);
}

void set_consumers(Lowering& l) {
  for (Transfer& transfer : l.what->transfers) {
    const Op& op = l.what->op[transfer.producer];
    Op consumer = op;
    consumer.stage =
        static_cast<std::uint16_t>(op.kind == OpKind::kForward ? op.stage + 1 : op.stage - 1);
    transfer.consumer = l.index.find(consumer);
  }
}

}  // namespace

void make_edges(Lowering& l) {
  for (const Op& op : l.schedule.late_sends) l.late_senders.insert(l.index.find(op));
  const TaskId tasks = l.what->size();
  l.program.unmet.assign(tasks, 0);
  l.program.first_next.assign(std::size_t{tasks} + 1, 0);
  EdgeSink sink{l.program};
  for_each_edge(l, sink);
  std::size_t edges = 0;
  for (std::size_t t = 1; t <= tasks; ++t) {
    edges += l.program.first_next[t];
    STAGESIM_CHECK(edges <= 0xffffffff);
    l.program.first_next[t] = static_cast<std::uint32_t>(edges);
  }
  l.program.next.resize(edges);
  // first_next[t] serves as the write position of t and is put back by the shift that follows.
  sink.writing = true;
  for_each_edge(l, sink);
  for (std::size_t t = tasks; t > 0; --t) l.program.first_next[t] = l.program.first_next[t - 1];
  l.program.first_next[0] = 0;
  set_consumers(l);
}

}  // namespace stagesim
