#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/v_shape.hpp"

namespace stagesim {
namespace {

// Forwards go down at 2 slots a rank and up at 1, gradients up at 2 and down at 1: half the
// lifespan of 1F1B on average. A gap of 3 slots keeps the passes of one rank in different slots
// mod 6.
std::vector<VBlock> block(int p) {
  const int gap = p % 2 == 0 ? 3 : 0;
  std::vector<VBlock> ranks;
  for (int r = 0; r < p; ++r)
    ranks.push_back({2 * r, 3 * p - 2 - r, 3 * p - 1 + gap + 2 * r, 6 * p - 2 + gap - r});
  return ranks;
}

Schedule v_half(const ScheduleParams& params, const Costs*) {
  return v_schedule("v-half", params, squeezed_block(block(params.ranks), params.window, false));
}

}  // namespace

ScheduleInfo v_half_info() {
  return {
      "v-half",
      {},
      "two stages per rank in a V, split backward, half the activations of 1F1B",
      "Pipeline Parallelism with Controllable Memory, arXiv 2405.15362 Table 9",
      VersionRule::kFlush,
      {},
      batch_window,
      v_half,
      two_stages,
      [](const ScheduleParams& p, int) { return std::min(2 * (p.ranks / 2 + 1), 2 * p.window); }};
}

}  // namespace stagesim
