#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"
#include "tools/study/comparison.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

RunInputs inputs_of(const Timeline& t) {
  RunInputs inputs{.name = "s", .family = "s", .batch = t.shape().microbatches};
  inputs.memory.stages.resize(std::size_t(t.shape().stages));
  return inputs;
}

}  // namespace

// pytorch/torchtitan#773: tokens per second measured for 1F1B, interleaved and interleaved zero
// bubble: 100, 128 and 13; times are their inverse.
TEST_CASE("a ranking that is upside down is said in words", "[validate]") {
  const Ranking r =
      rank_schedules({"1F1B", "interleaved", "ZB"}, {1.0, 0.9, 0.8}, {1 / 100., 1 / 128., 1 / 13.});
  CHECK(r.difference ==
        "order differs: predicted ZB > interleaved > 1F1B, measured interleaved > 1F1B > ZB");
  CHECK(r.correlation == Approx(-1. / 3));  // one pair of three in the same order
  CHECK(rank_schedules({"a", "b"}, {1, 2}, {5, 6}).difference.empty());
  CHECK(rank_schedules({"a", "b"}, {1, 2}, {5, 6}).correlation == 1);
  CHECK(rank_schedules({"a"}, {1}, {5}).correlation == 1);
}

// InternLM/InternEvo#282: 1F1B to ZB-H1 with p = 4, m = 8 and F = I = W gave 11.4 % instead of the
// ideal 22.2 %; a time of 25.5 units per step that no schedule changes explains it.
TEST_CASE("the ideal gain of ZB-H1 is twice the measured one, a fixed time explains it",
          "[validate]") {
  Costs costs = unit_costs(4, 1, 2);
  for (StageCosts& c : costs.stages) c.input_grad = c.weight_grad = units(1);
  const auto step = [&](const char* name, double fixed) {
    for (StageCosts& c : costs.stages) c.step = units(fixed);
    return in_units(wall(run({name, 4, 8}, costs)).length());
  };
  const double measured = 2886.0 / 2590;
  const double ideal = step("1f1b", 0) / step("zb-h1", 0);
  CHECK(ideal == Approx(33.0 / 27));
  CHECK(relative_error(ideal, measured) == Approx(0.097).margin(0.001));
  CHECK(relative_error(step("1f1b", 25.5) / step("zb-h1", 25.5), measured) ==
        Approx(0).margin(0.0005));
}

// marin-community/marin#6532: 8 stages, fixed batch: 8077 tokens/s with m = 8, 7987 with m = 16,
// where bubbles alone promise 30 % more. An overhead of 0.0547 of the work per op makes it flat.
TEST_CASE("throughput stays flat while the bubble halves, with an overhead per op", "[validate]") {
  const auto step = [](int m, double overhead) {
    const double f = 24.0 / m + overhead;  // one third of the work is the forward's
    return in_units(wall(run({"1f1b", 8, m}, unit_costs(8, f, 2 * f))).length());
  };
  const double bubbles = step(8, 0) / step(16, 0);
  CHECK(bubbles == Approx(0.6957 / 0.5333).epsilon(0.001));
  const double measured = 7987.0 / 8077;
  CHECK(relative_error(bubbles, measured) > 0.3);
  CHECK(relative_error(step(8, 24 * 0.0547) / step(16, 24 * 0.0547), measured) ==
        Approx(0).margin(0.02));
}

// meta-pytorch/torchrec#4585: the step ends when the slowest rank does.
TEST_CASE("the step is the slowest rank's, never rank 0's or the mean", "[validate]") {
  Costs costs = unit_costs(4, 1, 1);
  const Timeline t = run({"1f1b", 4, 1}, costs);
  Timeline measured = t;
  for (TaskId id = 0; id < t.what->size(); ++id) {
    if (t.what->lane[id] == 3 && t.what->op[id].kind == OpKind::kStep)
      measured.end[id] = wall(t).end + units(80);
  }
  CHECK(in_units(compare_timelines(t, measured, inputs_of(t)).measured.step_time) == 8 + 80);
}

TEST_CASE("the largest part of an error is named with its rank", "[validate]") {
  Costs costs = unit_costs(4, 1, 2);
  const Timeline predicted = run({"1f1b", 4, 8}, costs);
  costs.stages[2].backward = units(3);
  Timeline measured = run({"1f1b", 4, 8}, costs);
  measured.what = predicted.what;
  const Comparison c = compare_timelines(predicted, measured, inputs_of(predicted));
  CHECK(c.largest_part == "B of rank 2");
  // Nearly all of its 8 backwards are on the path; which way it starts is a tie.
  CHECK(c.largest_part_ms <= -0.006);
  CHECK(c.largest_part_ms >= -0.008);
  CHECK(c.differences.empty());
}
