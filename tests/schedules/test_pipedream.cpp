#include "sim/bubble.hpp"
#include "sim/versions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("PipeDream: delay p - 1 - s, mismatch 0, p - s weight versions", "[pipedream]") {
  // arXiv 1806.03377 section 3.4.
  const int p = GENERATE(1, 2, 4, 8, 11);
  const int m = 4 * p;
  const Timeline t = run({"pipedream", p, m, m}, unit_costs(p, 1, 2));
  const Versions v = versions(t, p, m - 1);
  for (int s = 0; s < p; ++s) {
    const StageVersions& stage = v.stages[std::size_t(s)];
    CHECK(stage.max_delay == p - 1 - s);
    CHECK(stage.max_mismatch == 0);
    CHECK(stage.mismatched_share == 0);
    CHECK(stage.copies == p - s);
    CHECK(v.copies_of_rank[std::size_t(s)] == p - s);
  }
  CHECK(v.violations.empty());
}

TEST_CASE("PipeDream: micro-batch i reads version max(0, i - (p - 1 - s)), at F and at B",
          "[pipedream]") {
  // marin-community/marin#6431: the start-up differs, the last stage is fresh.
  const Timeline t = run({"pipedream", 4, 8, 8}, unit_costs(4, 1, 2));
  const Versions v = versions(t);
  for (TaskId task = 0; task < t.what->size(); ++task) {
    const Op& op = t.what->op[task];
    if (op.kind != OpKind::kForward && op.kind != OpKind::kBackward) continue;
    CHECK(v.version[task] == std::max(0, op.microbatch - (3 - op.stage)));
  }
}

TEST_CASE("PipeDream: steady state has no bubble with equal stages", "[pipedream]") {
  const Timeline t = run({"pipedream", 8, 8, 64}, unit_costs(8, 1, 2));
  CHECK((update_end(t, 40) - update_end(t, 8)) / 32 == 3);
  CHECK(bubble(t, {IntervalKind::kSteady, 8, 40}).bubble == 0);
}

TEST_CASE("2BW: version max(floor((k-1)/m) - 1, 0) for F and B, two copies, delay 1, mismatch 0",
          "[2bw]") {
  // arXiv 2006.09503 section 3.1, k counted from 1.
  const auto [p, m] = GENERATE(table<int, int>({{4, 4}, {4, 8}, {8, 8}, {8, 13}, {1, 1}, {2, 5}}));
  const Timeline t = run({"pipedream-2bw", p, m, 6}, unit_costs(p, 1, 2));
  const Versions v = versions(t, 1, 5);
  CHECK(v.violations.empty());
  for (TaskId task = 0; task < t.what->size(); ++task) {
    const Op& op = t.what->op[task];
    if (op.kind == OpKind::kForward || op.kind == OpKind::kBackward) {
      CHECK(v.version[task] == std::max(op.microbatch / m - 1, 0));
    }
  }
  for (const StageVersions& stage : v.stages) {
    CHECK(stage.copies == 2);
    CHECK(stage.max_delay == 1);
    CHECK(stage.max_mismatch == 0);
  }
}

TEST_CASE("2BW with fewer micro-batches than ranks is refused, with the reason", "[2bw][errors]") {
  // msr-fiddle/pipedream#57: m = 8 and 4 are good at p = 4, m = 2 would need a third version.
  CHECK_NOTHROW(make({"pipedream-2bw", 4, 8}));
  CHECK_NOTHROW(make({"pipedream-2bw", 4, 4}));
  CHECK_THROWS_WITH(make({"pipedream-2bw", 4, 2}),
                    "pipedream-2bw: 2 micro-batches per update, but 4 ranks need at least 4: with "
                    "fewer, a forward still in "
                    "flight reads a third weight version (arXiv 2006.09503, m >= d); use a larger "
                    "batch, a smaller "
                    "micro-batch or at most 2 ranks");
  // cli-01 of the same kind (huggingface/nanotron#347): the user's own inputs are named.
  ScheduleParams params{.ranks = 8, .batch = 1};
  params.batch_from = "batch.global 8 / (batch.micro 8 x parallel.data 1)";
  CHECK_THROWS_WITH(make_schedule(find_schedule("2bw"), params),
                    contains("1 micro-batches per update (batch.global 8 / (batch.micro 8 x "
                             "parallel.data 1)), but 8 ranks need at least 8"));
}

TEST_CASE("2BW at p = m = 8 with equal stages: steady step 24", "[2bw]") {
  const Timeline t = run({"pipedream-2bw", 8, 8, 6}, unit_costs(8, 1, 2));
  CHECK((update_end(t, 4) - update_end(t, 0)) / 4 == 24);
}
