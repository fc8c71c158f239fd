#include "sim/lowering.hpp"

namespace stagesim {

// A rank turns to its update when the gradients of the window are in. From there on the update is
// one unit that keeps the rank, as in a fixed order: collectives start on all members together.
void greedy_update_edges(const Lowering& l, TaskId update, const std::vector<Op>& cells,
                         EdgeSink& edge) {
  for (const Op& cell : cells) {
    for (int m = cell.microbatch * l.shape.window; m < (cell.microbatch + 1) * l.shape.window;
         ++m) {
      for (const OpKind kind : {OpKind::kBackward, OpKind::kWeightGrad}) {
        const TaskId gradient = l.index.find({.microbatch = m, .stage = cell.stage, .kind = kind});
        if (gradient != kNoTask && l.what->op[gradient].pipeline == cell.pipeline)
          edge(gradient, update);
      }
    }
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
