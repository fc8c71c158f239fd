#include <fmt/format.h>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

// A rank holds one micro-batch at a time: micro-batches take turns in the two directions, and the
// forwards of one follow the backwards of the one before through the ranks.
Schedule gems(const ScheduleParams& params, const Costs*) {
  const int p = params.ranks;
  if (p < 2) throw ShapeError("gems: 1 rank; two directions need at least 2 ranks");
  Schedule s = one_pipeline("gems", params, 1, Placement::kLoop);
  add_mirror(s);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    for (int i = 0; i < params.window; ++i) {
      const int stage = i % 2 == 0 ? rank : p - 1 - rank;
      ops.push_back(cell(OpKind::kForward, stage, first + i, i % 2));
      ops.push_back(cell(OpKind::kBackward, stage, first + i, i % 2));
    }
  });
  return s;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  if (t.backward != 2 * t.forward) return {};
  return {{"wall", "((2 p + 1) m + p - 1) F, B = 2 F",
           "derived; its bubble goes to Chimera's (p - 1)/(p + 1/2), arXiv 2107.06925 Table 2",
           ((2 * p + 1) * m + p - 1) * t.forward}};
}

}  // namespace

ScheduleInfo gems_info() {
  return {"gems",
          {},
          "two directions taking turns, one micro-batch held at a time, two weight replicas",
          "GEMS, arXiv 1911.02610; Chimera, arXiv 2107.06925 section 2",
          VersionRule::kFlush,
          {},
          batch_window,
          gems,
          nullptr,
          [](const ScheduleParams&, int) { return 1; },
          closed_forms};
}

}  // namespace stagesim
