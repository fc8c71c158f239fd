#include <map>
#include <set>

#include "sim/bubble.hpp"
#include "sim/memory.hpp"
#include "sim/versions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// F and B of one rank as "F<microbatch>.<stage>", updates left out.
std::vector<std::string> order(const Schedule& s, int rank) {
  std::vector<std::string> row;
  for (const Op& op : s.ops_of_rank[std::size_t(rank)]) {
    if (op.kind == OpKind::kUpdate) continue;
    row.push_back(fmt::format("{}{}.{}", text(op.kind), op.microbatch, op.stage));
  }
  return row;
}

// A unit as the authors' implementation (Vinsmoke86/AMDP) runs it: micro-batches relative to the
// unit, a negative one belongs to the unit before and is absent in the first.
std::vector<std::string> recorded(const std::string& unit, int d, int units) {
  std::vector<std::string> row;
  std::string word;
  const std::string text = unit + " ";
  const auto add = [&](int u) {
    const std::size_t dot = word.find('.');
    const int microbatch = std::stoi(word.substr(1, dot - 1)) + d * u;
    if (microbatch >= 0 && microbatch < d * units)
      row.push_back(fmt::format("{}{}{}", word[0], microbatch, word.substr(dot)));
  };
  for (int u = 0; u <= units; ++u) {
    word.clear();
    for (const char c : text) {
      if (c != ' ') {
        word += c;
      } else if (!word.empty()) {
        add(u);
        word.clear();
      }
    }
  }
  return row;
}

const std::vector<std::string> kUnitOf4{
    "F0.0 F2.0 B-2.0 F1.3 B1.3 F3.3 B3.3 B0.0",
    "F0.1 F1.2 F2.1 F3.2 B1.2 B0.1 B3.2 B2.1",
    "F1.1 F0.2 F3.1 F2.2 B0.2 B1.1 B2.2 B3.1",
    "F1.0 F3.0 B-1.0 F0.3 B0.3 F2.3 B2.3 B1.0",
};
const std::vector<std::string> kUnitOf8{
    "F0.0 F4.0 B-4.0 F1.3 F2.4 F5.3 F6.4 F3.7 B3.7 F7.7 B7.7 B2.4 B1.3 B6.4 B5.3 B0.0",
    "F0.1 F1.2 F4.1 F5.2 F2.5 F3.6 F6.5 F7.6 B3.6 B2.5 B7.6 B6.5 B1.2 B0.1 B5.2 B4.1",
    "F1.1 F0.2 F5.1 F4.2 F3.5 F2.6 F7.5 F6.6 B2.6 B3.5 B6.6 B7.5 B0.2 B1.1 B4.2 B5.1",
    "F1.0 F5.0 B-3.0 F0.3 F3.4 F4.3 F7.4 F2.7 B2.7 F6.7 B6.7 B3.4 B0.3 B7.4 B4.3 B1.0",
    "F2.0 F6.0 B-2.0 F3.3 F0.4 F7.3 F4.4 F1.7 B1.7 F5.7 B5.7 B0.4 B3.3 B4.4 B7.3 B2.0",
    "F2.1 F3.2 F6.1 F7.2 F0.5 F1.6 F4.5 F5.6 B1.6 B0.5 B5.6 B4.5 B3.2 B2.1 B7.2 B6.1",
    "F3.1 F2.2 F7.1 F6.2 F1.5 F0.6 F5.5 F4.6 B0.6 B1.5 B4.6 B5.5 B2.2 B3.1 B6.2 B7.1",
    "F3.0 F7.0 B-1.0 F2.3 F1.4 F6.3 F5.4 F0.7 B0.7 F4.7 B4.7 B1.4 B2.3 B5.4 B6.3 B3.0",
};

// Period of one unit of d micro-batches, away from start-up and drain.
double period(int d, const std::string& preload, double f, double b, bool barrier = false,
              int window = 0) {
  Costs costs = unit_costs(d, f, b);
  costs.barrier = barrier;
  if (window == 0) window = d;
  const int windows = 8;
  const Timeline t = run({"amdp", d, window, windows, 0, {{"preload", preload}}}, costs);
  return (update_end(t, 6) - update_end(t, 2)) / 4 / (window / d);
}

}  // namespace

TEST_CASE("AMDP's order equals the authors' on every rank, for every window length", "[amdp]") {
  const int d = GENERATE(4, 8);
  const int units_per_window = GENERATE(1, 2, 4);
  const int windows = 8 / units_per_window;
  const Schedule s = make({"amdp", d, d * units_per_window, windows});
  for (int r = 0; r < d; ++r) {
    CHECK(order(s, r) == recorded((d == 4 ? kUnitOf4 : kUnitOf8)[std::size_t(r)], d, 8));
  }
}

TEST_CASE("AMDP: every rank hosts d/2 stages, entry ranks are 0 and 3 mod 4", "[amdp]") {
  const int d = GENERATE(4, 8, 12, 32, 64);
  const Shape shape = make({"amdp", d, d}).shape;
  std::map<int, int> hosted;
  for (const int rank : shape.rank_of_stage) ++hosted[rank];
  CHECK(hosted.size() == std::size_t(d));
  for (const auto& [rank, stages] : hosted) CHECK(stages == d / 2);
  for (int p = 0; p < d / 2; ++p) {
    CHECK((shape.rank_of(p, 0) % 4 == 0 || shape.rank_of(p, 0) % 4 == 3));
    for (int s = 0; s + 1 < d; ++s) {  // neighbours on the ring
      const int step = (shape.rank_of(p, s + 1) - shape.rank_of(p, s) + d) % d;
      CHECK((step == 1 || step == d - 1));
    }
  }
}

TEST_CASE("AMDP's period: (d+1)B + (d-1)F for F <= B <= 2F, (d+2)B + (d-3)F above", "[amdp]") {
  const double ratio = GENERATE(1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0);
  for (int d = 4; d <= 64; d += 4) {
    const double expected = ratio <= 2 ? (d + 1) * ratio + (d - 1) : (d + 2) * ratio + (d - 3);
    CHECK(period(d, "2", 1, ratio) == expected);
  }
}

TEST_CASE("AMDP's period by preload and B/F: replayed orders of the public implementation",
          "[amdp]") {
  // Periods for preload 0, 1, 2 at B/F = 1, 1.5, 2, 2.5, 3, 4.
  const std::vector<double> ratios{1, 1.5, 2, 2.5, 3, 4};
  const std::map<std::pair<int, int>, std::vector<double>> rows{
      {{4, 0}, {10, 13, 16, 19, 22, 28}},  {{4, 1}, {8, 11, 14, 17, 20, 26}},
      {{4, 2}, {8, 10.5, 13, 16, 19, 25}}, {{8, 0}, {18, 23, 28, 33, 38, 48}},
      {{8, 1}, {16, 21, 26, 31, 36, 46}},  {{8, 2}, {16, 20.5, 25, 30, 35, 45}}};
  for (const auto& [key, periods] : rows) {
    for (std::size_t i = 0; i < ratios.size(); ++i) {
      INFO("d " << key.first << " preload " << key.second << " B/F " << ratios[i]);
      CHECK(period(key.first, std::to_string(key.second), 1, ratios[i]) == periods[i]);
      const double busy = key.first * (1 + ratios[i]);
      const Timeline t =
          run({"amdp", key.first, key.first, 8, 0, {{"preload", std::to_string(key.second)}}},
              unit_costs(key.first, 1, ratios[i]));
      CHECK(bubble(t, {IntervalKind::kSteady, 2, 6}).bubble ==
            Approx(1 - busy / periods[i]).margin(1e-12));
    }
  }
}

TEST_CASE("AMDP: peak activations d - 1 on entry ranks, d on middle ones", "[amdp][memory]") {
  const int d = GENERATE(4, 8, 16);
  const std::string preload = GENERATE("0", "1", "2");
  const Timeline t = run({"amdp", d, 2 * d, 4, 0, {{"preload", preload}}}, unit_costs(d, 1, 2));
  const MemoryInputs inputs{std::vector<StageBytes>(std::size_t(d), {.activation = 1}),
                            std::vector<int>(std::size_t(d * d / 2), 1)};
  const auto ranks = memory(t, inputs);
  for (int r = 0; r < d; ++r)
    CHECK(ranks[std::size_t(r)].peak_activations == (r % 4 == 0 || r % 4 == 3 ? d - 1 : d));
}

TEST_CASE("AMDP: start-up and drain add what a synchronous iteration pays", "[amdp]") {
  // m units alone: (m - 1) period + (d + 2)B + dF for B >= F.
  const int d = GENERATE(4, 8, 12);
  const int m = GENERATE(1, 2, 5);
  const double b = GENERATE(1.0, 1.5, 2.0, 3.0);
  const Timeline t = run({"amdp", d, d * m, 1}, unit_costs(d, 1, b));
  const double period = b <= 2 ? (d + 1) * b + (d - 1) : (d + 2) * b + (d - 3);
  CHECK(in_units(wall(t).length()) == (m - 1) * period + (d + 2) * b + d);
}

TEST_CASE("AMDP: at most two micro-batches of a pipeline enter before its first backward",
          "[amdp]") {
  const int d = GENERATE(4, 8, 16);
  const Schedule s = make({"amdp", d, d, 4});
  for (const auto& ops : s.ops_of_rank) {
    std::map<int, int> entered;
    std::set<int> started;
    for (const Op& op : ops) {
      if (op.stage != 0 || op.kind == OpKind::kUpdate) continue;
      if (op.kind == OpKind::kBackward) started.insert(op.pipeline);
      if (op.kind == OpKind::kForward && !started.count(op.pipeline)) ++entered[op.pipeline];
    }
    for (const auto& [pipeline, count] : entered) CHECK(count == 2);
  }
}

TEST_CASE("AMDP's update point: mismatch and delay per stage and position", "[amdp][versions]") {
  const int d = GENERATE(4, 8, 12, 16, 32, 64);
  const int k = GENERATE(1, 3);
  const std::string optimizer = GENERATE("owner", "replicated");
  const int window = k * d, windows = 4;
  const Timeline t =
      run({"amdp", d, window, windows, 0, {{"optimizer", optimizer}}}, unit_costs(d, 1, 2));
  const Versions v = versions(t);
  std::map<std::pair<int, int>, int> read;
  for (TaskId task = 0; task < t.what->size(); ++task) {
    const Op& op = t.what->op[task];
    if (op.kind == OpKind::kForward) read[{op.stage, op.microbatch}] = v.version[task];
  }
  int wrong = 0;
  for (TaskId task = 0; task < t.what->size(); ++task) {
    const Op& op = t.what->op[task];
    if (op.kind != OpKind::kBackward) continue;
    const int w = op.microbatch / window, position = op.microbatch % window;
    const int old = w > 0 && position < (op.stage == d - 1 ? d / 2 : d) ? 1 : 0;
    const int f = read[{op.stage, op.microbatch}];
    wrong += v.version[task] != w;        // B always uses the newest version
    wrong += v.version[task] - f != old;  // mismatch
    wrong += w - f != old;                // delay: 1 exactly where F read the older one
  }
  CHECK(wrong == 0);
  CHECK(v.violations.empty());
  for (const StageVersions& stage : versions(t, 1, windows - 1).stages) {
    CHECK(stage.max_mismatch == 1);
    CHECK(stage.max_delay == 1);
    CHECK(stage.copies == 1);
  }
  for (const int copies : v.copies_of_rank) CHECK(copies == d / 2);
}

TEST_CASE("AMDP: every gradient is counted exactly once, in the update of its own window",
          "[amdp]") {
  const int d = GENERATE(2, 4, 8, 16);
  const int k = GENERATE(1, 2, 4);
  const int window = k * d, windows = 5;
  const Schedule s = make({"amdp", d, window, windows});
  std::map<std::pair<int, int>, int> counted;  // (stage, update) -> gradients, over all replicas
  for (const auto& ops : s.ops_of_rank) {
    std::map<std::pair<int, int>, int> pending;  // (pipeline, stage)
    for (const Op& op : ops) {
      if (op.kind == OpKind::kBackward) ++pending[{op.pipeline, op.stage}];
      if (op.kind == OpKind::kUpdate) {
        counted[{op.stage, op.microbatch}] += pending[{op.pipeline, op.stage}];
        pending[{op.pipeline, op.stage}] = 0;
      }
    }
    for (const auto& [replica, left] : pending) CHECK(left == 0);
  }
  CHECK(counted.size() == std::size_t(d * windows));
  for (const auto& [stage_window, gradients] : counted) CHECK(gradients == window);
}

TEST_CASE("AMDP: a global barrier costs +F per update, reducing among replicas nothing",
          "[amdp][barrier]") {
  // Bubble at B = 2F by window length: arXiv 2605.29664's order with our update point.
  const std::map<int, std::vector<double>> percent{{4, {14.29, 11.11, 9.43, 8.57}},
                                                   {8, {7.69, 5.88, 4.95, 4.48}}};
  for (const auto& [d, row] : percent) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const int window = d << i;
      Costs costs = unit_costs(d, 1, 2);
      costs.barrier = true;
      const Timeline t = run({"amdp", d, window, 8}, costs);
      CHECK(100 * bubble(t, {IntervalKind::kSteady, 2, 6}).bubble == Approx(row[i]).margin(0.005));
    }
  }
  const double b = GENERATE(1.0, 1.5, 2.0);
  const int d = GENERATE(4, 8, 16, 32);
  CHECK(period(d, "2", 1, b, true) == period(d, "2", 1, b, false) + 1);
}

TEST_CASE("AMDP: an update of length x costs exactly x", "[amdp]") {
  const int d = GENERATE(4, 8, 16);
  const double x = GENERATE(0.8, 3.2, 40.0);  // a whole number of ns for each of the d/2 stages
  const std::string optimizer = GENERATE("owner", "replicated");
  Costs costs = unit_costs(d, 1, 2);
  // Of an owner one stage steps per rank; of replicas all d/2 stages of a rank do.
  const double each = optimizer == "owner" ? x : x / (d / 2);
  for (StageCosts& stage : costs.stages) stage.step = units(each);
  const Timeline t = run({"amdp", d, d, 8, 0, {{"optimizer", optimizer}}}, costs);
  CHECK((update_end(t, 6) - update_end(t, 2)) / 4 ==
        Approx((d + 1) * 2 + (d - 1) + x).epsilon(1e-9));
}

TEST_CASE("AMDP with d = 2 is 1F1B without a flush: period 2(F + B), no bubble", "[amdp]") {
  const double b = GENERATE(1.0, 2.0, 3.0);
  CHECK(period(2, "2", 1, b) == 2 * (1 + b));
}

TEST_CASE("AMDP at p = d = 8, m = 8, equal stages, B = 2F: 25 per step, 2BW needs 24", "[amdp]") {
  CHECK(period(8, "2", 1, 2) == 25);
}

TEST_CASE("AMDP runs under blocking groups: +1F per unit at B = F, nothing more at B >= 2F",
          "[amdp][blocking]") {
  // Replay of the authors' recorded calls: +1F per unit at B = F, nothing at B >= 2F without the
  // barrier.
  const auto [d, b, expected] = GENERATE(table<int, double, double>(
      {{4, 1, 9}, {8, 1, 17}, {4, 2, 13}, {8, 2, 25}, {4, 3, 19}, {8, 3, 35}}));
  Costs costs = unit_costs(d, 1, b);
  costs.comm = CommMode::kBlocking;
  const Timeline t = run({"amdp", d, d, 8}, costs);
  CHECK((update_end(t, 6) - update_end(t, 2)) / 4 == expected);
}

TEST_CASE("blocking groups and a step barrier together do not hang", "[amdp][blocking][barrier]") {
  // The group is posted after the op; an update between two ops runs while it is.
  const auto [schedule, d] = GENERATE(table<std::string, int>({{"amdp", 4},
                                                               {"amdp", 8},
                                                               {"amdp", 16},
                                                               {"pipedream-2bw", 8},
                                                               {"pipedream", 4},
                                                               {"1f1b", 8}}));
  Costs costs = unit_costs(d, 1, 2, 0.125);
  costs.comm = CommMode::kBlocking;
  costs.barrier = true;
  CHECK(in_units(wall(run({schedule, d, 2 * d, 4}, costs)).length()) > 0);
}

TEST_CASE("AMDP at any other d says which work and why", "[amdp][errors]") {
  CHECK_THROWS_WITH(make({"amdp", 6, 12}),
                    "amdp: 6 ranks do not work: d must be 2 or divisible by 4, because at any "
                    "other d two ops of a rank fall into "
                    "the same slot of the closed form (at d = 6 rank 0 would host stages 0, 2 and "
                    "3); use 4 or 8 ranks");
  for (const int d : {1, 3, 5, 7, 9, 10, 14, 63})
    CHECK_THROWS_AS(make({"amdp", d, d * 4}), InputError);
  CHECK_THROWS_WITH(make({"amdp", 8, 30}),
                    "amdp: a window of 30 micro-batches does not divide into units of d = 8 (30 = "
                    "8 x 3 + 6); use 24 or 32");
  CHECK_THROWS_WITH(make({"amdp", 8, 32, 1, 0, {{"preload", "3"}}}),
                    "amdp: preload: expected a whole number from 0 to 2, got '3'");
  CHECK_THROWS_WITH(make({"amdp", 8, 32, 1, 0, {{"optimiser", "owner"}}}),
                    "amdp: unknown parameter 'optimiser' (did you mean 'optimizer'?); known: "
                    "preload, threshold, optimizer, rule, release, limit");
}
