#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/v_shape.hpp"

namespace stagesim {
namespace {

// Every pass follows the one before at once: the shortest lifespan. A gap of 2 slots keeps the
// passes of one rank in different slots mod 6.
std::vector<VBlock> block(int p) {
  const int gap = p % 3 == 0 ? 2 : 0;
  std::vector<VBlock> ranks;
  for (int r = 0; r < p; ++r)
    ranks.push_back({r, 2 * p - 1 - r, 2 * p + gap + r, 4 * p - 1 + gap - r});
  return ranks;
}

Schedule v_min(const ScheduleParams& params, const Costs*) {
  return v_schedule("v-min", params, squeezed_block(block(params.ranks), params.window, false));
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  const double pass = equal_pass(t);
  if (p < 2 || m < 2 * (p / 3) + 3 || pass == 0) return {};
  const bool thirds = p % 3 == 0;
  return {{"wall",
           thirds ? "(6 m + 4 p - 7) F, times of one stage, F = I = W, 3 divides p, m >= 2 p/3 + 3"
                  : "(6 m + 4 p - 5) F, times of one stage, F = I = W, 3 does not divide p, "
                    "m >= 2 floor(p/3) + 3",
           "read off the orders; about 4 p idle passes, arXiv 2405.15362 section 3.2",
           (6 * m + 4 * p - (thirds ? 7 : 5)) * pass}};
}

}  // namespace

ScheduleInfo v_min_info() {
  return {"v-min",
          {},
          "two stages per rank in a V, split backward, a third of the activations of 1F1B",
          "Pipeline Parallelism with Controllable Memory, arXiv 2405.15362 Table 8",
          VersionRule::kFlush,
          {},
          batch_window,
          v_min,
          two_stages,
          [](const ScheduleParams& p, int) {
            return std::min(2 * ((p.ranks + 1) / 3 + 1), 2 * p.window);
          },
          closed_forms};
}

}  // namespace stagesim
