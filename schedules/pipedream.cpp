#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// 1F1B over the whole run without a flush; every backward is followed by an update, and a backward
// uses the stashed weights of its forward. Stage s keeps p - s versions, the current one included.
Schedule pipedream(const ScheduleParams& params, const Costs*) {
  Schedule s = single_pipeline("pipedream", params, VersionRule::kStash);
  for (int rank = 0; rank < params.ranks; ++rank) {
    append_one_f_one_b(s.ops_of_rank.emplace_back(), rank, params.ranks - 1 - rank, 0,
                       s.shape.microbatches, params.window);
  }
  return s;
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
          pipedream};
}

}  // namespace stagesim
