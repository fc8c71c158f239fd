#include "sim/memory.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("a split backward frees its part at I and the rest at W", "[memory]") {
  const Schedule s = parse_schedule(
      "# m ranks=1 stages=1 pipelines=1 microbatches=2 window=2 rule=flush optimizer=replicated\n"
      "# rank of each stage: 0\n0F0 0I0 0F1 0I1 0W0 0W1 0U0\n",
      "m.txt");
  Costs costs;
  costs.stages = {{.forward = units(1), .input_grad = units(1), .weight_grad = units(1)}};
  const Timeline t = replay(lower(s, costs));
  const auto m = memory(t, {{{.activation = 34, .activation_after_i = 32}}, {1}});
  CHECK(m[0].peak == 34 + 32);
  CHECK(in_units(m[0].peak_at) == 2);
  CHECK(m[0].peak_activations == 2);
}

TEST_CASE("at equal times frees come first", "[memory]") {
  const auto m = memory(run({"1f1b", 1, 3}, unit_costs(1, 1, 2)), {{{.activation = 10}}, {1}});
  CHECK(m[0].peak == 10);
  CHECK(m[0].peak_activations == 1);
}

TEST_CASE("weights count by copies, an owner keeps one stage's optimizer", "[memory]") {
  const Timeline t = run({"amdp", 8, 8, 2}, unit_costs(8, 1, 2));
  const MemoryInputs inputs{
      std::vector<StageBytes>(8, {.weights = 2, .gradients = 4, .optimizer = 12}),
      std::vector<int>(32, 1)};
  for (const RankMemory& rank : memory(t, inputs)) CHECK(rank.resting == 4 * 2 + 4 * 4 + 12);
  const Timeline r = run({"amdp", 8, 8, 2, 0, {{"optimizer", "replicated"}}}, unit_costs(8, 1, 2));
  for (const RankMemory& rank : memory(r, inputs)) CHECK(rank.resting == 4 * (2 + 4 + 12));
}

TEST_CASE("the heaviest rank is reported, not the average", "[memory]") {
  // NVIDIA-NeMo/Megatron-Bridge#5077: parameters 1600, 2000, 2000, 3610 for the split 1, 2, 2, 3.
  const std::vector<StageBytes> stages{
      {.weights = 1600}, {.weights = 2000}, {.weights = 2000}, {.weights = 3610}};
  const auto m = memory(run({"1f1b", 4, 4}, unit_costs(4, 1, 2)), {stages, {1, 1, 1, 1}});
  CHECK(m[3].resting == 3610);
  CHECK(m[0].resting == 1600);
}

TEST_CASE("a receive buffer lives from the start of the transfer to the end of its consumer",
          "[memory]") {
  Costs costs = unit_costs(2, 1, 2);
  costs.links[0].transfer_time = {units(4), units(0)};
  costs.message_bytes = {100, 0};
  const Timeline t = run({"gpipe", 2, 1}, costs);
  // rank 1: buffer 1..6 (transfer 1-5, F 5-6); rank 0: gradient buffer 8..14 (transfer 8-12, B
  // 12-14).
  const auto over_time = memory_over_time(t, {std::vector<StageBytes>(2), {1, 1}});
  const auto at = [](const std::vector<MemorySample>& samples) {
    std::vector<std::pair<double, std::int64_t>> out;
    for (const MemorySample& s : samples) out.emplace_back(in_units(s.at), s.bytes);
    return out;
  };
  CHECK(at(over_time[1]) ==
        std::vector<std::pair<double, std::int64_t>>{{0, 0}, {1, 100}, {5, 100}, {6, 0}, {8, 0}});
  CHECK(at(over_time[0]) ==
        std::vector<std::pair<double, std::int64_t>>{{0, 0}, {8, 100}, {14, 0}});
}
