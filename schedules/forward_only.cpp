#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

// Inference or evaluation: no backward, no update, an activation is gone with its forward.
Schedule forward_only(const ScheduleParams& params, const Costs*) {
  Schedule s = one_pipeline("forward-only", params, 1, Placement::kLoop);
  s.shape.forward_only = true;
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    for (int i = 0; i < params.window; ++i) ops.push_back(cell(OpKind::kForward, rank, first + i));
  });
  return s;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  return {{"wall", "(m + p - 1) F", "fill, then one micro-batch every F",
           (params.window + params.ranks - 1) * t.forward}};
}

}  // namespace

ScheduleInfo forward_only_info() {
  return {"forward-only",
          {"inference"},
          "forwards only: inference, evaluation",
          "NVIDIA/Megatron-LM, forward_only",
          VersionRule::kFlush,
          {},
          batch_window,
          forward_only,
          nullptr,
          [](const ScheduleParams&, int) { return 1; },
          closed_forms};
}

}  // namespace stagesim
