#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/v_shape.hpp"

namespace stagesim {
namespace {

// Every pass follows the one before at once, a whole backward taking two slots. Gaps of 3 slots,
// one after every third backward, keep the passes of one rank in different slots mod 6.
std::vector<VBlock> block(int p) {
  std::vector<VBlock> ranks;
  for (int r = 0; r < p; ++r) {
    // Backwards done before this one, counted so that every third opens a gap.
    const auto begin = [&](int done) {
      const int from = (1 - p % 3 + 3) % 3;
      return 2 * p + (p % 3 == 0 ? 3 : 0) + 2 * done + 3 * ((from + done) / 3);
    };
    ranks.push_back({r, 2 * p - 1 - r, begin(r), begin(2 * p - 1 - r)});
  }
  return ranks;
}

Schedule one_f_one_b_v(const ScheduleParams& params, const Costs*) {
  return v_schedule("1f1b-v", params, squeezed_block(block(params.ranks), params.window, true));
}

}  // namespace

ScheduleInfo one_f_one_b_v_info() {
  return {"1f1b-v",
          {},
          "two stages per rank in a V, whole backward, two thirds of the activations of 1F1B",
          "Pipeline Parallelism with Controllable Memory, arXiv 2405.15362",
          VersionRule::kFlush,
          {},
          batch_window,
          one_f_one_b_v,
          two_stages,
          [](const ScheduleParams& p, int) {
            return std::min(2 * (2 * p.ranks / 3 + 1), 2 * p.window);
          }};
}

}  // namespace stagesim
