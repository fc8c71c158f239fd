// Zero Bubble Pipeline Parallelism, arXiv 2401.10241: the bubble rates of Table 5 from the profiled
// times of Table 9 (ICLR: Table 6). Rate = (cost - m (T_F + T_B + T_W)) / cost, cost = the longest
// rank from its own first op to its last (section 5.3). T_comm is a latency on every edge between
// ranks. zero_bubble_table5.txt shows the whole comparison.

#include <fmt/format.h>

#include <cmath>

#include "tests/papers/paper_table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

struct Row {
  int p, m, v;  // v: layers of a middle stage, as far as 1F1B-I can cut it
  double f, b, w, comm;
  double one_f_one_b, interleaved, h1, h2;  // published
};

const Row kRows[] = {
    {8, 24, 3, 18.522, 18.086, 9.337, 0.601, 0.2431, 0.1055, 0.1585, 0.1083},
    {8, 32, 3, 18.513, 18.086, 9.331, 0.626, 0.1985, 0.0818, 0.1242, 0.0837},
    {8, 64, 3, 18.546, 18.097, 9.321, 0.762, 0.1240, 0.0443, 0.0674, 0.0444},
    {16, 48, 3, 11.347, 11.248, 8.132, 0.377, 0.2552, 0.1104, 0.1397, 0.0672},
    {16, 64, 3, 11.307, 11.254, 8.101, 0.379, 0.2082, 0.0852, 0.1088, 0.0516},
    {16, 128, 3, 11.325, 11.308, 8.109, 0.378, 0.1251, 0.0445, 0.0576, 0.0266},
};

double ideal(const Row& row) { return row.m * (row.f + row.b + row.w); }
double rate(const Row& row, double cost) { return (cost - ideal(row)) / cost; }

double replayed_cost(const Row& row, const std::string& name, int v) {
  const auto ns = [](double ms) { return rounded_nanos(ms * 1e6); };
  Wanted wanted{name, row.p, row.m};
  if (v > 1) wanted.options["v"] = std::to_string(v);
  const Schedule s = make(wanted);
  Costs costs;
  costs.stages.assign(std::size_t(s.shape.stages), {.forward = ns(row.f / v),
                                                    .backward = ns((row.b + row.w) / v),
                                                    .input_grad = ns(row.b / v),
                                                    .weight_grad = ns(row.w / v)});
  costs.links[0].latency = ns(row.comm);
  return to_ms(longest_rank_span(replay(lower(s, costs))));
}

// The published 1F1B-I column counts (2 v - 1) p - 2 hops of latency.
double paper_interleaved_cost(const Row& row) {
  return ideal(row) + (row.p - 1) * (row.f + row.b + row.w) / row.v +
         ((2 * row.v - 1) * row.p - 2) * row.comm;
}

}  // namespace

TEST_CASE("Table 5: bubble rates of 1F1B, ZB-H1 and ZB-H2", "[papers]") {
  for (const Row& row : kRows) {
    INFO("p=" << row.p << " m=" << row.m);
    CHECK(std::abs(rate(row, replayed_cost(row, "1f1b", 1)) - row.one_f_one_b) <= 0.0001);
    CHECK(std::abs(rate(row, replayed_cost(row, "zb-h1", 1)) - row.h1) <= 0.0001);
    CHECK(std::abs(rate(row, replayed_cost(row, "zb-h2", 1)) - row.h2) <= 0.0001);
  }
}

TEST_CASE("Table 5: 1F1B-I counts p hops fewer than a replay of Megatron-LM's order", "[papers]") {
  for (const Row& row : kRows) {
    INFO("p=" << row.p << " m=" << row.m);
    CHECK(std::abs(rate(row, paper_interleaved_cost(row)) - row.interleaved) <= 0.0001);
    const double replayed = replayed_cost(row, "interleaved-1f1b", row.v);
    CHECK(replayed - paper_interleaved_cost(row) == Approx(row.p * row.comm).epsilon(1e-4));
  }
}

TEST_CASE("the table of the comparison is up to date", "[papers]") {
  std::string text =
      "Bubble rates, arXiv 2401.10241 Table 5 (published) and a replay of the same profiled "
      "times.\n"
      "1F1B-I: the published cost counts (2v-1)p-2 hops of T_comm, a replay of Megatron-LM's order "
      "2vp-2.\n\n"
      "  p    m   1F1B           ZB-H1          ZB-H2          1F1B-I\n"
      "           publ.  replay  publ.  replay  publ.  replay  publ.  (2v-1)p-2  replay\n";
  for (const Row& row : kRows) {
    text += fmt::format(
        "{:3} {:4}   {:.4f} {:.4f}  {:.4f} {:.4f}  {:.4f} {:.4f}  {:.4f} {:.4f}     {:.4f}\n",
        row.p, row.m, row.one_f_one_b, rate(row, replayed_cost(row, "1f1b", 1)), row.h1,
        rate(row, replayed_cost(row, "zb-h1", 1)), row.h2,
        rate(row, replayed_cost(row, "zb-h2", 1)), row.interleaved,
        rate(row, paper_interleaved_cost(row)),
        rate(row, replayed_cost(row, "interleaved-1f1b", row.v)));
  }
  check_table("zero_bubble_table5", text);
}
