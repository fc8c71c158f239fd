#include <algorithm>
#include <map>
#include <set>

#include "sim/bubble.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

double steady_bubble(int d, double b, std::map<std::string, std::string> options) {
  const Timeline t = run({"amdp", d, d, 24, 0, std::move(options)}, unit_costs(d, 1, b));
  return 100 * bubble(t, {IntervalKind::kSteady, 8, 20}).bubble;
}

std::vector<std::vector<Op>> without_updates(Schedule s) {
  for (auto& ops : s.ops_of_rank) {
    std::vector<Op> kept;
    for (const Op& op : ops) {
      if (op.kind != OpKind::kUpdate) kept.push_back(op);
    }
    ops = kept;
  }
  return s.ops_of_rank;
}

// Without the zero-length mark where a rank turns to its update, which a fixed order has no need
// of.
std::vector<TaskId> order_without_marks(const Timeline& t, int rank) {
  std::vector<TaskId> order = order_of_rank(t, rank);
  order.erase(std::remove_if(order.begin(), order.end(),
                             [&](TaskId task) { return t.what->op[task].kind == OpKind::kUpdate; }),
              order.end());
  return order;
}

}  // namespace

TEST_CASE("the online rules that reproduce the closed form do so on every rank", "[amdp][online]") {
  const int d = GENERATE(4, 8, 12, 16);
  // FIFO with two preloaded forwards at F = B; lowest micro-batch first at B >= 1.5F.
  const auto [rule, b] = GENERATE(table<std::string, double>(
      {{"fifo", 1}, {"lowest-first", 1.5}, {"lowest-first", 2}, {"lowest-first", 3}}));
  const Wanted online{"amdp", d, 6 * d, 1, 0, {{"rule", rule}}};
  const Schedule chosen = chosen_order(run(online, unit_costs(d, 1, b)), "chosen");
  CHECK(schedule_problems(chosen).empty());
  CHECK(without_updates(chosen) == without_updates(make({"amdp", d, 6 * d, 1})));
}

TEST_CASE("a greedy run's order, saved as fixed, never runs an op later", "[amdp][online]") {
  const std::string rule = GENERATE("fifo", "lowest-first");
  const std::string release = GENERATE("unit", "strict");
  const std::string limit = GENERATE("2", "3");
  const Costs costs = unit_costs(8, 1, 2.5, 0.25);
  const Timeline greedy =
      run({"amdp", 8, 64, 1, 0, {{"rule", rule}, {"release", release}, {"limit", limit}}}, costs);
  const Schedule fixed = chosen_order(greedy, "saved");
  CHECK(schedule_problems(fixed).empty());
  const Timeline again = replay(lower(fixed, costs));
  for (int r = 0; r < 8; ++r) {
    const auto before = order_without_marks(greedy, r), after = order_of_rank(again, r);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      CHECK(greedy.what->op[before[i]] == again.what->op[after[i]]);
      CHECK(again.start[after[i]] <= greedy.start[before[i]]);
    }
  }
}

TEST_CASE("greedy runs with updates: the order they chose, saved as fixed, is the same run",
          "[amdp][online]") {
  const int d = GENERATE(2, 4, 8, 12);
  const std::string rule = GENERATE("fifo", "lowest-first");
  const std::string optimizer = GENERATE("owner", "replicated");
  Costs costs = unit_costs(d, 1, 2.5, 0.25);
  costs.barrier = GENERATE(false, true);
  for (StageCosts& stage : costs.stages) {
    stage.reduce = units(0.5), stage.step = units(1), stage.broadcast = units(0.75);
  }
  const Timeline greedy =
      run({"amdp", d, 2 * d, 4, 0, {{"rule", rule}, {"optimizer", optimizer}}}, costs);
  const Schedule fixed = chosen_order(greedy, "saved");
  CHECK(schedule_problems(fixed).empty());  // an update before a gradient would be a problem
  const Timeline again = replay(lower(fixed, costs));
  for (int r = 0; r < d; ++r) {
    const auto before = order_without_marks(greedy, r), after = order_of_rank(again, r);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (!(greedy.what->op[before[i]] == again.what->op[after[i]]))
        FAIL("rank " << r << " step " << i);
      if (greedy.start[before[i]] != again.start[after[i]])
        FAIL("rank " << r << " step " << i << " starts elsewhere");
    }
  }
  // Collectives start on all members together.
  std::map<std::tuple<OpKind, int, int>, std::set<Nanos>> starts;
  for (TaskId t = 0; t < greedy.what->size(); ++t) {
    const Op& op = greedy.what->op[t];
    if (op.kind == OpKind::kReduce || op.kind == OpKind::kBroadcast)
      starts[{op.kind, op.stage, op.microbatch}].insert(greedy.start[t]);
    if (op.kind == OpKind::kBarrier) starts[{op.kind, -1, op.microbatch}].insert(greedy.start[t]);
  }
  for (const auto& [key, times] : starts) CHECK(times.size() == 1);
}

TEST_CASE(
    "online rules by bubble: strict n = 2 and 3, unit h = 2, as an independent replay of the same "
    "rules found",
    "[amdp][online]") {
  // Steady bubble in % at d = 4, 8, 16 by rule and B/F.
  struct Row {
    std::map<std::string, std::string> options;
    double b;
    std::vector<double> percent;
  };
  const std::map<std::string, std::string> strict2{
      {"rule", "fifo"}, {"release", "strict"}, {"limit", "2"}};
  const std::map<std::string, std::string> strict3{
      {"rule", "fifo"}, {"release", "strict"}, {"limit", "3"}};
  const std::map<std::string, std::string> unit2{{"rule", "fifo"}};
  const Row row = GENERATE_REF(Row{strict2, 1, {0, 0, 0}}, Row{strict2, 2, {14.3, 14.3, 14.3}},
                               Row{strict2, 3, {20, 15.8, 13.5}}, Row{unit2, 1, {0, 0, 0}},
                               Row{unit2, 2, {14.3, 7.7, 4.0}}, Row{unit2, 3, {15.8, 8.6, 4.5}},
                               Row{strict3, 1, {0, 0, 0}});
  for (int i = 0; i < 3; ++i) {
    INFO("d " << (4 << i) << " B/F " << row.b << " limit "
              << (row.options.count("limit") ? row.options.at("limit") : "unit"));
    CHECK(steady_bubble(4 << i, row.b, row.options) ==
          Approx(row.percent[std::size_t(i)]).margin(0.06));
  }
}

TEST_CASE("online rules need overlapped communication", "[amdp][online][errors]") {
  Costs costs = unit_costs(4, 1, 2);
  costs.comm = CommMode::kBlocking;
  CHECK_THROWS_WITH(run({"amdp", 4, 8, 1, 0, {{"rule", "fifo"}}}, costs),
                    contains("needs a fixed order"));
}
