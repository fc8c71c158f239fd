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

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  const double pass = equal_pass(t);
  if (p < 3 || m < p + 2 || pass == 0) return {};
  const bool even = p % 2 == 0;
  return {{"wall",
           even ? "(6 m + 3 p - 7) F, times of one stage, F = I = W, p even, m >= p + 2"
                : "(6 m + 3 p - 4) F, times of one stage, F = I = W, p odd, m >= p + 2",
           "read off the orders; about 3 p idle passes, arXiv 2405.15362 section 3.2",
           (6 * m + 3 * p - (even ? 7 : 4)) * pass}};
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
      [](const ScheduleParams& p, int) { return std::min(2 * (p.ranks / 2 + 1), 2 * p.window); },
      closed_forms};
}

}  // namespace stagesim
