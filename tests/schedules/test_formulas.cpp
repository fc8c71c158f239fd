// The closed forms of the field by paper: which test_*.cpp has each, or why none can. Deviations
// are explained where they are tested. T: table, s: section.
//
// GPipe 1811.06965 s2.3      bubble (K-1)/(M+K-1), M >= 4K                    here
//                            memory with re-materialization                   formulas_memory
// Megatron 2104.04473 s2.2.1 (p-1)(F+B), (p-1)/m, (m+p-1)(F+B), min(m,p)      flush
//   its code                 warm-up min(p-r-1, m)                            here
//   s2.2.2                   interleaved (p-1)(F+B)/v                         every_schedule
//                            its bubble (p-1)/(vm), v times the messages      here
//   s3.3.1                   with data parallelism (n-d)/b'                   here
//   eq 2, 3, 4, s3.2         parameters, FLOPs, 8TP/(nX), message bsh         hwmodels/formulas
//   s3.2                     all-reduce 8bsh(t-1)/t: no tensor parallelism    (refused)
// Korthikanti 2205.05198 T2  activation bytes of a layer                      hwmodels/arithmetic
//   s4.2.3                   L(1+(p-1)/(pv)) layers                           field_cases
//   eq 5, s4.3, s6.3         first stage, its extras, selective recompute     hwmodels/formulas
// PipeDream 1806.03377 s3.4  the version an update sees, D..1 versions        pipedream
//                            vertical sync                                    asynchronous
//                            weights and activations of D..1                  formulas_memory
//   s3.2                     partition by dynamic programming                 hwmodels/formulas
// 2BW 2006.09503 s3.1        version max((k-1)/m-1, 0), delay 1, 2 copies     pipedream
//   s3.1, s3.2, A.1.2        memory of 2BW, Flush and GPipe                   formulas_memory
//   s5.2                     batch b w d g, m = d g                           tools/scenario
// DAPPLE 2007.01045          T_w + T_s + T_e, warm-up K_i                     here
//   Chimera, T2              (D-1)/(N+D-1), activations                       flush
// GEMS, Chimera T2           (D-1)/(D+1/2)                                    here
//                            2 weights, 1 activation: field, and              formulas_memory
// Chimera 2107.06925 T2, T3  (D-2f)/(2fN+D-2f) at F = B                       field_cases
//                            the same at B = 2F; eq 1                         here
//                            2f weights, D-D/(2f)+1 to D activations          formulas_memory
//   s3.4                     all-reduce                                       hwmodels/formulas
// Zero Bubble 2401.10241 T1  FLOPs of F, B, W                                 hwmodels/stage_costs
//                            M_B, M_W                                         hwmodels/arithmetic
//   T2, appendix H           times of 1F1B, ZB-H1, ZB-H2                      every_schedule
//   T2, s2.3, s6             what worker i holds, ZB-V's warm-up              formulas_memory
//   appendix B               first-backward bound, memory plateau             here
//   appendix G               what F, B, W add to memory                       sim/memory
//   s5.3, T5                 bubble rates and the costs fitted to them        papers/zero_bubble
// V family 2405.15362 s3.1   ceil(l/T) m; 1/3, 1/2, 1 of 1F1B's peak          formulas_memory
//   s3.2, s3.3               bubbles of about 4d, 3d, 0                       every_schedule
//                            V-Min's growing bubble, twice the messages       here
// DeepSeek-V3 2412.19437 T2  bubbles of 1F1B, ZB1P, DualPipe                  every_schedule
//                            2 weights, PP+1 activations: field, and          formulas_memory
//   at F = I = W             (p-2)/(3m+p-2); V: (p-1)/(3m+p-1)                here
// AMDP 2605.29664            mapping, preload, update, d/2 replicas           amdp
//                            conflicts go first in, first out                 amdp_online
//                            min(n, d-i)-1, activity 2/d                      asynchronous
//                            optimizer 2/d                                    sim/memory
//                            reduce and broadcast                             hwmodels/stage_costs
//                            convergence O(eta^2): nothing here trains        (no)
// XPipe in Vinsmoke86/AMDP   prediction distances                             asynchronous
// PACI 2606.07881            ceil((N-1)/a), throughput                        asynchronous
// Vocabulary 2411.05288 T4   FLOPs and bytes                                  hwmodels/formulas
//   Fig 10, B.1              p+2, p+1, 1.5x: its vocabulary passes are no ops (no)

#include <numeric>
#include <random>

#include "sim/versions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/field.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

double over_ideal(const Wanted& wanted) { return bubble(run_split(wanted), {}).over_ideal; }

// Messages that each rank sends.
Ints messages(const Wanted& wanted) {
  const Timeline t = run_split(wanted);
  Ints sent(std::size_t(t.shape().ranks), 0);
  for (TaskId id = 0; id < t.what->size(); ++id) {
    const Lane& lane = t.what->lanes[t.what->lane[id]];
    if (is_transfer(t.what->op[id].kind)) ++sent[std::size_t(lane.from_rank)];
  }
  return sent;
}
int sum(const Ints& numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0); }

TaskId first_of(const Timeline& t, OpKind kind, int stage, int microbatch = 0) {
  for (TaskId id = 0; id < t.what->size(); ++id) {
    const Op& op = t.what->op[id];
    if (op.kind == kind && op.stage == stage && op.microbatch == microbatch) return id;
  }
  FAIL("no such op");
  return 0;
}

}  // namespace

TEST_CASE("GPipe: bubble (K-1)/(M+K-1), below 1/5 from M = 4 K on", "[formulas]") {
  const int k = GENERATE(2, 4, 7, 16), m = GENERATE(1, 3, 8, 64);
  CHECK(bubble(run_split({"gpipe", k, m}), {}).bubble == Approx(double(k - 1) / (m + k - 1)));
  CHECK(bubble(run_split({"gpipe", k, 4 * k}), {}).bubble < 0.2);
}

TEST_CASE("interleaving: bubble (p-1)/(v m) of the ideal time", "[formulas]") {
  const int p = GENERATE(2, 4, 8), v = GENERATE(2, 3, 4), groups = GENERATE(1, 2, 5);
  const int m = p * groups;
  CHECK(over_ideal({"interleaved-1f1b", p, m, 1, 0, {{"v", std::to_string(v)}}}) ==
        Approx(double(p - 1) / (v * m)));
}

TEST_CASE("1F1B beside data parallelism: bubble (n - d)/b'", "[formulas]") {
  // n GPUs, d replicas of a pipeline of n/d stages, b' = B/b micro-batches over all replicas.
  const auto [n, d, b] =
      GENERATE(table<int, int, int>({{32, 4, 128}, {32, 8, 128}, {128, 1, 512}}));
  CHECK(over_ideal({"1f1b", n / d, b / d}) == Approx(double(n - d) / b));
}

TEST_CASE("messages: v times 1F1B's on every rank between the ends, twice in a V", "[formulas]") {
  // An end of 1F1B sends one way only, an end of a ring both ways: in total (p v - 1)/(p - 1).
  const int p = GENERATE(3, 4, 8), v = GENERATE(2, 4), m = 2 * p;
  const Ints plain = messages({"1f1b", p, m});
  const Ints ring = messages({"interleaved-1f1b", p, m, 1, 0, {{"v", std::to_string(v)}}});
  for (std::size_t r = 1; r + 1 < plain.size(); ++r) CHECK(ring[r] == v * plain[r]);
  CHECK(sum(ring) * (p - 1) == sum(plain) * (p * v - 1));
  const std::string name = GENERATE("zb-v", "v-half", "v-min", "1f1b-v", "dualpipev");
  const Ints turned = messages({name, p, m});  // the turn stays on its rank
  for (std::size_t r = 0; r < plain.size(); ++r) CHECK(turned[r] == 2 * plain[r]);
}

TEST_CASE("DAPPLE: warm-up min(p - r, m), or min(2 (p - r) - 1, m) to hide messages",
          "[formulas]") {
  // Our memory cap D is m: neither policy is cut short by memory.
  const int p = GENERATE(1, 4, 8), m = GENERATE(1, 3, 8, 20);
  const Ints one = forwards_first(make({"1f1b", p, m})),
             two = forwards_first(make({"eager-1f1b", p, m}));
  for (int r = 0; r < p; ++r) {
    CHECK(one[std::size_t(r)] == std::min(p - r, m));
    CHECK(two[std::size_t(r)] == std::min(2 * (p - r) - 1, m));
  }
}

TEST_CASE(
    "DAPPLE: latency T_w + T_s + T_e is never beaten, and met where the last stage is slowest",
    "[formulas]") {
  // T_w = F_0 + .. + F_Q, T_s = (M - 1)(F_Q + B_Q), T_e = max over s <= Q of AR_s + B_s + .. + B_Q;
  // a pivot Q in the middle leaves out what the stages after it take.
  std::mt19937 random(7);
  const auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int trial = 0; trial < 200; ++trial) {
    const int p = draw(1, 8), m = draw(1, 20);
    const bool slow_end = trial % 2 == 0;
    std::vector<double> f, b;
    for (int s = 0; s < p; ++s) {
      f.push_back(slow_end && s == p - 1 ? 9 : draw(1, 9));
      b.push_back(slow_end && s == p - 1 ? 18 : draw(1, 18));
    }
    Costs costs = stage_costs(f, b);
    std::vector<double> reduce;
    for (StageCosts& stage : costs.stages) {
      reduce.push_back(draw(0, 30));
      stage.reduce = units(reduce.back());
    }
    const double found = in_units(wall(run({"1f1b", p, m}, costs)).length());
    for (int q = 0; q < p; ++q) {
      double warm = 0, end = 0, back = 0;
      for (int s = 0; s <= q; ++s) warm += f[std::size_t(s)];
      for (int s = q; s >= 0; --s) {
        back += b[std::size_t(s)];
        end = std::max(end, reduce[std::size_t(s)] + back);
      }
      const double latency = warm + (m - 1) * (f[std::size_t(q)] + b[std::size_t(q)]) + end;
      CHECK(found >= latency);
      if (slow_end && q == p - 1) CHECK(found == latency);
    }
  }
}

TEST_CASE("GEMS: the bubble goes to (D-1)/(D+1/2) from above", "[formulas]") {
  const int d = GENERATE(2, 4, 8);
  const double limit = (d - 1) / (d + 0.5), found = bubble(run_split({"gems", d, 400}), {}).bubble;
  CHECK(found > limit);
  CHECK(found == Approx(limit).epsilon(0.01));
}

TEST_CASE("Chimera, B = 2 F: bubble (D-2)/(3N/2 + D - 2) at N = D, eq 1 with C_f = D, C_b = 2D - 2",
          "[formulas]") {
  // Table 2's (D-2)/(2N+D-2) counts F = B (test_field_cases). Units of D that follow each other
  // keep the gaps of each: (D-2)(1 + N/D) F in (3 N + (D-2)(1 + N/D)) F.
  const int d = GENERATE(2, 4, 8, 12), units_of_d = GENERATE(1, 2, 5), n = d * units_of_d;
  const double idle = (d - 2.0) * (1 + units_of_d);
  const double found = bubble(run_split({"chimera", d, n}), {}).bubble;
  CHECK(found == Approx(idle / (3 * n + idle)).margin(1e-12));
  if (n == d) CHECK(found == Approx((d - 2) / (1.5 * n + d - 2)).margin(1e-12));
  // Equation 1 charges a message for each of the 3 D - 2 ops of the critical path. In the replay
  // those that are followed by an op of their own rank, and the last one, send none: 3, at D = 2
  // two. Each rank reduces two stages at the end.
  const double c = GENERATE(0.25, 1.0), reduce = 3;
  Costs costs = unit_costs(d, 1, 2, c);
  for (StageCosts& stage : costs.stages) stage.reduce = units(reduce);
  const double equation = (1 + c) * d + (2 + c) * (2 * d - 2) + 2 * reduce;
  const double replayed = in_units(wall(run({"chimera", d, d}, costs)).length());
  CHECK(replayed == Approx(equation - (d == 2 ? 2 : 3) * c));
}

TEST_CASE("Zero Bubble appendix B: before the first backward stage 1 idles (p-1)(I+2c)+(p-k)F",
          "[formulas]") {
  // k forwards first. The plateau: a gradient is back after floor(((p-1)(I+2c)+pF)/F) of them.
  const std::string name = GENERATE("zb-h1", "zb-h2");
  const int p = GENERATE(2, 4, 8);
  const double i = GENERATE(1.0, 1.5, 2.75), c = GENERATE(0.0, 0.25);
  const Timeline t = run_split({name, p, 3 * p}, 1, i, 0.5, c);
  const int k = forwards_first(make({name, p, 3 * p}))[0];
  CHECK(k == (name == "zb-h1" ? p : 2 * p - 1));
  const double start = in_units(t.start[first_of(t, OpKind::kInputGrad, 0)]);
  const double bound = (p - 1) * (i + 2 * c) + (p - k);
  CHECK(start - k == Approx(std::max(0.0, bound)).margin(1e-9));
  const double gradient = in_units(t.end[first_of(t, OpKind::kInputGrad, 1)]) + c;
  CHECK(std::floor(gradient) == std::floor((p - 1) * (i + 2 * c) + p));
  // At F = I the plateau is ZB-H2's peak, and a warm-up of 3p - 2 would remove the rest.
  if (i == 1 && c == 0) CHECK(std::floor(gradient) == 2 * p - 1);
}

TEST_CASE("V-Min idles again for every micro-batch where F, I and W differ: 6 of the longest pass",
          "[formulas]") {
  // Controllable Memory, arXiv 2405.15362 section 3.3. V-Half and ZB-V have room in their
  // lifespans.
  const auto [f, i, w] = GENERATE(table<double, double, double>(
      {{1, 1, 1}, {1, 1.25, 0.75}, {1.25, 1, 0.75}, {1, 1, 0.5}, {1, 1.5, 1}, {1.25, 1.25, 0.5}}));
  const auto idle_each = [&, f = f, i = i, w = w](const std::string& name) {
    const auto wall_at = [&](int m) {
      return in_units(wall(run_split({name, 8, m}, f, i, w)).length());
    };
    return (wall_at(80) - wall_at(40)) / 40 - 2 * (f + i + w);
  };
  CHECK(idle_each("v-min") == Approx(6 * std::max({f, i, w}) - 2 * (f + i + w)).margin(1e-9));
  CHECK(idle_each("v-half") == Approx(0).margin(1e-9));
  CHECK(idle_each("zb-v") == Approx(0).margin(1e-9));
}

TEST_CASE("DualPipe and DualPipeV at F = I = W: bubble rates (p-2)/(3m+p-2), (p-1)/(3m+p-1)",
          "[formulas]") {
  // m of both directions; DualPipeV: times of both stages of a rank.
  const int p = GENERATE(2, 4, 8), m = 2 * p * GENERATE(1, 2, 3);
  CHECK(bubble(run_split({"dualpipe", p, m}), {}).bubble ==
        Approx((p - 2.0) / (3 * m + p - 2)).margin(1e-12));
  CHECK(bubble(run_split({"dualpipev", p, m}), {}).bubble ==
        Approx((p - 1.0) / (3 * m + p - 1)).margin(1e-12));
}
