// "fastest" splits against every split there is, and against the ones it must beat.

#include <fmt/format.h>

#include <algorithm>

#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

std::string scenario(int layers, int ranks, int microbatches, const std::string& split,
                     const std::string& more = "") {
  return fmt::format(
      R"({{"model": {{"layers": {}, "hidden": 1024, "heads": 16, "vocab": 50304, "seq": 1024{}}},
          "parallel": {{"pipeline": {}}}, "batch": {{"microbatches": {}, "micro": 4}},
          "cluster": {{"gpu": "a100-sxm-80gb", "gpus_per_node": {}, "intra": "nvlink3"}},
          "partition": {{"layers": {}}}}})",
      layers, more, ranks, microbatches, ranks, split);
}

double step(const std::string& json, const char* schedule) {
  return to_ms(run_schedule(read(json), parse_schedule_spec(schedule)).result.step_time);
}

}  // namespace

TEST_CASE("fastest layers: as fast as the best of all splits", "[run][partition]") {
  const char* schedule = GENERATE("1f1b", "zb-h1", "2bw", "gpipe");
  double best = 1e18;
  for (int a = 0; a <= 9; ++a) {
    for (int b = 0; a + b <= 9; ++b) {
      const std::string list = fmt::format("[{}, {}, {}]", a, b, 9 - a - b);
      best = std::min(best, step(scenario(9, 3, 6, list), schedule));
    }
  }
  CHECK(step(scenario(9, 3, 6, "\"fastest\""), schedule) == Approx(best).epsilon(1e-9));
}

TEST_CASE("fastest layers are never slower than balanced or even ones", "[run][partition]") {
  for (const char* schedule :
       {"1f1b", "interleaved-1f1b:v=2", "zb-v", "dualpipe", "amdp", "paci"}) {
    const double fastest = step(scenario(16, 4, 8, "\"fastest\""), schedule);
    CHECK(fastest <= step(scenario(16, 4, 8, "\"balanced\""), schedule));
    CHECK(fastest <= step(scenario(16, 4, 8, "\"even\""), schedule));
  }
  // AMDP spreads the slow last stage: with GPT on 8 ranks the even split beats the balanced one.
  const auto gpt = [](const char* split) {
    Json json = parse_json(scenario_text("gpt-1.5b-8xa800"), "gpt");
    json["partition"]["layers"] = split;
    return to_ms(run_schedule(read_scenario(json, "gpt", {}), {"amdp", {}}).result.step_time);
  };
  CHECK(gpt("even") < gpt("balanced"));
  CHECK(gpt("fastest") <= gpt("even"));
}

TEST_CASE("fastest layers say what was tried, and keep to the memory if they can",
          "[run][partition]") {
  const Run run = run_schedule(read(scenario(9, 3, 6, "\"fastest\"")), parse_schedule_spec("1f1b"));
  const std::string& line = run.assumptions.back();
  CHECK_THAT(line, contains("1f1b: fastest of ") && contains(" splits of the layers"));
  // GPipe's 64 micro-batches on one early stage need more than 80 GB when balanced.
  const std::string more = R"(, "dropout": true)";
  const Run tight =
      run_schedule(read(scenario(12, 3, 64, "\"fastest\"", more)), parse_schedule_spec("gpipe"));
  const Run loose =
      run_schedule(read(scenario(12, 3, 64, "\"balanced\"", more)), parse_schedule_spec("gpipe"));
  const auto worst = [](const Run& r) {
    std::int64_t most = 0;
    for (const RankMemory& rank : r.result.memory) most = std::max(most, rank.peak);
    return most;
  };
  REQUIRE_FALSE(*loose.result.fits);
  CHECK(worst(tight) <= worst(loose));
}
