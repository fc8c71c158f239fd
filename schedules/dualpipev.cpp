#include <fmt/format.h>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

// DualPipe cut in half: one pipeline that goes there and back again takes the place of the two
// directions, so that one replica of the weights is enough.
Schedule dualpipev(const ScheduleParams& params, const Costs*) {
  const int p = params.ranks, m = params.window;
  if (m < 2 * p) {
    throw ShapeError(
        fmt::format("dualpipev: {} micro-batches on {} ranks; it needs at least 2 p = {}, or a "
                    "rank runs out of forwards before its first pair; use {} micro-batches or at "
                    "most {} ranks",
                    m, p, 2 * p, 2 * p, m / 2));
  }
  Schedule s = one_pipeline("dualpipev", params, 2, Placement::kZigzag);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    append_dual_pipe(ops, p, rank, m, {0, rank, first}, {0, 2 * p - 1 - rank, first});
  });
  return s;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  if (t.forward != t.input_grad || t.forward != t.weight_grad || t.pair != 3 * t.forward) return {};
  return {{"wall", "2 m (F + B) + (p - 1)(F&B + B - 3 W), times of one stage, F = I = W",
           "deepseek-ai/DualPipe README (its PP counts the stages)",
           2 * m * (t.forward + t.backward) + (p - 1) * (t.pair + t.backward - 3 * t.weight_grad)}};
}

}  // namespace

ScheduleInfo dualpipev_info() {
  return {"dualpipev",
          {},
          "DualPipe folded into a V: two stages per rank, one weight replica, overlapped pairs",
          "deepseek-ai/DualPipe",
          VersionRule::kFlush,
          {},
          batch_window,
          dualpipev,
          [](const ScheduleParams&) { return 2; },
          [](const ScheduleParams& p, int) { return 2 * p.ranks + 1; },
          closed_forms};
}

}  // namespace stagesim
