#include "tests/support/runs.hpp"

#include <algorithm>

namespace stagesim::test {

Costs unit_costs(int stages, double forward, double backward, double latency) {
  const auto n = static_cast<std::size_t>(stages);
  return stage_costs(std::vector<double>(n, forward), std::vector<double>(n, backward), latency);
}

Costs stage_costs(const std::vector<double>& forward, const std::vector<double>& backward,
                  double latency) {
  Costs costs;
  for (std::size_t s = 0; s < forward.size(); ++s) {
    costs.stages.push_back({.forward = units(forward[s]), .backward = units(backward[s])});
  }
  costs.links[0].latency = units(latency);
  return costs;
}

Schedule make(const Wanted& w) {
  return make_schedule(find_schedule(w.schedule), {.ranks = w.ranks,
                                                   .batch = w.batch,
                                                   .window = w.window,
                                                   .windows = w.windows,
                                                   .options = w.options});
}

Timeline run(const Wanted& wanted, const Costs& costs) {
  return replay(lower(make(wanted), costs));
}

double update_end(const Timeline& timeline, int window) {
  Nanos end{0};
  for (TaskId t = 0; t < timeline.what->size(); ++t) {
    const Op& op = timeline.what->op[t];
    if (is_update_part(op.kind) && op.microbatch == window) end = std::max(end, timeline.end[t]);
  }
  return in_units(end);
}

}  // namespace stagesim::test
