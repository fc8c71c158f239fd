#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// 1F1B over the whole run without a flush; every backward is followed by an update, and a backward
// uses the stashed weights of its forward. Stage s keeps p - s versions, the current one included.
Schedule pipedream(const ScheduleParams& params, const Costs*) {
  return asynchronous_1f1b("pipedream", params, VersionRule::kStash);
}

}  // namespace

ScheduleInfo pipedream_info() {
  return {"pipedream",
          {"pipedream-stash"},
          "asynchronous 1F1B, update after every backward, weight stashing",
          "PipeDream, arXiv 1806.03377 section 3.3",
          VersionRule::kStash,
          {},
          [](const ScheduleParams&) { return 1; },
          pipedream,
          nullptr,
          one_f_one_b_activations,
          unflushed_step};
}

}  // namespace stagesim
