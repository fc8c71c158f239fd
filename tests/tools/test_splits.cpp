#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

namespace stagesim::test {
namespace {

std::string scenario(const std::string& model, const std::string& parallel) {
  return R"({"model": )" + model + R"(,
    "cluster": {"gpu": "h100-sxm-80gb", "nodes": 2, "gpus_per_node": 8, "intra": "nvlink4",
                "inter": "ndr400"},
    "parallel": )" +
         parallel + R"(, "batch": {"micro": 1, "global": 32}})";
}
const char* const kLlama = R"({"preset": "llama-3-8b", "flash": true})";
const char* const kMixtral = R"({"preset": "mixtral-8x7b", "flash": true, "seq": 4096})";

// Mean memory of the worst rank's activations at its peak.
std::int64_t activations(const ScheduleResult& r) {
  return r.memory[0].at_peak[static_cast<std::size_t>(MemoryCategory::kActivations)];
}

TEST_CASE("a context split takes GPUs, holds less and sends less", "[tools][splits]") {
  const Scenario s = read(scenario(kLlama, R"({"pipeline": 2, "context": 4})"));
  CHECK(s.data == 2);  // 16 / (2 x 4)
  CHECK(s.batch == 16);
  const ScheduleResult split = result(scenario(kLlama, R"({"pipeline": 2, "context": 4})"), "1f1b");
  const ScheduleResult copies = result(scenario(kLlama, R"({"pipeline": 2})"), "1f1b");
  CHECK(activations(copies) == 4 * activations(split));
}

TEST_CASE("experts lie on GPUs that are there anyway", "[tools][splits]") {
  const Scenario whole = read(scenario(kMixtral, R"({"pipeline": 2})"));
  const Scenario shared = read(scenario(kMixtral, R"({"pipeline": 2, "expert": 8})"));
  CHECK(shared.data == whole.data);
  CHECK(shared.stages.bytes[0].weights < whole.stages.bytes[0].weights / 4);
}

TEST_CASE("splits that do not work are refused with the arithmetic", "[tools][splits]") {
  CHECK_THAT(problems_of(scenario(R"({"preset": "gpt-1.3b"})", R"({"pipeline": 2, "context": 4})")),
             contains("parallel.context: a context split is ring attention"));
  CHECK_THAT(problems_of(scenario(R"({"preset": "llama-3-8b", "flash": true, "seq": 4100})",
                                  R"({"pipeline": 2, "context": 4})")),
             contains("parallel.context: 4100 tokens (model.seq) are not 8 equal parts"));
  CHECK_THAT(problems_of(scenario(kLlama, R"({"pipeline": 2, "context": 3})")),
             contains("(parallel.pipeline 2 x tensor 1 x context 3) = 2.66667"));
  CHECK_THAT(problems_of(scenario(kLlama, R"({"pipeline": 2, "expert": 2})")),
             contains("parallel.expert: expected 1, got 2: the model has no experts"));
  const std::string both = problems_of(scenario(kMixtral, R"({"pipeline": 2, "expert": 3})"));
  CHECK_THAT(both, contains("3 GPUs cannot share 8 experts (model.experts) evenly"));
  CHECK_THAT(both, contains("data-parallel copies 8 x context 1 = 8, and 3 does not divide that"));
  CHECK_THAT(problems_of(R"({"model": {"stage_times": {"F": 1, "B": 2}},
                             "parallel": {"pipeline": 2, "context": 2}, "batch": {"microbatches": 2}})"),
             contains("parallel.context: expected 1, got 2: model.stage_times"));
}

}  // namespace
}  // namespace stagesim::test
