// Runs whose number of stages, or whose order, only the schedule knows.

#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

// sail-sg/zero-bubble-pipeline-parallelism#9
TEST_CASE("46 layers on 16 ranks with two stages each: refused with the arithmetic, or balanced",
          "[run]") {
  const std::string model =
      R"({"model": {"preset": "gpt-1.5b", "layers": 46}, "parallel": {"pipeline": 16},
          "cluster": {"gpu": "a800-sxm-80gb", "nodes": 2, "gpus_per_node": 8, "intra": "nvlink3",
                      "inter": "hdr200x8"},
          "batch": {"micro": 1, "global": 32}, "partition": {"layers": )";
  const Scenario balanced = read(model + "\"balanced\"}}");
  const Run run = run_schedule(balanced, parse_schedule_spec("hanayo"));
  CHECK(run.result.shape.stages == 32);
  std::string layers;
  for (const std::string& line : run.assumptions) {
    if (line.find("layers per stage") != std::string::npos) layers = line;
  }
  CHECK_THAT(layers, contains("hanayo: layers per stage: ") && contains(" 2 "));
  CHECK_THAT(layers, !contains(" 3 "));  // 46 = 32 + 14: the slowest stage has 2
  CHECK_THAT(problems_of(model + "\"even\"}}"), contains("46 layers do not divide by 16 stages"));
}

TEST_CASE("a comparison goes on where one schedule cannot run under blocking groups", "[run]") {
  const Scenario s = read(unit(4, 8, R"(, "comm": {"mode": "blocking"})"));
  const auto attempts =
      run_schedules(s, {parse_schedule_spec("amdp:rule=fifo"), parse_schedule_spec("zb-h2"),
                        parse_schedule_spec("1f1b")});
  CHECK_THAT(attempts[0].refusal, contains("needs a fixed order"));
  CHECK_THAT(attempts[1].refusal, contains("hangs with comm.mode"));
  CHECK(attempts[2].run.has_value());
}

TEST_CASE("times per stage: a schedule with two stages per rank says that it has twice the work",
          "[run]") {
  const auto lines = [](const std::string& text, const char* schedule) {
    std::string all;
    for (const std::string& line :
         run_schedule(read(text), parse_schedule_spec(schedule)).assumptions)
      all += line + "\n";
    return all;
  };
  CHECK_THAT(lines(unit(4, 8), "zb-v"), contains("2 times the work"));
  CHECK_THAT(lines(unit(4, 8), "1f1b"), !contains("times the work"));
  CHECK_THAT(lines(R"({"model": {"stage_times": {"per": "rank", "F": 1, "B": 2}},
                       "parallel": {"pipeline": 4}, "batch": {"microbatches": 8}})",
                   "zb-v"),
             !contains("times the work"));
}

TEST_CASE("parallel.virtual sets v where a schedule lets one choose, 1 chooses nothing", "[run]") {
  const auto stages = [](const char* v, const char* schedule) {
    return result(R"({"model": {"stage_times": {"F": 1, "B": 2}}, "batch": {"microbatches": 8},
                      "parallel": {"pipeline": 4, "virtual": )" +
                      std::string(v) + "}}",
                  schedule)
        .shape.stages;
  };
  CHECK(stages("1", "interleaved-1f1b") == 8);
  CHECK(stages("4", "interleaved-1f1b") == 16);
  CHECK(stages("4", "interleaved-1f1b:v=3") == 12);
  CHECK(stages("4", "zb-v") == 8);
  CHECK(stages("4", "1f1b") == 4);
}
