#include "schedules/generators.hpp"

namespace stagesim {
namespace {

struct UnitTime {
  std::string_view formula;  // of one batch of b micro-batches
  double value = 0;          // of one unit of d micro-batches
};

// d = 2 is 1F1B. Elsewhere each preload fills a gap of a unit, and with two of them and F <= B < 2
// F the last gap is shorter than a forward.
UnitTime unit_time(int d, int preload, const EqualStages& t) {
  const double f = t.forward, b = t.backward;
  if (d == 2) return {"b (F + B), b micro-batches per step, d = 2", 2 * (f + b)};
  if (preload == 0) return {"b/d ((d + 2) B + d F), B >= F, preload 0", (d + 2) * b + d * f};
  if (preload == 1)
    return {"b/d ((d + 2) B + (d - 2) F), B >= F, preload 1", (d + 2) * b + (d - 2) * f};
  if (b <= 2 * f)
    return {"b/d ((d + 1) B + (d - 1) F), F <= B <= 2 F, preload 2", (d + 1) * b + (d - 1) * f};
  return {"b/d ((d + 2) B + (d - 3) F), B >= 2 F, preload 2", (d + 2) * b + (d - 3) * f};
}

}  // namespace

std::vector<ClosedForm> amdp_step(const ScheduleParams& params, int preload, const EqualStages& t) {
  if (params.ranks != 2 && t.backward < t.forward) return {};
  const UnitTime unit = unit_time(params.ranks, preload, t);
  return {{"step", unit.formula, "derived from the published orders, arXiv 2605.29664",
           unit.value * params.batch / params.ranks}};
}

std::vector<ClosedForm> amdp_sync_wall(const ScheduleParams& params, int preload,
                                       const EqualStages& t) {
  const int d = params.ranks, units = params.window / d;
  if (d == 2) return fill_and_drain(params, t, "1F1B, arXiv 2104.04473 section 2.2.1");
  if (t.backward < t.forward) return {};
  return {{"wall", "(m/d - 1) units of amdp + (d + 2) B + d F, B >= F",
           "derived from the published orders, arXiv 2605.29664",
           (units - 1) * unit_time(d, preload, t).value + (d + 2) * t.backward + d * t.forward}};
}

}  // namespace stagesim
