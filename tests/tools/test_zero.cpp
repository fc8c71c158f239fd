#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

namespace stagesim::test {
namespace {

std::string gpt(const std::string& parallel) {
  return R"({"model": {"preset": "gpt-1.3b"},
    "cluster": {"gpu": "a100-sxm-80gb", "nodes": 1, "gpus_per_node": 8, "intra": "nvlink3"},
    "parallel": )" +
         parallel + R"(, "batch": {"micro": 1, "global": 32}})";
}

std::int64_t optimizer_bytes(const ScheduleResult& r) {
  return r.memory[0].at_peak[static_cast<std::size_t>(MemoryCategory::kOptimizer)];
}

// Per parameter Megatron-LM holds 6 + 12 / d bytes with its distributed optimizer over d copies
// (NVIDIA/Megatron-LM docs/source/api-guide/dist_optimizer.md).
TEST_CASE("ZeRO-1 shares the optimizer state among data-parallel copies", "[tools][zero]") {
  const ScheduleResult whole = result(gpt(R"({"pipeline": 2, "data": 4})"), "1f1b");
  const ScheduleResult shard = result(gpt(R"({"pipeline": 2, "data": 4, "zero": 1})"), "1f1b");
  const auto of = [](const ScheduleResult& r, MemoryCategory c) {
    return r.memory[0].at_peak[static_cast<std::size_t>(c)];
  };
  const std::int64_t parameters = of(whole, MemoryCategory::kWeights) / 2;
  CHECK(optimizer_bytes(whole) == 12 * parameters);
  CHECK(optimizer_bytes(shard) == 12 * parameters / 4);
  CHECK(of(shard, MemoryCategory::kWeights) + of(shard, MemoryCategory::kGradients) ==
        6 * parameters);
  CHECK(shard.step_time < whole.step_time);  // three quarters of Adam's traffic are gone
}

TEST_CASE("without copies there is nobody to share with", "[tools][zero]") {
  const ScheduleResult whole = result(gpt(R"({"pipeline": 8})"), "1f1b");
  const ScheduleResult shard = result(gpt(R"({"pipeline": 8, "zero": 1})"), "1f1b");
  CHECK(optimizer_bytes(shard) == optimizer_bytes(whole));
  CHECK(shard.step_time == whole.step_time);
}

TEST_CASE("replicas of a bidirectional schedule share too", "[tools][zero]") {
  const ScheduleResult whole = result(gpt(R"({"pipeline": 4, "data": 2})"), "chimera");
  const ScheduleResult shard = result(gpt(R"({"pipeline": 4, "data": 2, "zero": 1})"), "chimera");
  CHECK(optimizer_bytes(shard) == optimizer_bytes(whole) / 4);  // 2 replicas x 2 copies
}

TEST_CASE("what is not modelled of ZeRO is refused", "[tools][zero]") {
  CHECK_THAT(problems_of(gpt(R"({"pipeline": 8, "zero": 2})")),
             contains("parallel.zero: expected a whole number from 0 to 1, got 2"));
}

}  // namespace
}  // namespace stagesim::test
