#include <algorithm>

#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// 1F1B with twice the warm-up: a micro-batch more in flight per hop hides the messages both ways.
Schedule eager_1f1b(const ScheduleParams& params, const Costs*) {
  return flushed_1f1b("eager-1f1b", params, 2);
}

int most_activations(const ScheduleParams& params, int rank) {
  return std::min(2 * (params.ranks - 1 - rank) + 1, params.window);
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  auto forms = fill_and_drain(params, t, "as 1F1B, arXiv 2104.04473 section 2.2.1");
  forms[0].formula = "(m + p - 1)(F + B), messages free";
  return forms;
}

}  // namespace

ScheduleInfo eager_1f1b_info() {
  return {"eager-1f1b",
          {},
          "1F1B with 2 (p - 1 - r) warm-up forwards, which hide messages",
          "DAPPLE, arXiv 2007.01045 (policy B); arXiv 2211.05322 section 4",
          VersionRule::kFlush,
          {},
          batch_window,
          eager_1f1b,
          nullptr,
          most_activations,
          closed_forms};
}

}  // namespace stagesim
