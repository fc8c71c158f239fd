#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// 1F1B without a flush; forwards and backwards of a window use weights predicted some updates
// ahead, so that they mean the same version although updates happen in between.
Schedule xpipe(const ScheduleParams& params, const Costs*) {
  return asynchronous_1f1b("xpipe", params, VersionRule::kPredict);
}

}  // namespace

ScheduleInfo xpipe_info() {
  return {"xpipe",
          {},
          "asynchronous 1F1B, one update per batch, weights predicted ahead",
          "XPipe, arXiv 1911.04610; distances as in Vinsmoke86/AMDP",
          VersionRule::kPredict,
          {},
          batch_window,
          xpipe,
          nullptr,
          one_f_one_b_activations,
          unflushed_step};
}

}  // namespace stagesim
