#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

// Two V-shaped pipelines over two weight replicas, one from each end of the ranks.
Schedule bitpipe(const ScheduleParams& params, const Costs*) {
  const int p = params.ranks;
  check_even_ranks("bitpipe", p, "or ops of the two directions meet in the same slot");
  Schedule s = one_pipeline("bitpipe", params, 2, Placement::kZigzag);
  add_mirror(s);
  append_wave_windows(s, p / 2);
  return s;
}

int most_activations(const ScheduleParams& params, int rank) {
  const int p = params.ranks;
  return std::min(2 * params.window, 3 * p / 2 + 1 + std::min(rank, p - 1 - rank));
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  if (m % p != 0 || t.backward != 2 * t.forward) return {};
  return {{"wall", "(6 m + (p - 2)(1 + m/p)) F, B = 2 F, times of one stage, p divides m",
           "derived from the order", (6.0 * m + (p - 2) * (1 + m / p)) * t.forward}};
}

}  // namespace

ScheduleInfo bitpipe_info() {
  return {"bitpipe",
          {},
          "two V-shaped pipelines in opposite directions, two weight replicas",
          "BitPipe, arXiv 2410.19367",
          VersionRule::kFlush,
          {},
          batch_window,
          bitpipe,
          [](const ScheduleParams&) { return 2; },
          most_activations,
          closed_forms};
}

}  // namespace stagesim
