// What the field's papers say a rank holds (the table in test_formulas.cpp), against memory() on
// replays.

#include "sim/versions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/field.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// Peaks of equal stages; weight copies as the version rule needs them.
std::vector<RankMemory> held(const Wanted& wanted, const StageBytes& stage,
                             RecomputeIn recompute = RecomputeIn::kNone) {
  const Timeline t = run_split(wanted);
  MemoryInputs inputs;
  inputs.stages.assign(std::size_t(t.shape().stages), stage);
  for (const StageVersions& versions : versions(t).stages)
    inputs.weight_copies.push_back(versions.copies);
  inputs.recompute = recompute;
  return memory(t, inputs);
}

Ints copies(const Wanted& wanted) { return versions(run_split(wanted)).copies_of_rank; }

}  // namespace

TEST_CASE(
    "2BW, PipeDream-Flush and GPipe with recompute: weights + A_total/d + in flight x A_input",
    "[formulas][memory]") {
  // arXiv 2006.09503 sections 3.1, 3.2, on the worst rank. W, A and I of one stage: |W|/d,
  // |A_total|/d without its input, |A_input|. GPipe's O(N + L/K N/M), arXiv 1811.06965 section 2.3,
  // is the same with m inputs.
  const int d = GENERATE(1, 4, 8), m = d * GENERATE(1, 3);
  const StageBytes stage{.activation = 70 + 3, .checkpoint = 3, .weights = 1000};
  const auto peak = [&](const std::string& name, int windows) {
    return held({name, d, m, windows}, stage, RecomputeIn::kInputGrad)[0].peak;
  };
  CHECK(peak("pipedream-2bw", 5) == 2 * 1000 + 70 + d * 3);
  CHECK(peak("1f1b", 1) == 1000 + 70 + d * 3);
  CHECK(peak("gpipe", 1) == 1000 + 70 + m * 3);
  // Appendix A.1.2: without recompute every micro-batch in flight keeps all.
  CHECK(held({"pipedream-2bw", d, m, 5}, stage)[0].peak == 2 * 1000 + d * 70 + d * 3);
  CHECK(held({"gpipe", d, m}, stage)[0].peak == 1000 + m * (70 + 3));
}

TEST_CASE("PipeDream: weights and activations of D on stage 0, of 1 on the last",
          "[formulas][memory]") {
  // Chimera, arXiv 2107.06925 Table 2.
  const int d = GENERATE(1, 2, 4, 8);
  const auto ranks = held({"pipedream", d, 4 * d, 4 * d}, {.activation = 10, .weights = 1000});
  for (int r = 0; r < d; ++r) CHECK(ranks[std::size_t(r)].peak == (d - r) * 1010);
}

TEST_CASE("Chimera with 2 f pipelines: 2 f weights, activations from D - D/(2f) + 1 to D",
          "[formulas][memory]") {
  // arXiv 2107.06925 Tables 2 and 3.
  const auto [d, f] = GENERATE(table<int, int>({{4, 1}, {4, 2}, {8, 1}, {8, 2}, {8, 4}, {12, 3}}));
  const Wanted wanted{"chimera", d, 2 * d, 1, 0, {{"pipelines", std::to_string(2 * f)}}};
  const Ints peaks = peaks_of(wanted);
  CHECK(*std::min_element(peaks.begin(), peaks.end()) == d - d / (2 * f) + 1);
  CHECK(*std::max_element(peaks.begin(), peaks.end()) == d);
  CHECK(copies(wanted) == Ints(std::size_t(d), 2 * f));
}

TEST_CASE("GEMS and DualPipe hold two replicas of the weights, DualPipeV one",
          "[formulas][memory]") {
  // Chimera, Table 2; DeepSeek-V3, arXiv 2412.19437 Table 2.
  CHECK(copies({"gems", 4, 8}) == Ints(4, 2));
  CHECK(copies({"dualpipe", 4, 8}) == Ints(4, 2));
  CHECK(copies({"dualpipev", 4, 8}) == Ints(4, 2));  // two stages of one replica
}

TEST_CASE("ZB-H1 and ZB-H2: what worker i holds of M_B and M_W", "[formulas][memory]") {
  // arXiv 2401.10241 section 2.3: (p-i+1) M_B + (i-1) M_W and (2p-2i+1) M_B + (2i-2) M_W, i from 1;
  // Table 2: p M_B and (2p-1) M_B on the worst. M_W = 32/34 M_B. A planner of the authors' code
  // allows ZB-H2 2p activations, counting the part that is free after I; its order was not rebuilt,
  // ours is the paper's.
  const int p = GENERATE(2, 4, 8), b = 34, w = 32;
  const StageBytes stage{.activation = b, .activation_after_i = w};
  const auto h1 = held({"zb-h1", p, 3 * p}, stage), h2 = held({"zb-h2", p, 3 * p}, stage);
  for (int i = 1; i <= p; ++i) {
    CHECK(h1[std::size_t(i - 1)].peak == (p - i + 1) * b + (i - 1) * w);
    CHECK(h2[std::size_t(i - 1)].peak == (2 * p - 2 * i + 1) * b + (2 * i - 2) * w);
    CHECK(h1[std::size_t(i - 1)].peak_activations == p);
    CHECK(h2[std::size_t(i - 1)].peak_activations == 2 * p - 1);
  }
}

TEST_CASE("ZB-V: worker i warms up with 2p - i forwards of its first stage and i - 1 of its second",
          "[formulas]") {
  // arXiv 2401.10241 section 6, i from 1; the first forward of the steady phase comes on top.
  const int p = GENERATE(2, 4, 8, 16);
  const Schedule s = make({"zb-v", p, 3 * p});
  CHECK(forwards_first(s) == Ints(std::size_t(p), 2 * p));
  for (int r = 0; r < p; ++r) {
    const auto& ops = s.ops_of_rank[std::size_t(r)];
    const auto first = std::count_if(ops.begin(), ops.begin() + 2 * p - 1,
                                     [&](const Op& op) { return op.stage == r; });
    CHECK(first == 2 * p - (r + 1));
  }
}

TEST_CASE("a building block repeated every T holds ceil(lifespan / T) of each stage",
          "[formulas][memory]") {
  // Controllable Memory, arXiv 2405.15362 equation 1; lifespans of a micro-batch in the middle.
  const auto [name, per_stage] = GENERATE(table<std::string, int>(
      {{"1f1b", 3}, {"zb-h1", 3}, {"zb-h2", 3}, {"v-half", 6}, {"v-min", 6}, {"1f1b-v", 6}}));
  const int p = GENERATE(3, 4, 8), m = 8 * p, middle = 4 * p;
  const Timeline t = run_split({name, p, m});
  Ints block(std::size_t(p), 0);
  std::vector<Nanos> begin(std::size_t(t.shape().stages)), end(begin.size());
  for (TaskId id = 0; id < t.what->size(); ++id) {
    const Op& op = t.what->op[id];
    if (op.microbatch != middle) continue;
    if (op.kind == OpKind::kForward) begin[op.stage] = t.start[id];
    if (op.kind == OpKind::kBackward || op.kind == OpKind::kWeightGrad) end[op.stage] = t.end[id];
  }
  for (std::size_t s = 0; s < begin.size(); ++s) {
    block[std::size_t(t.shape().rank_of(0, int(s)))] +=
        static_cast<int>(std::ceil(in_units(end[s] - begin[s]) / per_stage));
  }
  INFO(name << " p=" << p);
  const Ints peaks = peaks_of({name, p, m});
  if (name != "v-min") CHECK(peaks == block);
  // A bound for a rank whose two stages do not peak together, as V-Min's.
  CHECK(*std::max_element(peaks.begin(), peaks.end()) <=
        *std::max_element(block.begin(), block.end()));
}

TEST_CASE("the V family goes to 1/3, 1/2 and all of 1F1B's activations", "[formulas][memory]") {
  // arXiv 2405.15362 section 3.1: (delta_0 + delta_1)/6 with (1,1), (2,1), (4,2). 1F1B: 2 p chunks.
  const auto [name, share] =
      GENERATE(table<std::string, double>({{"v-min", 1 / 3.0}, {"v-half", 0.5}, {"zb-v", 1}}));
  const int p = GENERATE(8, 13, 24, 32);
  const Ints peaks = peaks_of({name, p, 2 * p});
  const double found = *std::max_element(peaks.begin(), peaks.end()) / (2.0 * p);
  CHECK(found >= share - 1e-12);
  CHECK(found <= share + 1.5 / p);
}
