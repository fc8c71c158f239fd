#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// PipeDream where a micro-batch uses, on every stage, the version that stage 0 had when it entered:
// all stages stash as long as stage 0 does.
Schedule pipedream_vsync(const ScheduleParams& params, const Costs*) {
  return asynchronous_1f1b("pipedream-vsync", params, VersionRule::kVerticalSync);
}

}  // namespace

ScheduleInfo pipedream_vsync_info() {
  return {"pipedream-vsync",
          {},
          "PipeDream with vertical sync: one version for a micro-batch on all stages",
          "PipeDream, arXiv 1806.03377 section 3.3",
          VersionRule::kVerticalSync,
          {},
          [](const ScheduleParams&) { return 1; },
          pipedream_vsync,
          nullptr,
          one_f_one_b_activations,
          unflushed_step};
}

}  // namespace stagesim
