#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"
#include "tools/study/explain.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

std::vector<std::string> explained(const std::string& scenario, const std::string& schedule) {
  return explain(run_schedule(read(scenario), parse_schedule_spec(schedule)));
}

std::string line_with(const std::vector<std::string>& lines, const std::string& words) {
  for (const std::string& line : lines) {
    if (line.find(words) != std::string::npos) return line;
  }
  return "";
}

}  // namespace

TEST_CASE("explain: warm-up and idle causes of every rank of 1F1B", "[explain]") {
  const auto lines = explained(unit(4, 8), "1f1b");
  // Rank r warms up with p - r forwards (the last one belongs to the steady phase), starts r late
  // and ends 2 r early.
  for (int r = 0; r < 4; ++r) {
    const std::string& line = lines[std::size_t(r) + 2];
    CHECK_THAT(line, contains(fmt::format("{:>4}  {:>5} F", r, 4 - r)));
    CHECK_THAT(line, contains("24.000       9.000"));
    if (r > 0) {
      CHECK_THAT(line, contains(fmt::format("start-up {}.000", r)));
      CHECK_THAT(line, contains(fmt::format("drain {}.000", 2 * r)));
    }
  }
}

TEST_CASE("explain: the stretches of the critical path add up to the wall", "[explain]") {
  const std::string latency = R"(, "cluster": {"p2p": {"latency_us": 100}})";
  const auto lines = explained(unit(4, 8, latency), "1f1b");
  CHECK_THAT(line_with(lines, "critical path"), contains("34.600 ms"));
  double sum = 0;
  for (const std::string& line : lines) {
    if (line.rfind("  rank ", 0) != 0) continue;
    sum += std::stod(line.substr(line.find(", ") + 2));
    if (const auto message = line.find("after "); message != std::string::npos)
      sum += std::stod(line.substr(message + 6));
  }
  CHECK(sum == Approx(34.6));
  CHECK_THAT(
      line_with(lines, "closed form"),
      contains("33.000 ms; replayed 34.600 ms, +1.600 ms: the form counts neither messages"));
}

TEST_CASE("explain: closed forms only where they hold", "[explain]") {
  CHECK_THAT(line_with(explained(unit(4, 8), "gpipe"), "closed form"), contains(", the same"));
  CHECK_THAT(line_with(explained(unit(4, 8), "1f1b-v"), "closed form"),
             contains("none is stated for this schedule"));
  CHECK_THAT(line_with(explained(unit(4, 8), "amdp:rule=fifo"), "closed form"),
             contains("none is stated"));
  const std::string uneven =
      R"({"model": {"stage_times": {"F": [1, 2], "B": 2}}, "parallel": {"pipeline": 2},
          "batch": {"microbatches": 4}})";
  CHECK_THAT(line_with(explained(uneven, "1f1b"), "closed form"), contains("equal stages"));
  CHECK_THAT(line_with(explained(unit(4, 8, R"(, "run": {"steps": 3})"), "1f1b"), "closed form"),
             contains("run.steps 1"));
}

TEST_CASE("explain: without a flush the closed form is the steady time of one batch", "[explain]") {
  const std::string steps = GENERATE("1", "3");
  const std::string scenario = unit(4, 8, R"(, "run": {"steps": )" + steps + "}");
  // AMDP: b/d ((d + 1) B + (d - 1) F) = 2 (5 * 2 + 3); the others b (F + B) = 8 * 3.
  CHECK_THAT(line_with(explained(scenario, "amdp"), "closed form"),
             contains("step = ") && contains("= 26.000 ms; replayed 26.000 ms, the same"));
  for (const std::string name : {"pipedream", "pipedream-2bw", "xpipe", "paci:accumulate=3"}) {
    CHECK_THAT(line_with(explained(scenario, name), "closed form"),
               contains("step = ") && contains("= 24.000 ms; replayed 24.000 ms, the same"));
  }
}
