#include <algorithm>
#include <limits>
#include <random>

#include "sim/bubble.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_program.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

constexpr Nanos ns(std::int64_t n) { return Nanos{n}; }

// A second engine for a fixed order, slow and obvious: time is a double; at every event all rates
// are computed again from who runs. Returns the end of every task.
std::vector<double> slow_taxed_replay(const Program& program) {
  const Activities& what = *program.what;
  const auto ranks = static_cast<LaneId>(what.shape.ranks);
  struct Running {
    TaskId task;
    double left;
    bool travels;  // its link is free again, it only has to arrive
  };
  std::vector<std::uint32_t> unmet = program.unmet;
  std::vector<double> end(what.size(), -1);
  std::vector<Running> running;
  std::vector<TaskId> queued;  // messages, in the order in which they became ready
  const auto is_message = [&](TaskId t) { return what.lane[t] > ranks; };
  const auto occupies = [&](const Running& r) {
    return is_message(r.task) && !r.travels && r.left > 0;
  };
  const auto computes = [&](const Running& r) {
    return what.lane[r.task] < ranks && is_busy(what.op[r.task].kind) && r.left > 0;
  };
  const auto start = [&](TaskId t) {
    const Nanos latency = what.lanes[what.lane[t]].latency;
    running.push_back({t, double((program.duration[t] - latency).count()), false});
  };
  const auto ready = [&](TaskId t) {
    const bool busy = std::any_of(running.begin(), running.end(), [&](const Running& r) {
      return is_message(t) && !r.travels && what.lane[r.task] == what.lane[t];
    });
    if (busy) {
      queued.push_back(t);
    } else {
      start(t);
    }
  };
  for (TaskId t = 0; t < what.size(); ++t)
    if (unmet[t] == 0) ready(t);
  double now = 0;
  while (!running.empty()) {
    const auto touches = [&](TaskId message, LaneId rank) {
      const Lane& lane = what.lanes[what.lane[message]];
      return lane.from_rank == int(rank) || lane.to_rank == int(rank);
    };
    std::vector<double> rate;
    for (const Running& r : running) {
      rate.push_back(1);
      for (const Running& other : running) {
        if (computes(r) && occupies(other) && touches(other.task, what.lane[r.task]))
          rate.back() = 1 / program.overlap_tax.compute;
        if (occupies(r) && computes(other) && touches(r.task, what.lane[other.task]))
          rate.back() = 1 / program.overlap_tax.transfer;
      }
    }
    double step = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < running.size(); ++i)
      step = std::min(step, running[i].left / rate[i]);
    now += step;
    std::vector<Running> still;
    std::vector<TaskId> over;
    for (std::size_t i = 0; i < running.size(); ++i) {
      Running r = running[i];
      r.left -= step * rate[i];
      if (r.left > 1e-7) {
        still.push_back(r);
      } else if (is_message(r.task) && !r.travels) {
        still.push_back({r.task, double(what.lanes[what.lane[r.task]].latency.count()), true});
      } else {
        over.push_back(r.task);
      }
    }
    running = still;
    std::sort(over.begin(), over.end());  // ties go to the lower task
    std::vector<TaskId> waiting;
    std::swap(waiting, queued);
    for (const TaskId t : waiting) ready(t);
    for (const TaskId t : over) {
      end[t] = now;
      for (std::uint32_t i = program.first_next[t]; i < program.first_next[t + 1]; ++i)
        if (--unmet[program.next[i]] == 0) ready(program.next[i]);
    }
  }
  return end;
}

Costs long_costs(const Costs& costs, OverlapTax tax) {
  Costs longer = times_longer(costs, 100000);
  longer.overlap_tax = tax;
  return longer;
}

// F and B of rank 0 then 1, one micro-batch after the other.
Costs two_ranks(Nanos message, OverlapTax tax) {
  Costs costs;
  costs.stages.assign(2, {.forward = ns(1000), .backward = ns(1000)});
  costs.links[0].transfer_time.assign(2, message);
  costs.overlap_tax = tax;
  return costs;
}

Nanos end_of(const Timeline& t, int rank, const std::string& cell) {
  for (const TaskId task : order_of_rank(t, rank)) {
    if (cell_text(t.what->op[task], 1) == cell) return t.end[task];
  }
  FAIL("no " << cell);
  return {};
}

}  // namespace

TEST_CASE("a forward beside a message takes longer, and so does the message", "[overlap]") {
  // GPipe on two ranks, F = B = 1000, message 500. F1 runs beside the message of F0 on rank 0.
  const Schedule s = make({"gpipe", 2, 2});
  const auto at = [&](OverlapTax tax) { return replay(lower(s, two_ranks(ns(500), tax))); };
  const Timeline free = at({});
  CHECK(end_of(free, 0, "0F1") == ns(2000));
  CHECK(end_of(free, 1, "1F0") == ns(2500));
  // The message takes 500 all the same; F1 does 250 of its 1000 in that time. On rank 1, F0 does
  // 750 before F1's message comes in, and the rest beside it.
  const Timeline compute = at({.compute = 2, .transfer = 1});
  CHECK(end_of(compute, 0, "0F1") == ns(2250));
  CHECK(end_of(compute, 1, "1F0") == ns(1500 + 750 + 500));
  // The message takes 1000 beside F1, which takes 1000 all the same.
  const Timeline transfer = at({.compute = 1, .transfer = 2});
  CHECK(end_of(transfer, 0, "0F1") == ns(2000));
  CHECK(end_of(transfer, 1, "1F0") == ns(3000));
  // Both: the message takes 1000, in which F1 does half; F0 then does 500 on rank 1 before F1's
  // message comes in.
  const Timeline both = at({.compute = 2, .transfer = 2});
  CHECK(end_of(both, 0, "0F1") == ns(2500));
  CHECK(end_of(both, 1, "1F0") == ns(2000 + 500 + 1000));
}

TEST_CASE("messages without compute at either end are as fast as alone", "[overlap]") {
  const Schedule s = make({"gpipe", 2, 1});
  CHECK(wall(replay(lower(s, two_ranks(ns(500), {.compute = 3, .transfer = 3})))).length() ==
        ns(4 * 1000 + 2 * 500));
}

TEST_CASE("a tax of 1 in this engine is the plain replay", "[overlap]") {
  // A program without messages that occupy anything has nothing to tax: the engine is the same.
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    RandomShape limits;
    limits.zero_costs = i % 2 == 0;
    const Schedule s = random_schedule(random, limits);
    Costs costs = random_costs(random, s, limits);
    const Timeline plain = replay(lower(s, costs));
    Program program = lower(s, costs);
    // As good as 1, and not 1: the other loop runs.
    program.overlap_tax = {.compute = 1 + 1e-12, .transfer = 1 + 1e-12};
    const Timeline taxed = replay(program);
    REQUIRE(taxed.end == plain.end);
    REQUIRE(taxed.start == plain.start);
  }
}

TEST_CASE("random orders end as in a second engine that computes all rates anew", "[overlap]") {
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    RandomShape limits;
    limits.several_pipelines = i % 3 == 0;
    const Schedule s = random_schedule(random, limits);
    const OverlapTax tax{.compute = i % 4 == 0 ? 1 : 1.3, .transfer = i % 5 == 0 ? 1 : 1.7};
    const Program program = lower(s, long_costs(random_costs(random, s, limits), tax));
    const Timeline t = replay(program);
    const std::vector<double> slow = slow_taxed_replay(program);
    double worst = 0;
    for (TaskId k = 0; k < t.what->size(); ++k)
      worst = std::max(worst, std::abs(double(t.end[k].count()) - slow[k]));
    CHECK(worst <= 2.0 * t.what->size());  // each end and rate change rounds up by less than 1 ns
  }
}

TEST_CASE("an online rule goes on choosing under a tax", "[overlap]") {
  const Schedule s = make({"amdp", 4, 8, 1, 8, {{"rule", "fifo"}}});
  Costs costs = unit_costs(4, 1, 2, 0.1);
  for (LinkClass& link : costs.links) link.transfer_time.assign(4, link.latency + units(0.5));
  const Nanos free = wall(replay(lower(s, costs))).length();
  costs.overlap_tax = {.compute = 1.2, .transfer = 1.2};
  const Timeline taxed = replay(lower(s, costs));
  CHECK(wall(taxed).length() > free);
  CHECK(wall(taxed).length() < 2 * free);
  for (TaskId t = 0; t < taxed.what->size(); ++t)
    CHECK(taxed.duration(t) >= lower(s, costs).duration[t]);
}
