// Public reports about single schedules, with the right answers.

#include "schedules/orders.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/field.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("interleaving costs 1 + (p-1)/(p v) of 1F1B's activations", "[field][memory]") {
  // deepseek-ai/DualPipe#15; Korthikanti, arXiv 2205.05198 section 4.2.3: in stages of 1F1B.
  CHECK(peaks_of({"interleaved-1f1b", 4, 8})[0] / 2.0 == 5.5);
  CHECK(peaks_of({"interleaved-1f1b", 8, 16})[0] / 2.0 == 11.5);
}

TEST_CASE("interleaved 1F1B: group size and remainder", "[interleaved][errors]") {
  // verl-project/verl#1617: p <= N <= m, and m mod N is 0 or at least p.
  const auto group = [](int m, int n) {
    return make({"interleaved-1f1b", 4, m, 1, 0, {{"group", std::to_string(n)}}});
  };
  CHECK_NOTHROW(group(8, 4));
  CHECK_NOTHROW(group(14, 5));
  CHECK_THROWS_WITH(
      group(10, 4),
      contains("m mod N = 10 mod 4 = 2, expected 0 or at least p = 4") && contains("use group=5"));
  CHECK_THROWS_WITH(group(12, 5), contains("12 mod 5 = 2") && contains("use group=4"));
  CHECK_THROWS_WITH(group(13, 5), contains("13 mod 5 = 3"));
  CHECK_THROWS_WITH(group(8, 3), contains("group N = 3 < p = 4") && contains("use group=4"));
  CHECK_THROWS_WITH(group(8, 9), contains("group N = 9 > m = 8") && contains("use group=8"));
  CHECK_THROWS_WITH(make({"interleaved-1f1b", 8, 4}),
                    contains("4 micro-batches, but 8 ranks need at least 8"));
}

TEST_CASE("interleaved 1F1B: what a remainder that the rule refuses would cost", "[interleaved]") {
  // verl-project/verl#1617: p = 4, v = 2, F = B = 1. m = 9, 10, 11 take 48, 52, 51 with groups of 4
  // and a rest of 1, 2, 3; the closed form (m v + p - 1)(F + B) would be 42, 46, 50.
  const auto [m, forced] =
      GENERATE(table<int, int>({{8, 38}, {9, 48}, {10, 52}, {11, 51}, {12, 54}}));
  const int p = 4, v = 2;
  const auto steps = grouped_steps(m, p, v);
  const auto total = steps.size();
  Schedule s = one_pipeline("forced", {.ranks = p, .batch = m, .window = m}, v, Placement::kLoop);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    const auto add = [&](OpKind kind, std::size_t k) {
      ops.push_back(grouped_cell(kind, steps[k], p, v, rank, first));
    };
    const auto warmup = static_cast<std::size_t>(2 * (p - 1 - rank) + (v - 1) * p);
    for (std::size_t k = 0; k < warmup; ++k) add(OpKind::kForward, k);
    for (std::size_t k = 0; k < total; ++k) {
      if (warmup + k < total) add(OpKind::kForward, warmup + k);
      add(OpKind::kBackward, k);
    }
  });
  check_schedule(s);
  CHECK(in_units(wall(replay(lower(s, unit_costs(p * v, 1, 1)))).length()) == forced);
}

TEST_CASE("interleaved 1F1B: warm-up of 2 (p - 1 - r) + (v - 1) p", "[interleaved]") {
  // NVIDIA/Megatron-LM#169, #675; the first forward of the steady phase comes on top.
  const auto warmups = [](int m) {
    Ints counts = forwards_first(make({"interleaved-1f1b", 4, m}));
    for (int& n : counts) n = n == 2 * m ? n : n - 1;
    return counts;
  };
  CHECK(warmups(8) == Ints{10, 8, 6, 4});
  CHECK(warmups(4) == Ints{8, 8, 6, 4});
  const Costs equal = unit_costs(8, 1, 1);
  CHECK(in_units(wall(run({"interleaved-1f1b", 4, 8}, equal)).length()) == 38);
  const Wanted shorter{"interleaved-1f1b", 4, 8, 1, 0, {{"warmup", "short"}}};
  CHECK(in_units(wall(run(shorter, equal)).length()) == 38);
  CHECK(peaks_of(shorter) == Ints{8, 7, 6, 5});
}

TEST_CASE("interleaved 1F1B on two ranks", "[interleaved]") {
  // NVIDIA/Megatron-LM#750
  const Timeline t = run({"interleaved-1f1b", 2, 4}, unit_costs(4, 1, 1));
  CHECK(in_units(wall(t).length()) == 18);
  CHECK(bubble(t, {}).bubble == Approx(2.0 / 18).epsilon(1e-12));
  CHECK(peaks_of({"interleaved-1f1b", 2, 4}) == Ints{5, 3});
}

TEST_CASE("several steps of ZB-H1 and ZB-H2 without a barrier", "[zero-bubble]") {
  // pytorch/pytorch#130210: one step does not show what H2 gains.
  CHECK(wall_of({"zb-h1", 4, 8, 4}) == 108);
  CHECK(wall_of({"zb-h2", 4, 8, 4}) == 99);
  CHECK(wall_of({"zb-h1", 4, 8}) == 27);
  CHECK(wall_of({"zb-h2", 4, 8}) == 27);
}

TEST_CASE("the same ops in another order are not ZB-H1", "[zero-bubble]") {
  // marin-community/marin#6532: all forwards, then I and W in turn.
  Schedule s = make({"zb-h1", 8, 16});
  CHECK(wall_of({"zb-h1", 8, 16}) == 55);
  for (std::vector<Op>& ops : s.ops_of_rank) {
    std::stable_sort(ops.begin(), ops.end(), [](const Op& a, const Op& b) {
      const auto key = [](const Op& op) {
        if (op.kind == OpKind::kUpdate) return 1'000'000;
        if (op.kind == OpKind::kForward) return static_cast<int>(op.microbatch);
        return 1000 + 2 * op.microbatch + (op.kind == OpKind::kWeightGrad ? 1 : 0);
      };
      return key(a) < key(b);
    });
  }
  check_schedule(s);
  const Timeline t = replay(lower(s, split_costs(8, 1, 1, 1)));
  CHECK(in_units(wall(t).length()) == 62);
  CHECK(bubble(t, {}).bubble == Approx(14.0 / 62).epsilon(1e-12));
}

TEST_CASE("recompute: zero bubble can lose to 1F1B", "[zero-bubble]") {
  // pytorch/torchtitan#773: F is added to the pass that recomputes.
  CHECK(in_units(wall(run_split({"1f1b", 4, 8}, 1, 2, 1)).length()) == 44);
  CHECK(in_units(wall(run_split({"zb-h1", 4, 8}, 1, 2, 1)).length()) == 38);
  CHECK(in_units(wall(run_split({"zb-h1", 4, 8}, 1, 2, 2)).length()) == 46);
}

TEST_CASE("when interleaving beats DualPipe", "[dualpipe]") {
  // deepseek-ai/DualPipe#15, #8: p = 8, m = 20; group 10, because 20 mod 8 = 4 is less than p.
  const auto over_ideal = [](const Wanted& wanted) {
    return bubble(run_split(wanted), {}).over_ideal;
  };
  const auto interleaved = [&](int v) {
    return over_ideal(
        {"interleaved-1f1b", 8, 20, 1, 0, {{"v", std::to_string(v)}, {"group", "20"}}});
  };
  const double dual = over_ideal({"dualpipe", 8, 20});
  CHECK(dual == Approx(0.1).epsilon(1e-12));
  CHECK(over_ideal({"1f1b", 8, 20}) == Approx(0.35).epsilon(1e-12));
  CHECK(interleaved(2) == Approx(0.175).epsilon(1e-12));
  CHECK(interleaved(3) == Approx(7.0 / 60).epsilon(1e-12));
  CHECK(interleaved(4) == Approx(0.0875).epsilon(1e-12));
  CHECK(interleaved(4) < dual);
  CHECK(dual < interleaved(3));
  // README figures of that repository: 66 units with 6 idle.
  CHECK(wall_of({"dualpipe", 8, 20}) == 66);
  CHECK(wall_of({"dualpipev", 4, 10}) == 66);
}

TEST_CASE("an overlapped pair costs what it is said to cost", "[dualpipe]") {
  const Schedule s = make({"dualpipe", 4, 8});
  Costs costs = split_costs(4, 1, 1, 1);
  costs.pair.assign(4, units(3));
  CHECK(in_units(wall(replay(lower(s, costs))).length()) == 26);
  costs.pair.assign(4, units(2.5));
  const Timeline t = replay(lower(s, costs));
  CHECK(in_units(wall(t).length()) < 26);
  const TaskId* pair = nullptr;
  const auto order = order_of_rank(t, 0);
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    if (t.what->op[order[i]].pair != PairPart::kForward) continue;
    pair = &order[i];
    CHECK(in_units(t.duration(order[i])) == 2.5);
    CHECK(t.start[order[i]] == t.start[order[i + 1]]);
    CHECK(t.end[order[i]] == t.end[order[i + 1]]);
  }
  CHECK(pair != nullptr);
  const Bubble b = bubble(t, {});
  for (const RankIdle& rank : b.ranks) {
    CHECK(rank.busy + rank.idle == rank.interval.length());
    CHECK(rank.by_cause[std::size_t(IdleCause::kOther)].count() == 0);
  }
}

TEST_CASE("ZB-H1 and ZB-H2: what rank i holds at its peak, in M_B and M_W",
          "[zero-bubble][memory]") {
  // arXiv 2401.10241 section 2.3, i from 1: H1 (p - i + 1) M_B + (i - 1) M_W, H2 (2 p - 2 i + 1)
  // M_B
  // + (2 i - 2) M_W.
  const int p = GENERATE(2, 4, 8), m = 4 * p;
  const std::int64_t mb = 1000, mw = GENERATE(500, 900);
  MemoryInputs inputs{
      std::vector<StageBytes>(std::size_t(p), {.activation = mb, .activation_after_i = mw}),
      std::vector<int>(std::size_t(p), 1)};
  const auto h1 = memory(run_split({"zb-h1", p, m}), inputs);
  const auto h2 = memory(run_split({"zb-h2", p, m}), inputs);
  for (int i = 1; i <= p; ++i) {
    CHECK(h1[std::size_t(i - 1)].peak == (p - i + 1) * mb + (i - 1) * mw);
    CHECK(h2[std::size_t(i - 1)].peak == (2 * p - 2 * i + 1) * mb + (2 * i - 2) * mw);
  }
}

TEST_CASE("a V placement puts embedding and head on the same rank", "[memory]") {
  // sail-sg/zero-bubble-pipeline-parallelism#36: 4 layers per rank, 100 MiB of activations and 200
  // MiB of parameters each, embedding and head 500 MiB each.
  const auto mib_of = [](const Wanted& wanted, int per_stage) {
    const Timeline t = run_split(wanted);
    MemoryInputs inputs;
    inputs.stages.assign(std::size_t(t.shape().stages), {.activation = 100 * per_stage,
                                                         .activation_after_i = 100 * per_stage,
                                                         .weights = 200 * per_stage});
    inputs.stages.front().weights += 500;
    inputs.stages.back().weights += 500;
    inputs.weight_copies.assign(t.shape().rank_of_stage.size(), 1);
    std::vector<std::int64_t> peaks;
    for (const RankMemory& rank : memory(t, inputs)) peaks.push_back(rank.peak);
    return peaks;
  };
  const auto one_f_one_b = mib_of({"1f1b", 8, 16}, 4);
  CHECK(one_f_one_b.front() == 8 * 400 + 800 + 500);
  CHECK(one_f_one_b.back() == 400 + 800 + 500);
  CHECK(mib_of({"zb-h1", 8, 16}, 4).front() == 4500);
  const auto v = mib_of({"zb-v", 8, 16}, 2);
  CHECK(v.front() == 5000);
  CHECK(v.back() == 16 * 200 + 800);
}

TEST_CASE("GEMS: one micro-batch at a time", "[gems]") {
  const int p = GENERATE(2, 3, 4, 8), m = GENERATE(1, 2, 7, 16);
  CHECK(wall_of({"gems", p, m}) == (2 * p + 1) * m + p - 1);
}

TEST_CASE("Chimera with 2 f pipelines at F = B: bubble (D - 2f) / (2fN + D - 2f)", "[chimera]") {
  // arXiv 2107.06925 Table 3.
  const auto [d, f] = GENERATE(table<int, int>({{4, 1}, {4, 2}, {8, 1}, {8, 2}, {8, 4}, {12, 3}}));
  const int n = d * GENERATE(1, 2, 5);
  const Timeline t =
      run({"chimera", d, n, 1, 0, {{"pipelines", std::to_string(2 * f)}}}, unit_costs(d, 1, 1));
  CHECK(bubble(t, {}).bubble == Approx(double(d - 2 * f) / (2 * f * n + d - 2 * f)).margin(1e-12));
}

TEST_CASE("uneven micro-batches: 3, 3 and 2 samples", "[flush]") {
  // pytorch/pytorch#126600: F takes 1 per sample, B 2.
  const auto sizes = GENERATE(std::vector<double>{3, 3, 2}, std::vector<double>{2, 3, 3});
  Costs costs = unit_costs(3, 1, 2);
  costs.microbatch_scale = sizes;
  const Timeline t = run({"1f1b", 3, 3}, costs);
  CHECK(in_units(wall(t).length()) == 40);
  CHECK(in_units(wall(run({"gpipe", 3, 3}, costs)).length()) == 42);
  CHECK(in_units(bubble(t, {}).ranks[0].busy) == 24);
  costs.microbatch_scale = {3, 3, 3};
  CHECK(in_units(wall(run({"1f1b", 3, 3}, costs)).length()) == 45);
}
