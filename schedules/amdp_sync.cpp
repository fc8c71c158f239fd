#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

// AMDP's order inside a window, drained at every update: what its authors' synchronous mode runs.
Schedule amdp_sync(const ScheduleParams& params, const Costs*) {
  const ScheduleInfo info = amdp_sync_info();
  const int preload = option_int(info, params, "preload", 0, 2);
  Schedule s = amdp_plan(info, params, preload, true);
  s.shape.optimizer = Optimizer::kOwner;
  Schedule with_updates{.name = s.name, .shape = s.shape};
  std::vector<std::size_t> at(s.ops_of_rank.size(), 0);
  append_windows(with_updates, [&](std::vector<Op>& ops, int rank, int first) {
    const std::vector<Op>& all = s.ops_of_rank[static_cast<std::size_t>(rank)];
    std::size_t& next = at[static_cast<std::size_t>(rank)];
    while (next < all.size() && all[next].microbatch < first + s.shape.window)
      ops.push_back(all[next++]);
  });
  return with_updates;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  return amdp_sync_wall(params, option_int(amdp_sync_info(), params, "preload", 0, 2), t);
}

}  // namespace

ScheduleInfo amdp_sync_info() {
  return {"amdp-sync",
          {},
          "AMDP's order with a flush at every update: no mismatch",
          "Vinsmoke86/AMDP, synchronous mode",
          VersionRule::kFlush,
          {{"preload", "0, 1, 2", "2",
            "forwards of the next unit that stage 0 runs before the last backward of this one"}},
          batch_window,
          amdp_sync,
          nullptr,
          [](const ScheduleParams& p, int) { return std::max(2, p.ranks); },
          closed_forms};
}

}  // namespace stagesim
