#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

// All forwards of the batch, then all backwards, then the update. Backwards run in the order of the
// forwards, as in the paper's figure 2c.
Schedule gpipe(const ScheduleParams& params, const Costs*) {
  Schedule s = one_pipeline("gpipe", params, 1, Placement::kLoop);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    for (const OpKind kind : {OpKind::kForward, OpKind::kBackward}) {
      for (int i = 0; i < params.window; ++i) ops.push_back(cell(kind, rank, first + i));
    }
  });
  return s;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  return fill_and_drain(params, t, "GPipe, arXiv 1811.06965 section 2.3, as a time");
}

}  // namespace

ScheduleInfo gpipe_info() {
  return {"gpipe",
          {},
          "all forwards, then all backwards, then the update",
          "GPipe, arXiv 1811.06965",
          VersionRule::kFlush,
          {},
          batch_window,
          gpipe,
          nullptr,
          nullptr,
          closed_forms};
}

}  // namespace stagesim
