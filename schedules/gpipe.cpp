#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// All forwards of the batch, then all backwards, then the update. Backwards run in the order of the
// forwards, as in the paper's figure 2c.
Schedule gpipe(const ScheduleParams& params, const Costs*) {
  Schedule s = single_pipeline("gpipe", params, VersionRule::kFlush);
  for (int rank = 0; rank < params.ranks; ++rank) {
    auto& ops = s.ops_of_rank.emplace_back();
    const auto stage = static_cast<std::uint16_t>(rank);
    for (int w = 0; w < params.windows; ++w) {
      for (const OpKind kind : {OpKind::kForward, OpKind::kBackward}) {
        for (int m = w * params.window; m < (w + 1) * params.window; ++m) {
          ops.push_back({.microbatch = m, .stage = stage, .kind = kind});
        }
      }
      ops.push_back({.microbatch = w, .stage = stage, .kind = OpKind::kUpdate});
    }
  }
  return s;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  return {{"wall", "(m + p - 1)(F + B)", "GPipe, arXiv 1811.06965 section 2.3, as a time",
           (params.window + params.ranks - 1) * (t.forward + t.backward)}};
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
