// Which weights the asynchronous schedules use and what their papers promise of them. PipeDream,
// 2BW and AMDP have files of their own, too.

#include "sim/versions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/field.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

int version_of(const Timeline& t, const Versions& v, OpKind kind, int stage, int microbatch) {
  for (TaskId id = 0; id < t.what->size(); ++id) {
    const Op& op = t.what->op[id];
    if (op.kind == kind && op.stage == stage && op.microbatch == microbatch) return v.version[id];
  }
  return -1;
}

}  // namespace

TEST_CASE("PACI: at most ceil((N - 1) / a) updates between F and B", "[paci][versions]") {
  // arXiv 2606.07881
  const int n = GENERATE(2, 4, 8), a = GENERATE(1, 2, 3, 4, 7, 8, 16);
  const Timeline t =
      run({"paci", n, 16, 12, 0, {{"accumulate", std::to_string(a)}}}, unit_costs(n, 1, 2));
  const Versions v = versions(t);
  int most = 0;
  for (const StageVersions& stage : v.stages) {
    const int warmup = n - 1 - stage.stage;
    CHECK(stage.max_mismatch == (warmup + a - 1) / a);
    CHECK(stage.copies == 1);
    most = std::max(most, stage.max_mismatch);
  }
  CHECK(most == (n - 1 + a - 1) / a);
}

TEST_CASE("PACI that accumulates N >= d: mismatch 1 on the first d - 1 - s of a window, else 0",
          "[paci][versions]") {
  const int d = GENERATE(4, 8), n = d * GENERATE(1, 3);
  const Timeline t = run({"paci", d, n, 5}, unit_costs(d, 1, 2));
  const Versions v = versions(t);
  for (int s = 0; s < d; ++s) {
    for (int m = n; m < 4 * n; ++m) {
      const int mismatch =
          version_of(t, v, OpKind::kBackward, s, m) - version_of(t, v, OpKind::kForward, s, m);
      CHECK(mismatch == (m % n < d - 1 - s ? 1 : 0));
    }
  }
  for (const int copies : v.copies_of_rank) CHECK(copies == 1);
}

TEST_CASE("PACI: flush throughput over m/(m + N - 1)", "[formulas]") {
  const int n = GENERATE(2, 4, 8), m = GENERATE(3, 8, 32);
  const Timeline t = run({"paci", n, m, 6}, unit_costs(n, 1, 2));
  const double step = (update_end(t, 4) - update_end(t, 2)) / 2;
  const double flushed = in_units(wall(run({"1f1b", n, m}, unit_costs(n, 1, 2))).length());
  CHECK(step == Approx(flushed * m / (m + n - 1)));
}

TEST_CASE("vertical sync: every stage uses the version that stage 0 read",
          "[pipedream][versions]") {
  // arXiv 1806.03377 section 3.3: w(t - n + 1) on all of n stages.
  const int p = 4;
  const Timeline t = run({"pipedream-vsync", p, 1, 16}, unit_costs(p, 1, 2));
  const Versions v = versions(t);
  for (int m = 0; m < 16; ++m) {
    for (int s = 0; s < p; ++s) {
      CHECK(version_of(t, v, OpKind::kForward, s, m) == std::max(0, m - (p - 1)));
      CHECK(version_of(t, v, OpKind::kBackward, s, m) == std::max(0, m - (p - 1)));
    }
  }
  // Plain stashing needs p - s versions; with vertical sync every stage keeps as many as stage 0.
  for (const StageVersions& stage : v.stages) {
    CHECK(stage.max_mismatch == 0);
    CHECK(stage.max_delay == p - 1);
    CHECK(stage.copies == p);
  }
  CHECK(v.violations.empty());
}

TEST_CASE("XPipe: prediction distances", "[xpipe][versions]") {
  // Vinsmoke86/AMDP: forward round((d + m - floor(r/2) - 2) / m), backward round((m + floor(r/2) -
  // 1) / m), halves to even.
  const auto ahead = [](int d, int m, bool forward) {
    std::vector<int> steps;
    for (int r = 0; r < d; ++r)
      steps.push_back(predicted_ahead(make({"xpipe", d, m}).shape, r, forward));
    return steps;
  };
  CHECK(ahead(4, 4, true) == Ints{2, 2, 1, 1});
  CHECK(ahead(4, 4, false) == Ints{1, 1, 1, 1});
  CHECK(ahead(8, 8, true) == Ints{2, 2, 2, 2, 2, 2, 1, 1});  // 14/8, 13/8, 12/8 = 1.5 -> 2, 11/8
  CHECK(ahead(8, 32, true) == Ints(8, 1));
  CHECK(ahead(8, 32, false) == Ints(8, 1));
}

TEST_CASE("XPipe: with m = d, the distances make F and B mean the same version, save on one stage",
          "[xpipe][versions]") {
  // Stage s reads one update behind for s < d - 1, so a forward has to look 2 ahead where a
  // backward looks 1; halving the rank in the formula gives stage 2 only 1. The replay shows that.
  const Timeline t = run({"xpipe", 4, 4, 6}, unit_costs(4, 1, 2));
  const Versions v = versions(t, 1, 4);
  std::vector<int> mismatch;
  for (const StageVersions& stage : v.stages) mismatch.push_back(stage.max_mismatch);
  CHECK(mismatch == std::vector<int>{0, 0, 1, 0});
  CHECK(version_of(t, v, OpKind::kForward, 0, 9) == 3);  // window 2: read at 1, predicted 2 ahead
  CHECK(v.violations.empty());
}

TEST_CASE("XPipe: predictions that overshoot count as mismatch and as delay below 0",
          "[xpipe][versions]") {
  // d = 8, m = 5: the last stage predicts 2 ahead for F, 2 = round(8/5), and 1 for B, 1 =
  // round(7/5).
  const Timeline t = run({"xpipe", 8, 5, 8}, unit_costs(8, 1, 2));
  const Versions v = versions(t, 2, 5);
  CHECK(v.stages.back().max_mismatch == -1);
  CHECK(v.stages.back().mean_mismatch == -1);
  CHECK(v.stages.back().mismatched_share == 1);
  CHECK(v.stages.back().max_delay == -2);
}

TEST_CASE("AMDP's synchronous variant: AMDP's order, drained at every update, no mismatch",
          "[amdp][versions]") {
  const int d = GENERATE(2, 4, 8), units = GENERATE(1, 2, 4);
  const Timeline t = run({"amdp-sync", d, units * d, 3}, unit_costs(d, 1, 2));
  const Versions v = versions(t);
  CHECK(v.violations.empty());
  for (const StageVersions& stage : v.stages) CHECK(stage.max_mismatch == 0);
  const Timeline one = run({"amdp-sync", d, units * d, 1}, unit_costs(d, 1, 2));
  // Start-up and drain of a closed unit: 16 at d = 4, 28 at d = 8 (B = 2 F).
  if (units == 1 && d == 4) CHECK(in_units(wall(one).length()) == 16);
  if (units == 1 && d == 8) CHECK(in_units(wall(one).length()) == 28);
}

TEST_CASE("AMDP: a pipeline with two micro-batches of d is active 2/d, so d/2 pipelines run",
          "[formulas]") {
  const int d = GENERATE(4, 8, 16);
  const Schedule s = make({"amdp", d, d, 3});
  CHECK(s.shape.pipelines * 2 == d);
  std::vector<Ints> in_unit(std::size_t(s.shape.pipelines), Ints(3, 0));
  for (const auto& ops : s.ops_of_rank) {
    for (const Op& op : ops) {
      if (op.kind == OpKind::kForward && op.stage == 0)
        ++in_unit[op.pipeline][std::size_t(op.microbatch / d)];
    }
  }
  for (const Ints& pipeline : in_unit) CHECK(pipeline == Ints{2, 2, 2});
}

TEST_CASE("AMDP: mismatch at most min(n, d - i) - 1 with n = 2, except on the last stage",
          "[formulas]") {
  // The last stage: 0 in the paper, where an update follows the backwards at once. Ours comes
  // before the rank's first backward of the new window, after forwards of it ran (DESIGN section
  // 6).
  const int d = GENERATE(4, 8, 16);
  const Versions v = versions(run({"amdp", d, d, 5}, unit_costs(d, 1, 2)), 1, 3);
  for (const StageVersions& stage : v.stages)
    CHECK(stage.max_mismatch == (stage.stage == d - 1 ? 1 : std::min(2, d - stage.stage) - 1));
}
