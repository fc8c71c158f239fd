#include "sim/timeline_errors.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

Timeline slower(const Timeline& timeline, int percent) {
  Timeline result = timeline;
  for (Nanos& time : result.start) time = time * percent / 100;
  for (Nanos& time : result.end) time = time * percent / 100;
  return result;
}

}  // namespace

TEST_CASE("a prediction has no error against itself", "[errors]") {
  const Timeline t = run({"amdp", 4, 8, 3}, unit_costs(4, 1, 2, 0.5));
  const TimelineErrors errors = timeline_errors(t, t);
  CHECK(errors.differences.empty());
  CHECK(errors.step == 0);
  REQUIRE(errors.kinds.size() == 4);  // F, B, SEND_F, SEND_B; updates take no time
  for (const KindErrors& k : errors.kinds) {
    CHECK(k.median == 0);
    CHECK(k.worst == 0);
    CHECK(k.ops == 4 * 8 * 3 - (is_transfer(k.kind) ? 8 * 3 : 0));
  }
}

TEST_CASE("everything a quarter slower is predicted 20 % too fast, op by op", "[errors]") {
  const Timeline t = run({"1f1b", 4, 8}, unit_costs(4, 1, 2));
  const TimelineErrors errors = timeline_errors(t, slower(t, 125));
  CHECK(errors.step == Approx(-0.2));
  for (const KindErrors& k : errors.kinds) {
    CHECK(k.median == Approx(-0.2));
    CHECK(k.p90 == Approx(0.2));
    CHECK(k.worst == Approx(-0.2));
  }
}

TEST_CASE("one slow op is the worst of its kind and leaves the median alone", "[errors]") {
  const Timeline t = run({"gpipe", 2, 8}, unit_costs(2, 1, 2));
  Timeline measured = t;
  TaskId slow = 0;
  while (cell_text(t.what->op[slow], 1) != "1F7") ++slow;
  measured.end[slow] += kUnit;
  const TimelineErrors errors = timeline_errors(t, measured);
  REQUIRE(errors.kinds.front().kind == OpKind::kForward);
  CHECK(errors.kinds.front().worst == Approx(-0.5));
  CHECK(errors.kinds.front().worst_task == slow);
  CHECK(errors.kinds.front().median == 0);
  CHECK(errors.kinds.front().p90 == 0);  // one of 16 is beyond it
}

TEST_CASE("another order and other versions are said", "[errors]") {
  // Each forward of the last rank of PipeDream reads the weights that the update before it made.
  const Timeline t = run({"pipedream", 2, 1, 4}, unit_costs(2, 1, 2));
  Timeline measured = t;
  const std::vector<TaskId> order = order_of_rank(t, 1);
  std::size_t i = 0;
  while (i + 1 < order.size() && (t.what->op[order[i]].kind != OpKind::kStep ||
                                  t.what->op[order[i + 1]].kind != OpKind::kForward))
    ++i;
  const TaskId step = order[i], forward = order[i + 1];
  REQUIRE(i + 1 < order.size());
  measured.start[step] = measured.end[step] = measured.end[forward];
  const TimelineErrors errors = timeline_errors(t, measured);
  REQUIRE_FALSE(errors.differences.empty());
  CHECK_THAT(errors.differences[0], contains("rank 1: op "));
  CHECK_THAT(errors.differences.back(), contains("with another weight version, first "));
}
