#include <map>
#include <set>

#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("1F1B at p = 64, m = 1024 lowers to 260,096 ops and messages, and 64 updates",
          "[lower]") {
  const Program program = lower(make({"1f1b", 64, 1024}), unit_costs(64, 1, 2));
  std::size_t updates = 0;
  for (const Op& op : program.what->op) updates += is_update_part(op.kind);
  CHECK(program.what->size() - updates == 260'096);
  CHECK(updates == 64);
  CHECK(program.what->transfers.size() == 129'024);
}

TEST_CASE("an op's message has the next task id, its consumer is the op that needs it", "[lower]") {
  const bool blocking = GENERATE(false, true);
  Costs costs = unit_costs(8, 1, 2);
  if (blocking) costs.comm = CommMode::kBlocking;
  const Program program = lower(make({"amdp", 8, 16, 2}), costs);
  const Activities& what = *program.what;
  std::size_t k = 0;
  for (TaskId t = 0; t < what.size(); ++t) {
    if (!is_transfer(what.op[t].kind)) continue;
    const Transfer& transfer = what.transfers[k++];
    CHECK(transfer.producer == t - 1);
    const Op& from = what.op[transfer.producer];
    const Op& to = what.op[transfer.consumer];
    CHECK(from.kind == to.kind);
    CHECK(from.microbatch == to.microbatch);
    CHECK(from.stage + (from.kind == OpKind::kForward ? 1 : -1) == to.stage);
    CHECK(what.lanes[what.lane[t]].from_rank == int(what.lane[transfer.producer]));
    CHECK(what.lanes[what.lane[t]].to_rank == int(what.lane[transfer.consumer]));
  }
  CHECK(k == what.transfers.size());
}

TEST_CASE("no message between two stages of one rank", "[lower]") {
  const Schedule s = parse_schedule(
      "# v ranks=1 stages=2 pipelines=1 microbatches=1 window=1 rule=flush optimizer=replicated\n"
      "# rank of each stage: 0 0\n0F0 1F0 1B0 0B0 0U0 1U0\n",
      "v.txt");
  const Program program = lower(s, unit_costs(2, 1, 2));
  CHECK(program.what->transfers.empty());
  CHECK(in_units(wall(replay(program)).length()) == 6);
}

TEST_CASE("a link carries one message at a time, latency delays the arrival only", "[replay]") {
  // Stage 0 ends F0 at 1 and F1 at 2; a message occupies the link for 3 and arrives 2 later.
  const Schedule s = parse_schedule(
      "# l ranks=2 stages=2 pipelines=1 microbatches=2 window=2 rule=flush optimizer=replicated\n"
      "# rank of each stage: 0 1\n0F0 0F1 0B0 0B1 0U0\n1F0 1F1 1B0 1B1 1U0\n",
      "l.txt");
  Costs costs = unit_costs(2, 1, 1, 2);
  costs.links[0].transfer_time = {units(5), units(2)};
  const Timeline t = replay(lower(s, costs));
  const auto& what = *t.what;
  std::vector<double> starts, ends;
  for (TaskId i = 0; i < what.size(); ++i) {
    if (what.op[i].kind != OpKind::kSendForward) continue;
    starts.push_back(in_units(t.start[i]));
    ends.push_back(in_units(t.end[i]));
  }
  CHECK(starts == std::vector<double>{1, 4});  // the second waits for the link, not for the arrival
  CHECK(ends == std::vector<double>{6, 9});
}

TEST_CASE("opposite directions between two ranks are two links", "[replay]") {
  Costs costs = unit_costs(2, 1, 1);
  costs.links[0].transfer_time = {units(4), units(0)};
  const Timeline t = run({"1f1b", 2, 4}, costs);
  bool beside = false;
  for (TaskId a = 0; a < t.what->size(); ++a) {
    for (TaskId b = 0; b < t.what->size(); ++b) {
      const bool opposite =
          t.what->op[a].kind == OpKind::kSendForward && t.what->op[b].kind == OpKind::kSendBackward;
      beside = beside || (opposite && t.start[a] < t.end[b] && t.start[b] < t.end[a]);
    }
  }
  CHECK(beside);
}

TEST_CASE("an order that is legal per rank but cyclic across ranks is answered with the cycle",
          "[replay][errors]") {
  const Schedule s = parse_schedule(
      "# c ranks=2 stages=2 pipelines=1 microbatches=2 window=2 rule=flush optimizer=replicated\n"
      "# rank of each stage: 0 1\n0F0 0B0 0F1 0B1 0U0\n1F1 1B1 1F0 1B0 1U0\n",
      "c.txt");
  REQUIRE(schedule_problems(s).empty());
  CHECK_THROWS_WITH(replay(lower(s, unit_costs(2, 1, 2))),
                    "deadlock: 12 of 14 tasks never became ready; 0B0 on rank 0, which waits for "
                    "1SEND_B0 from rank 1 to 0, which waits for "
                    "1B0 on rank 1, which waits for 1F0 on rank 1, which waits for 1B1 on rank 1, "
                    "which waits for 1F1 on rank 1, which waits "
                    "for 0SEND_F1 from rank 0 to 1, which waits for 0F1 on rank 0, which waits for "
                    "0B0 on rank 0");
}

TEST_CASE("two replays of one program give the same bytes, buffers reused or not", "[replay]") {
  const Program program = lower(make({"amdp", 16, 32, 3}), unit_costs(16, 1, 1.7, 0.3));
  const Timeline first = replay(program);
  ReplayBuffers buffers;
  for (int i = 0; i < 3; ++i) {
    replay_into(program, buffers);
    CHECK(buffers.start == first.start);
    CHECK(buffers.end == first.end);
  }
}

TEST_CASE("links between nodes have their own class", "[lower]") {
  Costs costs = unit_costs(4, 1, 2);
  costs.links = {{"fast", units(1), {}}, {"slow", units(10), {}}};
  costs.ranks_per_node = 2;
  const Timeline t = run({"gpipe", 4, 1}, costs);
  CHECK(in_units(wall(t).length()) == 4 * 3 + 2 * (1 + 10 + 1));
}

TEST_CASE("collectives start together on all replicas and the owner alone steps", "[lower]") {
  Costs costs = unit_costs(8, 1, 2);
  for (StageCosts& s : costs.stages)
    s.reduce = units(0.5), s.step = units(3), s.broadcast = units(0.25);
  const Timeline t = run({"amdp", 8, 8, 3}, costs);
  std::map<std::tuple<OpKind, int, int>, std::vector<Nanos>> starts;
  for (TaskId i = 0; i < t.what->size(); ++i) {
    const Op& op = t.what->op[i];
    if (is_update_part(op.kind)) starts[{op.kind, op.stage, op.microbatch}].push_back(t.start[i]);
  }
  for (const auto& [key, times] : starts) {
    const OpKind kind = std::get<0>(key);
    CHECK(times.size() == (kind == OpKind::kStep ? 1u : 4u));
    CHECK(std::set<Nanos>(times.begin(), times.end()).size() == 1);
  }
  CHECK(starts.size() == 3u * 8 * 3);
}

TEST_CASE("a run longer than 64 bits of nanoseconds is refused, not wrapped around",
          "[lower][errors]") {
  Costs costs;
  costs.stages = {{.forward = kLongestOp, .backward = kLongestOp}};
  CHECK_THROWS_WITH(lower(make({"gpipe", 1, 1'000'000}), costs),
                    "gpipe: all ops one after another take 457 years, and a run has to stay below "
                    "100; use shorter times or fewer "
                    "micro-batches");
}

TEST_CASE("a schedule read back from its text replays the same under blocking groups",
          "[lower][blocking]") {
  const int d = GENERATE(4, 8, 12);
  Costs costs = unit_costs(d, 1, 2, 0.125);
  costs.comm = CommMode::kBlocking;
  const Schedule amdp = make({"amdp", d, 2 * d, 3});
  const Timeline again = replay(lower(parse_schedule(schedule_text(amdp), "a.txt"), costs));
  CHECK(again.end == replay(lower(amdp, costs)).end);
}
