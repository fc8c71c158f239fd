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
          }};
}

}  // namespace stagesim
