#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

int virtual_stages(const ScheduleParams& params) {
  return 2 * option_int(hanayo_info(), params, "waves", 1, 512);
}

// Chimera's two directions folded into one pipeline that runs down and up the ranks once per wave:
// no second weight replica. Units of p micro-batches follow each other without early forwards.
Schedule hanayo(const ScheduleParams& params, const Costs*) {
  Schedule s = one_pipeline("hanayo", params, virtual_stages(params), Placement::kZigzag);
  append_wave_windows(s, params.ranks);
  return s;
}

int most_activations(const ScheduleParams& params, int rank) {
  const int v = virtual_stages(params);
  return std::min(v * params.window, (v - 1) * params.ranks + 1 + rank);
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window, v = virtual_stages(params);
  if (m % p != 0 || t.backward != 2 * t.forward) return {};
  return {{"wall", "(3 v m + 2 (p - 1)(1 + m/p)) F, B = 2 F, times of one stage, p divides m",
           "derived from the order", (3.0 * v * m + 2 * (p - 1) * (1 + m / p)) * t.forward}};
}

}  // namespace

ScheduleInfo hanayo_info() {
  return {"hanayo",
          {},
          "waves: the pipeline runs down and up the ranks, 2 stages per rank and wave",
          "Hanayo, arXiv 2308.15762",
          VersionRule::kFlush,
          {{"waves", "W", "1", "times down and up the ranks"}},
          batch_window,
          hanayo,
          virtual_stages,
          most_activations,
          closed_forms};
}

}  // namespace stagesim
