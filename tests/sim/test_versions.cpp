#include "sim/versions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("flush schedules have no mismatch, no delay and one copy, over several steps",
          "[versions]") {
  const std::string schedule = GENERATE("gpipe", "1f1b");
  const Versions v = versions(run({schedule, 4, 6, 3}, unit_costs(4, 1, 2)));
  CHECK(v.violations.empty());
  for (const StageVersions& stage : v.stages) {
    CHECK(stage.max_mismatch == 0);
    CHECK(stage.max_delay == 0);
    CHECK(stage.copies == 1);
  }
}

TEST_CASE("a run that breaks the promise of its rule is reported", "[versions]") {
  Schedule s = parse_schedule(
      "# f ranks=1 stages=1 pipelines=1 microbatches=2 window=1 rule=flush optimizer=replicated\n"
      "# rank of each stage: 0\n0F0 0F1 0B0 0U0 0B1 0U1\n",
      "f.txt");
  CHECK(
      versions(replay(lower(s, unit_costs(1, 1, 2)))).violations ==
      std::vector<std::string>{"0B1 of pipeline 0 has mismatch 1 and delay 1 in a flush schedule"});
  // msr-fiddle/pipedream#57: two micro-batches per update at p = 4 would need a third version.
  s.shape.rule = VersionRule::kDoubleBuffer;
  s.ops_of_rank = {
      parse_schedule("# t ranks=1 stages=1 pipelines=1 microbatches=4 window=1 rule=flush "
                     "optimizer=replicated\n"
                     "# rank of each stage: 0\n0F0 0F1 0F2 0F3 0B0 0U0 0B1 0U1 0B2 0U2 0B3 0U3\n",
                     "t.txt")
          .ops_of_rank[0]};
  s.shape.microbatches = 4;
  CHECK_FALSE(versions(replay(lower(s, unit_costs(1, 1, 2)))).violations.empty());
}

TEST_CASE("with stashing, answers out of order still use the version of their own forward",
          "[versions]") {
  // msr-fiddle/pipedream#22: the stash is keyed by micro-batch, not popped in order.
  const Schedule s = parse_schedule(
      "# o ranks=1 stages=1 pipelines=1 microbatches=4 window=1 rule=stash optimizer=replicated\n"
      "# rank of each stage: 0\n0F0 0B0 0U0 0F1 0F2 0B2 0U1 0B1 0U2 0F3 0B3 0U3\n",
      "o.txt");
  const Timeline t = replay(lower(s, unit_costs(1, 1, 2)));
  const Versions v = versions(t);
  for (TaskId i = 0; i < t.what->size(); ++i) {
    const Op& op = t.what->op[i];
    if (op.kind == OpKind::kBackward)
      CHECK(v.version[i] == std::vector<int>{0, 1, 1, 3}[std::size_t(op.microbatch)]);
  }
  CHECK(v.stages[0].max_mismatch == 0);
}

TEST_CASE("plain latest weights under PipeDream's order: mismatch p - 1 - s", "[versions]") {
  Schedule s = make({"pipedream", 4, 12, 12});
  s.shape.rule = VersionRule::kLatest;
  const Versions v = versions(replay(lower(s, unit_costs(4, 1, 2))), 4, 11);
  for (int stage = 0; stage < 4; ++stage)
    CHECK(v.stages[std::size_t(stage)].max_mismatch == 3 - stage);
}
