#include "sim/compare.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

ScheduleResult result(const Wanted& wanted, const Costs& costs, int warm, int measured) {
  RunInputs inputs{.name = wanted.schedule,
                   .family = wanted.schedule,
                   .batch = wanted.batch,
                   .warm_windows = warm,
                   .measured_windows = measured};
  inputs.memory.stages.assign(costs.stages.size(), {});
  return summarise(run(wanted, costs), inputs);
}

}  // namespace

TEST_CASE("step time: one flush step is the wall, several take (wall(n) - wall(1)) / (n - 1)",
          "[compare]") {
  Costs costs = unit_costs(4, 1, 2);
  for (StageCosts& s : costs.stages) s.step = units(5);
  const double one = in_units(result({"1f1b", 4, 8, 1}, costs, 0, 0).step_time);
  CHECK(one == 33 + 5);
  const double wall_4 = in_units(wall(run({"1f1b", 4, 8, 4}, costs)).length());
  CHECK(in_units(result({"1f1b", 4, 8, 4}, costs, 1, 3).step_time) == (wall_4 - one) / 3);
}

TEST_CASE("step time is scaled from the window to one batch", "[compare]") {
  // PipeDream updates after every micro-batch; a batch of 8 takes 8 x 3 at equal stages.
  const ScheduleResult r = result({"pipedream", 8, 8, 48}, unit_costs(8, 1, 2), 8, 32);
  CHECK(in_units(r.step_time) == 24);
  CHECK(r.updates_per_batch == 8);
  CHECK(in_units(result({"amdp", 8, 8, 6, 16}, unit_costs(8, 1, 2), 1, 4).step_time) == 25);
}

TEST_CASE("with equal stages the verdict says that AMDP is not ahead, with both numbers",
          "[compare]") {
  const std::vector<ScheduleResult> results{
      result({"pipedream-2bw", 8, 8, 6}, unit_costs(8, 1, 2), 1, 4),
      result({"amdp", 8, 8, 6}, unit_costs(8, 1, 2), 1, 4)};
  CHECK(in_units(results[0].step_time) == 24);
  CHECK(in_units(results[1].step_time) == 25);
  const std::vector<std::string> lines = verdict(results);
  CHECK(lines.back() ==
        "amdp is not ahead of pipedream-2bw here (0.025 against 0.024 ms): the stages are equal, "
        "so spreading them gains "
        "nothing; it idles 4.0 % (mostly downstream gradient), the other 0.0 %");
}

TEST_CASE("with a heavy last stage the verdict names it and what spreading it gains", "[compare]") {
  std::vector<double> f(8, 1), b(8, 2);
  f[7] = 1.4, b[7] = 2.8;
  const std::vector<ScheduleResult> results{
      result({"pipedream-2bw", 8, 8, 6}, stage_costs(f, b), 1, 4),
      result({"amdp", 8, 8, 6}, stage_costs(f, b), 1, 4)};
  CHECK(results[0].limiting.stage == 7);
  CHECK(results[0].limiting.rank == 7);
  CHECK(results[0].limiting.busy_share == Approx(1));
  CHECK(results[1].limiting.stage == 7);
  CHECK(results[1].step_time < results[0].step_time);
  CHECK(verdict(results).back().find("spread stage 7 over 4 ranks") != std::string::npos);
}
