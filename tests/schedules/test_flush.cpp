#include "sim/bubble.hpp"
#include "sim/memory.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("GPipe and 1F1B take (m + p - 1)(f + b) for every p and m", "[flush]") {
  // Megatron-LM, arXiv 2104.04473 section 2.2.1; m < p included.
  const std::string schedule = GENERATE("gpipe", "1f1b");
  for (int p = 1; p <= 16; ++p) {
    for (int m = 1; m <= 64; ++m) {
      const Timeline t = run({schedule, p, m}, unit_costs(p, 1, 2));
      if (in_units(wall(t).length()) != (m + p - 1) * 3.0)
        FAIL(schedule << " p=" << p << " m=" << m);
      const Timeline u = run({schedule, p, m}, unit_costs(p, 1.5, 2.25));
      if (in_units(wall(u).length()) != (m + p - 1) * 3.75)
        FAIL(schedule << " p=" << p << " m=" << m);
    }
  }
}

TEST_CASE("bubble over wall is (p-1)/(m+p-1), over ideal (p-1)/m", "[flush]") {
  // marin-community/marin#6532: the table 0.4667, 0.3043, 0.2727 and the other definition beside
  // it.
  const auto [p, m] = GENERATE(table<int, int>({{8, 8}, {8, 16}, {4, 8}, {16, 8}, {1, 4}}));
  const Bubble b = bubble(run({"1f1b", p, m}, unit_costs(p, 1, 2)), {});
  CHECK(b.bubble == Approx(double(p - 1) / (m + p - 1)).epsilon(1e-12));
  CHECK(b.over_ideal == Approx(double(p - 1) / m).epsilon(1e-12).margin(1e-15));
}

TEST_CASE("uneven stages: where the slow stage sits matters", "[flush]") {
  // microsoft/nnscaler#30: neither m * max nor (m - 1) * max + sum.
  struct Row {
    std::vector<double> f;
    double one_f_one_b, gpipe;
  };
  const Row row = GENERATE(Row{{1, 1, 1, 2}, 57, 57}, Row{{1, 2, 1, 1}, 53, 57},
                           Row{{2, 1, 1, 1}, 51, 57}, Row{{1, 1, 1, 1}, 33, 33});
  std::vector<double> b;
  for (const double f : row.f) b.push_back(2 * f);
  CHECK(in_units(wall(run({"1f1b", 4, 8}, stage_costs(row.f, b))).length()) == row.one_f_one_b);
  CHECK(in_units(wall(run({"gpipe", 4, 8}, stage_costs(row.f, b))).length()) == row.gpipe);
}

TEST_CASE("p2p latency: 1F1B pays the round trip again in steady state, GPipe only fill and drain",
          "[flush]") {
  // aliyun/SimAI#283: F = 1, B = 2, p = 4, m = 8.
  const auto [c, one_f_one_b, gpipe] = GENERATE(
      table<double, double, double>({{0, 33, 33}, {0.1, 34.6, 33.6}, {0.5, 41, 36}, {1, 49, 39}}));
  CHECK(in_units(wall(run({"1f1b", 4, 8}, unit_costs(4, 1, 2, c))).length()) ==
        Approx(one_f_one_b).epsilon(1e-12));
  CHECK(in_units(wall(run({"gpipe", 4, 8}, unit_costs(4, 1, 2, c))).length()) ==
        Approx(gpipe).epsilon(1e-12));
}

TEST_CASE("p2p latency at p = 8, m = 16, and the zero-bubble paper's count of hops", "[flush]") {
  const double c = GENERATE(0.1, 0.5);
  const Timeline t = run({"1f1b", 8, 16}, unit_costs(8, 1, 2, c));
  CHECK(in_units(wall(t).length()) == Approx(c == 0.1 ? 73.0 : 89.0).epsilon(1e-12));
  // arXiv 2401.10241, Table 5: (m + p - 1) T + (2 (p - 1) m / p + 2 (p - 2)) T_comm when p divides
  // m.
  const auto [p, m] = GENERATE(table<int, int>({{4, 8}, {8, 16}, {8, 32}, {16, 48}}));
  const double hops = 2.0 * (p - 1) * m / p + 2.0 * (p - 2);
  CHECK(in_units(wall(run({"1f1b", p, m}, unit_costs(p, 1, 2, c))).length()) ==
        Approx((m + p - 1) * 3 + hops * c).epsilon(1e-12));
}

TEST_CASE("in-flight micro-batches: GPipe m, 1F1B min(p - r, m), whatever m is",
          "[flush][memory]") {
  // marin-community/marin#6532: 1F1B's peak must not grow with m.
  const int m = GENERATE(2, 8, 16, 32);
  const int p = 8;
  MemoryInputs inputs{std::vector<StageBytes>(8, {.activation = 100}), std::vector<int>(8, 1)};
  const auto one_f_one_b = memory(run({"1f1b", p, m}, unit_costs(p, 1, 2)), inputs);
  const auto gpipe = memory(run({"gpipe", p, m}, unit_costs(p, 1, 2)), inputs);
  for (int r = 0; r < p; ++r) {
    CHECK(one_f_one_b[std::size_t(r)].peak_activations == std::min(p - r, m));
    CHECK(one_f_one_b[std::size_t(r)].peak == 100 * std::min(p - r, m));
    CHECK(gpipe[std::size_t(r)].peak_activations == m);
  }
}

TEST_CASE("several steps without a barrier follow one another with no extra gap", "[flush]") {
  const std::string schedule = GENERATE("gpipe", "1f1b");
  const double one = in_units(wall(run({schedule, 4, 8, 1}, unit_costs(4, 1, 2))).length());
  CHECK(in_units(wall(run({schedule, 4, 8, 4}, unit_costs(4, 1, 2))).length()) == 4 * one);
}

TEST_CASE("blocking communication: 1F1B and GPipe run, zero-time messages cost nothing",
          "[flush][blocking]") {
  const std::string schedule = GENERATE("gpipe", "1f1b");
  const int p = GENERATE(1, 2, 4, 8);
  Costs costs = unit_costs(p, 1, 2);
  costs.comm = CommMode::kBlocking;
  CHECK(in_units(wall(run({schedule, p, 12}, costs)).length()) == (12 + p - 1) * 3);
}

TEST_CASE("blocking communication by hand: two ranks, two micro-batches, a message takes 1",
          "[flush][blocking]") {
  // rank 0: F0 0-1, [send F0 1-2], F1 2-3, group {send F1, receive B0's gradient}: the gradient is
  //   ready at 5, so both go 5-6 (the receiver posts F1 only after B0), B0 6-8, [receive 8-9], B1
  //   9-11.
  // rank 1: receives F0 1-2, F0 2-3, B0 3-5, group {send B0, receive F1} 5-6, F1 6-7, B1 7-9 …
  // B1's gradient is sent at 9, because rank 0 posts its receive at 8: 9-10, B1 of rank 0 at 10-12.
  Costs costs = unit_costs(2, 1, 2);
  costs.comm = CommMode::kBlocking;
  costs.links[0].transfer_time = {units(1), units(0)};
  const Timeline t = run({"1f1b", 2, 2}, costs);
  CHECK(in_units(wall(t).length()) == 12);
  const auto at = [&](int rank, std::size_t i) {
    return in_units(t.start[order_of_rank(t, rank)[i]]);
  };
  CHECK(at(0, 1) == 2);
  CHECK(at(1, 0) == 2);
  CHECK(at(0, 2) == 6);
  CHECK(at(1, 2) == 6);
  CHECK(at(0, 3) == 10);
}
