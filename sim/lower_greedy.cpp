#include "sim/lowering.hpp"

namespace stagesim {
namespace {

// The step that waits for this reduce: the owner's, or the replica's own after an all-reduce.
TaskId step_after(const Lowering& l, const Op& reduce) {
  const int pipeline = l.shape.optimizer == Optimizer::kOwner ? 0 : reduce.pipeline;
  const auto found = l.step_of.find({reduce.stage, pipeline, reduce.microbatch});
  return found == l.step_of.end() ? kNoTask : found->second;
}

void after_gradients(const Lowering& l, const Op& update, TaskId waiting, EdgeSink& edge) {
  for (int m = update.microbatch * l.shape.window; m < (update.microbatch + 1) * l.shape.window;
       ++m) {
    for (const OpKind kind : {OpKind::kBackward, OpKind::kWeightGrad}) {
      const TaskId gradient = l.index.find({.microbatch = m, .stage = update.stage, .kind = kind});
      if (gradient != kNoTask && l.what->op[gradient].pipeline == update.pipeline)
        edge(gradient, waiting);
    }
  }
}

}  // namespace

// Without a chain: an update waits for the gradients of its window, and for its own earlier
// parts.
void greedy_update_edges(const Lowering& l, int rank, TaskId t, EdgeSink& edge) {
  const Op op = l.what->op[t];
  const TaskId join = l.join_of(op);
  const TaskId begin = join == kNoTask ? t : join;
  if (join != kNoTask) edge(join, t);
  edge(t, l.updated_at(static_cast<LaneId>(rank), op.microbatch));
  if (op.kind == OpKind::kBarrier) return;  // filled by the reduces below
  const TaskId barrier =
      l.costs.barrier ? l.joins.at({OpKind::kBarrier, -1, op.microbatch}) : kNoTask;
  if (op.kind == OpKind::kReduce) {
    after_gradients(l, op, begin, edge);
    const TaskId step_from = barrier != kNoTask ? barrier : step_after(l, op);
    if (step_from != kNoTask) edge(t, step_from);
  } else if (op.kind == OpKind::kStep) {
    if (l.join_of(with_kind(op, OpKind::kReduce)) == kNoTask) after_gradients(l, op, t, edge);
    if (barrier != kNoTask) edge(barrier, t);
    const TaskId broadcast = l.join_of(with_kind(op, OpKind::kBroadcast));
    if (broadcast != kNoTask) edge(t, broadcast);
  }
}

// Backwards wait for the rank's update of the window before, forwards for what releases them.
void greedy_edges(const Lowering& l, EdgeSink& edge) {
  for (TaskId t = 0; t < l.what->first_of_rank.back(); ++t) {
    const Op& op = l.what->op[t];
    if (!is_gradient(op.kind)) continue;
    if (const int w = op.microbatch / l.shape.window; w > 0) {
      edge(l.updated_at(l.what->lane[t], w - 1), t);
    }
  }
  for (const Schedule::Release& r : l.schedule.releases)
    edge(l.index.find(r.after), l.index.find(r.op));
}

}  // namespace stagesim
