#include <random>

#include "sim/clock_alignment.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// As ranks with these clocks would have written it down.
Timeline with_clocks(const Timeline& timeline, const std::vector<Nanos>& offset) {
  Timeline result = timeline;
  for (TaskId t = 0; t < timeline.what->size(); ++t) {
    const Lane& lane = timeline.what->lanes[timeline.what->lane[t]];
    if (lane.from_rank < 0) continue;
    result.start[t] += offset[std::size_t(lane.from_rank)];
    result.end[t] += offset[std::size_t(lane.to_rank)];
  }
  return result;
}

}  // namespace

TEST_CASE("planted clocks are found to the nanosecond where both directions take as long",
          "[clocks]") {
  std::mt19937 random(3);
  for (const char* name : {"1f1b", "zb-v", "amdp", "dualpipe"}) {
    const Schedule s = make({name, 4, 8, 2});
    Costs costs = unit_costs(s.shape.stages, 1, 2, 0.5);
    for (StageCosts& c : costs.stages) c.input_grad = c.weight_grad = units(1);
    const Timeline t = replay(lower(s, costs));
    const auto draw = [&] { return Nanos(std::int64_t(random() % 2'000'000) - 1'000'000); };
    const std::vector<Nanos> planted{Nanos{0}, draw(), draw(), draw()};
    const Timeline measured = with_clocks(t, planted);
    CHECK(messages_back_in_time(measured) > 0);
    const ClockAlignment found = clock_alignment(measured);
    CHECK(found.unknown.empty());
    CHECK(found.offset == planted);
    const Timeline back = aligned(measured, found);
    CHECK(messages_back_in_time(back) == 0);
    for (TaskId id = 0; id < t.what->size(); ++id) {
      if (t.what->op[id].kind == OpKind::kJoin) continue;
      REQUIRE(back.start[id] == t.start[id]);
      REQUIRE(back.end[id] == t.end[id]);
    }
  }
}

TEST_CASE("one direction alone tells nothing", "[clocks]") {
  const Timeline t = run({"forward-only", 3, 4}, unit_costs(3, 1, 2, 0.5));
  const ClockAlignment found = clock_alignment(t);
  CHECK(found.unknown == std::vector<int>{1, 2});
}
