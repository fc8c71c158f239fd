// Costs of several stages per rank, micro-batches of unequal size, recompute in explicit times.

#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"
#include "tools/study/stage_estimate.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// Explicit costs: the fields of model and the rest of the scenario as JSON text.
std::string given(int ranks, const std::string& model, const std::string& parallel = "",
                  const std::string& batch = R"("microbatches": 8)") {
  return R"({"model": {)" + model + R"(}, "parallel": {"pipeline": )" + std::to_string(ranks) +
         parallel + R"(}, "batch": {)" + batch + "}}";
}

std::string gpt(int layers, const std::string& partition, const std::string& parallel = "") {
  return R"({"model": {"preset": "gpt-1.5b", "layers": )" + std::to_string(layers) +
         R"(}, "parallel": {"pipeline": 8)" + parallel +
         R"(}, "cluster": {"gpu": "a800-sxm-80gb", "intra": "nvlink3"},
             "batch": {"microbatches": 8}, "partition": {"layers": )" +
         partition + "}}";
}

std::vector<double> forward_ms(const StageEstimate& estimate) {
  std::vector<double> result;
  for (const StageCosts& stage : estimate.costs) result.push_back(to_ms(stage.forward));
  return result;
}

const char* const kUnit = R"("stage_times": {"F": 1, "B": 2})";

}  // namespace

TEST_CASE("times of a stage do not depend on the stages per rank, times of a rank are divided",
          "[estimate]") {
  const Scenario stage = read(given(2, R"("stage_times": {"F": 1, "B": 2, "FB": 2.5})"));
  CHECK(forward_ms(stage_estimate(stage, 1)) == std::vector<double>{1, 1});
  CHECK(forward_ms(stage_estimate(stage, 2)) == std::vector<double>{1, 1, 1, 1});
  CHECK(pair_times(stage, 2) == std::vector<Nanos>(4, Nanos(2'500'000)));
  CHECK(stage_estimate(stage, 2).assumptions.empty());

  const Scenario rank = read(given(2, R"(
    "stage_times": {"per": "rank", "F": [1, 2], "B": [2, 4], "FB": 3}, "update_time": 1,
    "stage_bytes": {"activation": [100, 200], "activation_after_I": 50, "message": 8, "weights": 30,
                    "workspace": 7, "checkpoint": 6})",
                                   R"(, "virtual": 2)"));
  CHECK(forward_ms(stage_estimate(rank, 1)) == std::vector<double>{1, 2});
  const StageEstimate two = stage_estimate(rank, 2);
  CHECK(forward_ms(two) == std::vector<double>{0.5, 1, 0.5, 1});
  CHECK(to_ms(two.costs[3].backward) == 2);
  CHECK(to_ms(two.costs[3].step) == 0.5);
  CHECK(two.bytes[2].activation == 50);
  CHECK(two.bytes[2].activation_after_i == 25);
  CHECK(two.bytes[2].weights == 15);
  CHECK(two.bytes[2].message == 8);
  CHECK(two.bytes[2].workspace == 7);
  CHECK(two.bytes[2].checkpoint == 6);
  CHECK(pair_times(rank, 2) == std::vector<Nanos>(4, Nanos(1'500'000)));
  CHECK(two.assumptions ==
        std::vector<std::string>{"stage times: as given per rank, divided by v = 2; stage s takes "
                                 "the entry of rank s mod 2"});
}

TEST_CASE("a list of stages is for one number of stages", "[estimate][errors]") {
  const Scenario eight = read(given(8, R"("stage_times": {"F": [1,1,1,1,1,1,1,2], "B": 2})"));
  CHECK(stage_estimate(eight, 1).costs.size() == 8);
  CHECK_THROWS_WITH(
      stage_estimate(eight, 2),
      "model.stage_times.F has 8 entries, but 8 ranks x 2 stages per rank are 16 stages; give 16 "
      "entries with parallel.virtual 2, one number for all, or \"per\": \"rank\" in "
      "model.stage_times");
  CHECK_THROWS_AS(pair_times(eight, 2), ShapeError);

  const Scenario four =
      read(given(2, R"("stage_times": {"F": [1, 2, 3, 4], "B": 2})", R"(, "virtual": 2)"));
  CHECK(forward_ms(stage_estimate(four, 2)) == std::vector<double>{1, 2, 3, 4});
  CHECK_THROWS_WITH(run_schedule(four, {"1f1b", {}}),
                    contains("1f1b: model.stage_times.F has 4 entries, but 2 ranks x 1 stage per "
                             "rank are 2 stages; give 2 entries without parallel.virtual"));
  CHECK_THAT(problems_of(given(2, R"("stage_times": {"F": [1, 2], "B": 2})", R"(, "virtual": 2)")),
             contains("s.json: model.stage_times.F: expected 4 entries"));
  CHECK_THROWS_AS(stage_estimate(read(unit(4, 8)), 20000), ShapeError);
  CHECK_THAT(problems_of(given(16384, kUnit, R"(, "virtual": 4)")),
             contains("s.json: parallel.virtual: 16384 ranks x 4 stages per rank are 65536 stages, "
                      "expected at most 65535"));
}

TEST_CASE("a transformer's layers are split anew for every number of stages", "[estimate]") {
  const Scenario even = read(gpt(48, "\"even\""));
  const StageEstimate sixteen = stage_estimate(even, 2);
  CHECK(sixteen.costs.size() == 16);
  CHECK(sixteen.parameters.size() == 16);
  CHECK_THAT(sixteen.assumptions[0], contains("layers per stage: 3 3 3 3 3 3 3 3 3 3"));
  CHECK_THAT(sixteen.assumptions[0], contains("output layer and loss on stage 15"));
  // Beside the first and the last, a stage has half the layers and takes half the time.
  CHECK(to_ms(sixteen.costs[3].forward) ==
        Approx(to_ms(stage_estimate(even, 1).costs[3].forward) / 2));
  CHECK(link_classes(even, sixteen.bytes)[0].transfer_time.size() == 16);
  CHECK_THROWS_AS(stage_estimate(even, 4), ShapeError);
  CHECK_THROWS_WITH(stage_estimate(even, 4),
                    contains("8 ranks x 4 stages per rank: partition.layers: 48 layers do not "
                             "divide by 32 stages (48 = 32 x 1 + 16)"));
  // A schedule that refuses such stages leaves the others alone.
  CHECK(run_schedule(read(gpt(48, "\"even\"", R"(, "virtual": 4)")), {"1f1b", {}})
            .timeline.shape()
            .stages == 8);

  CHECK(stage_estimate(read(gpt(61, "\"balanced\"")), 2).costs.size() == 16);
  const Scenario list = read(gpt(48, "[6,6,6,6,6,6,6,6]"));
  CHECK_THROWS_WITH(
      stage_estimate(list, 2),
      "partition.layers has 8 entries, but 8 ranks x 2 stages per rank are 16 stages; "
      "give 16 entries with parallel.virtual 2, or \"balanced\"");
  CHECK_THAT(problems_of(gpt(48, "[6,6,6,6,6,6,6,6]", R"(, "virtual": 2)")),
             contains("partition.layers: expected 16 entries"));
}

TEST_CASE("what a schedule's own number of stages means is said", "[estimate]") {
  const Run run = run_schedule(read(gpt(48, "\"even\"", R"(, "virtual": 2)")), {"1f1b", {}});
  REQUIRE(run.assumptions.size() >= 2);
  CHECK(run.assumptions[0] ==
        "1f1b: 1 stage per rank (parallel.virtual 2 is for schedules that let one choose)");
  CHECK_THAT(run.assumptions[1], contains("1f1b: layers per stage: 6 6 6 6 6 6 6 6;"));
}

TEST_CASE("micro-batches of unequal size take time and bytes in proportion", "[run][sizes]") {
  const auto sizes = [](const std::string& batch) { return given(3, kUnit, "", batch); };
  const std::string uneven = sizes(R"("sizes": [3, 3, 2])");
  CHECK(step_ms(uneven, "1f1b") == Approx(40));
  CHECK(step_ms(uneven, "gpipe") == Approx(42));
  CHECK(step_ms(sizes(R"("sizes": [3, 3, 2], "micro": 2, "global": 8)"), "gpipe") == Approx(21));
  CHECK(step_ms(sizes(R"("sizes": [1, 1, 1])"), "1f1b") ==
        Approx(step_ms(sizes(R"("microbatches": 3)"), "1f1b")));
  const Scenario s = read(uneven);
  CHECK(s.batch == 3);
  CHECK_THAT(s.assumptions, Catch::Matchers::VectorContains(
                                std::string("micro-batch sizes 3 3 2: times and bytes "
                                            "in proportion to batch.micro 1 (assumed)")));
  // GPipe holds all of them: 8 samples.
  CHECK(result(given(3, R"("stage_times": {"F": 1, "B": 2}, "stage_bytes": {"activation": 10})", "",
                     R"("sizes": [3, 3, 2])"),
               "gpipe")
            .memory[0]
            .peak == 80);

  CHECK(problems_of(sizes(R"("sizes": [3, 0, 1001, 1.5, 2])")) ==
        "s.json: batch.sizes: entry 1: expected a whole number from 1 to 1000 (1000 x batch.micro "
        "1), got 0\n"
        "s.json: batch.sizes: entry 2: expected a whole number from 1 to 1000 (1000 x batch.micro "
        "1), got 1001\n"
        "s.json: batch.sizes: entry 3: expected a whole number from 1 to 1000 (1000 x batch.micro "
        "1), got 1.5");
  CHECK_THAT(problems_of(sizes(R"("sizes": 3)")),
             contains("s.json: batch.sizes: expected a list with the samples"));
  CHECK(problems_of(sizes(R"("sizes": [3, 3, 2], "microbatches": 4, "global": 9)")) ==
        "s.json: batch.microbatches: 4 does not agree with the 3 entries of batch.sizes; give 3, "
        "or leave it out\n"
        "s.json: batch.global: 9 does not agree with the sum of batch.sizes 3 + 3 + 2 = 8 x "
        "data-parallel copies 1 = 8; give 8, or leave it out");
}

TEST_CASE("tokens count the samples of a micro-batch", "[run][sizes]") {
  const auto text = [](const std::string& batch) {
    return R"({"model": {"preset": "gpt-1.5b"}, "parallel": {"pipeline": 8},
               "cluster": {"gpu": "a800-sxm-80gb", "intra": "nvlink3"}, "batch": {)" +
           batch + "}}";
  };
  const ScheduleResult r = result(text(R"("sizes": [3, 3, 2])"), "1f1b");
  CHECK(r.tokens_per_s * to_ms(r.step_time) / 1e3 == Approx(8 * 1024));
}

TEST_CASE("recompute adds a forward to the backward and keeps the checkpoint", "[run][recompute]") {
  CHECK(step_ms(given(4, R"("stage_times": {"F": 1, "B": 2}, "recompute": "full")"), "1f1b") ==
        Approx(44));
  const auto stage = [](const std::string& mode) {
    return read(given(2, R"("stage_times": {"F": 1, "I": 1, "W": 0.5, "FB": 3},
                            "stage_bytes": {"activation": 100, "message": 10},
                            "recompute": ")" +
                             mode + "\""));
  };
  const Scenario full = stage("full"), both = stage("full-both");
  CHECK(full.stages.costs[0].backward == Nanos(2'500'000));
  CHECK(full.stages.costs[0].input_grad == Nanos(2'000'000));
  CHECK(full.stages.costs[0].weight_grad == Nanos(500'000));
  CHECK(full.pair[0] == Nanos(4'000'000));
  CHECK(both.stages.costs[0].backward == Nanos(2'500'000));
  CHECK(both.stages.costs[0].weight_grad == Nanos(1'500'000));
  CHECK(full.recompute == RecomputeIn::kInputGrad);
  CHECK(both.recompute == RecomputeIn::kBoth);
  CHECK(stage("none").recompute == RecomputeIn::kNone);
  CHECK(full.stages.bytes[0].checkpoint == 10);  // the message
  // GPipe: 7 checkpoints beside the activation that B computes again.
  const Run run = run_schedule(full, {"gpipe", {}});
  CHECK(run.memory.recompute == RecomputeIn::kInputGrad);
  CHECK(run.result.memory[0].at_peak[static_cast<std::size_t>(MemoryCategory::kActivations)] ==
        7 * 10 + 100);
  CHECK_THAT(problems_of(given(2, R"("stage_times": {"F": 1, "B": 2}, "recompute": "full",
                                     "stage_bytes": {"activation": 5, "checkpoint": 6})")),
             contains("checkpoint: stage 0: 6 bytes stay after F, more than the whole activation "
                      "of 5"));
  CHECK_THAT(problems_of(given(2, R"("stage_times": {"F": 1, "B": 2}, "recompute": "selective")")),
             contains("s.json: model.recompute: expected one of none, full, full-both"));
}
