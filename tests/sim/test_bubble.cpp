#include "sim/bubble.hpp"
#include "sim/critical_path.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

double cause(const Bubble& b, IdleCause c) {
  Nanos sum{0};
  for (const RankIdle& rank : b.ranks) sum += rank.by_cause[std::size_t(c)];
  return in_units(sum);
}

}  // namespace

TEST_CASE("1F1B by hand, p = 2, m = 2: start-up, gradient, drain", "[bubble]") {
  // rank 0: F0 0-1, F1 1-2, idle 2-4, B0 4-6, idle 6-7, B1 7-9. rank 1: idle 0-1, F0 B0 1-4, F1 B1
  // 4-7, idle 7-9.
  const Bubble b = bubble(run({"1f1b", 2, 2}, unit_costs(2, 1, 2)), {});
  CHECK(cause(b, IdleCause::kDownstreamGradient) == 3);
  CHECK(cause(b, IdleCause::kStartUp) == 1);
  CHECK(cause(b, IdleCause::kDrain) == 2);
  CHECK(b.bubble == 6.0 / 18);
  CHECK(b.over_ideal == 6.0 / 12);
}

TEST_CASE("over the span, every rank is measured on the longest rank's length", "[bubble]") {
  const Timeline t = run({"gpipe", 4, 8}, unit_costs(4, 1, 2));
  const Bubble b = bubble(t, {IntervalKind::kSpan});
  for (const RankIdle& rank : b.ranks) {
    CHECK(in_units(rank.interval.length()) == 33);
    CHECK(in_units(rank.busy) == 24);
  }
}

TEST_CASE("waiting for partners, a barrier, a queue and a message are told apart", "[bubble]") {
  Costs costs = unit_costs(8, 1, 2, 0.25);
  costs.links[0].transfer_time.assign(8, units(1.5));
  costs.barrier = true;
  for (StageCosts& s : costs.stages) s.reduce = units(1);
  const Bubble b = bubble(run({"amdp", 8, 8, 6}, costs), {IntervalKind::kSteady, 1, 4});
  CHECK(cause(b, IdleCause::kReduceBroadcast) >=
        8 * 3 * 4);  // 4 stages per rank, 3 updates, 8 ranks
  CHECK(cause(b, IdleCause::kTransfer) > 0);
  CHECK(cause(b, IdleCause::kMemoryCap) == 0);
  CHECK(cause(b, IdleCause::kStartUp) + cause(b, IdleCause::kDrain) == 0);
  for (const RankIdle& rank : b.ranks) {
    Nanos sum{0};
    for (const Nanos part : rank.by_cause) sum += part;
    CHECK(sum == rank.idle);
    CHECK(rank.busy + rank.idle == rank.interval.length());
  }
  // Equal ranks reach the barrier with nothing left to wait for but each other's phase: only ranks
  // that are ahead wait there.
  CHECK(cause(b, IdleCause::kBarrier) > 0);
}

TEST_CASE("under blocking groups every idle instant has a cause, and the critical path no hole",
          "[bubble][blocking]") {
  const auto [schedule, d] = GENERATE(table<std::string, int>({{"amdp", 4},
                                                               {"amdp", 8},
                                                               {"pipedream-2bw", 8},
                                                               {"pipedream", 4},
                                                               {"1f1b", 8},
                                                               {"gpipe", 4}}));
  Costs costs = unit_costs(d, 1, 1.75, 0.125);
  costs.comm = CommMode::kBlocking;
  costs.barrier = GENERATE(false, true);
  costs.links[0].transfer_time.assign(std::size_t(d), units(0.5));
  for (StageCosts& s : costs.stages) s.step = units(0.25), s.reduce = units(0.25);
  const Timeline t = run({schedule, d, 2 * d, 3}, costs);
  CHECK(cause(bubble(t, {}), IdleCause::kOther) == 0);
  CHECK(critical_path(t).waiting == Nanos{0});
}

TEST_CASE("an in-flight limit that holds an op back shows as memory cap", "[bubble]") {
  // Stage 0 may take micro-batch 1 only after stage 1 has finished the backward of micro-batch 0:
  // at 1 + 1 + 2.
  Schedule s = make({"gpipe", 2, 2});
  s.dispatch = Dispatch::kFifo;
  s.releases.push_back(
      {{.microbatch = 1}, {.microbatch = 0, .stage = 1, .kind = OpKind::kBackward}});
  const Bubble b = bubble(replay(lower(s, unit_costs(2, 1, 2, 0.5))), {});
  CHECK(cause(b, IdleCause::kMemoryCap) ==
        3.5);  // rank 0 from 1 to 4.5, where F1 and then B0 are free
}

TEST_CASE("a steady interval that does not exist is refused", "[bubble][errors]") {
  CHECK_THROWS_WITH(bubble(run({"1f1b", 2, 2}, unit_costs(2, 1, 2)), {IntervalKind::kSteady, 0, 3}),
                    "no steady interval: rank 0 has no update of window 3");
}

TEST_CASE("what an op waited for: length and the cause of most of it", "[bubble]") {
  const Timeline t = run({"1f1b", 2, 2}, unit_costs(2, 1, 2, 0.5));
  const std::vector<Wait> w = waits(t);
  const auto of = [&](int rank, std::size_t i) { return w[order_of_rank(t, rank)[i]]; };
  CHECK(of(0, 0).length == Nanos(0));
  CHECK(of(1, 0).cause == IdleCause::kStartUp);
  CHECK(in_units(of(1, 0).length) == 1.5);
  CHECK(of(0, 2).cause == IdleCause::kDownstreamGradient);  // B0: until 4.5, then 0.5 on its way
  CHECK(in_units(of(0, 2).length) == 3);
}
