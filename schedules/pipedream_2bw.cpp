#include <fmt/format.h>

#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// 1F1B over the whole run without a flush, one update per window of m >= p micro-batches. Window w
// reads version max(w - 1, 0) for F and B, so two versions suffice (section 3.1).
Schedule pipedream_2bw(const ScheduleParams& params, const Costs*) {
  if (params.window < params.ranks) {
    const bool whole_batch = params.window == params.batch && !params.batch_from.empty();
    throw ShapeError(
        fmt::format("pipedream-2bw: {} micro-batches per update{}, but {} ranks need at least {}: "
                    "with fewer, a forward still in flight reads a "
                    "third weight version (arXiv 2006.09503, m >= d); use a larger batch, a "
                    "smaller micro-batch or at most {} ranks",
                    params.window, whole_batch ? fmt::format(" ({})", params.batch_from) : "",
                    params.ranks, params.ranks, params.window));
  }
  return asynchronous_1f1b("pipedream-2bw", params, VersionRule::kDoubleBuffer);
}

}  // namespace

ScheduleInfo pipedream_2bw_info() {
  return {"pipedream-2bw",
          {"2bw"},
          "asynchronous 1F1B, one update per batch, two weight versions",
          "PipeDream-2BW, arXiv 2006.09503 section 3.1",
          VersionRule::kDoubleBuffer,
          {},
          batch_window,
          pipedream_2bw,
          nullptr,
          one_f_one_b_activations,
          unflushed_step};
}

}  // namespace stagesim
