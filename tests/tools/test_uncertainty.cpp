#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"
#include "tools/study/uncertainty.hpp"

using namespace stagesim;

namespace {

// Equal stages without communication, F = 1 ms and B = 2 ms.
std::string equal_stages(const std::string& schedule, int ranks, int microbatches,
                         const std::string& variation) {
  return test::unit(ranks, microbatches,
                    R"(, "schedule": ")" + schedule + R"(", "variation": )" + variation);
}

Nanos step_of(const std::string& text) {
  const Scenario s = test::read(text);
  return run_schedule(s, s.schedule).result.step_time;
}

Uncertainty samples_of(const std::string& text, int samples) {
  const Scenario s = test::read(text);
  return uncertainty(s, run_schedule(s, s.schedule), samples);
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}
double deviation(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += (v - mean(values)) * (v - mean(values));
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

}  // namespace

TEST_CASE("half the speed of all ranks is twice the time") {
  for (const char* schedule : {"1f1b", "zb-v", "amdp", "dualpipe", "amdp:rule=fifo"}) {
    CAPTURE(schedule);
    CHECK(step_of(equal_stages(schedule, 4, 8, R"({"rank_speed": 0.5})")) ==
          2 * step_of(equal_stages(schedule, 4, 8, "{}")));
  }
}

TEST_CASE("a slow last rank of GPipe works through while the others feed it") {
  // F 2 and B 4 on rank p - 1: (p - 1) F, m of its own F and B, (p - 1) B.
  const int p = 4, m = 8;
  for (const char* variation :
       {R"({"rank_speed": {"3": 0.5}})", R"({"rank_speed": [1, 1, 1, 0.5]})"}) {
    CHECK(to_ms(step_of(equal_stages("gpipe", p, m, variation))) ==
          Approx((p - 1) * 1 + m * (2 + 4) + (p - 1) * 2));
  }
}

TEST_CASE("without jitter every sample is the run") {
  const std::string text = equal_stages("1f1b", 4, 8, R"({"jitter": {"sigma": 0}})");
  for (const Nanos t : samples_of(text, 5).step) CHECK(t == step_of(text));
}

TEST_CASE("jitter on one rank adds up as independent ops do") {
  // 30 forwards of 1 ms and 30 backwards of 2 ms, one after the other.
  const int n = 4000, m = 30;
  const double sigma = 0.25;
  for (const char* shape : {"lognormal", "normal"}) {
    CAPTURE(shape);
    const auto ms =
        in_ms(samples_of(
                  equal_stages("gpipe", 1, m,
                               fmt::format(R"({{"jitter": {{"sigma": {}, "distribution": "{}"}}}})",
                                           sigma, shape)),
                  n)
                  .step);
    const double expected = sigma * std::sqrt(m * (1.0 + 4.0));
    CHECK(std::abs(mean(ms) - 3 * m) < 4 * expected / std::sqrt(n));
    CHECK(deviation(ms) == Approx(expected).epsilon(4 / std::sqrt(2.0 * n)));
  }
}

TEST_CASE("jitter makes a pipeline wait: the mean sample is slower than the run") {
  const std::string text = equal_stages("1f1b", 8, 32, R"({"jitter": {"sigma": 0.2}})");
  CHECK(mean(in_ms(samples_of(text, 200).step)) > 1.02 * to_ms(step_of(text)));
}

TEST_CASE("stragglers come as often as said") {
  const auto all =
      samples_of(equal_stages("1f1b", 4, 8, R"({"stragglers": {"share": 1, "speed": 0.5}})"), 3);
  for (const Nanos t : all.step) CHECK(t == 2 * step_of(equal_stages("1f1b", 4, 8, "{}")));
  // A single rank: each sample is fast or slow.
  const int n = 2000;
  const std::string text =
      equal_stages("gpipe", 1, 4, R"({"stragglers": {"share": 0.3, "speed": 0.5}})");
  int slow = 0;
  for (const Nanos t : samples_of(text, n).step) {
    CHECK((to_ms(t) == Approx(12) || to_ms(t) == Approx(24)));
    slow += to_ms(t) > 20 ? 1 : 0;
  }
  CHECK(std::abs(slow - 0.3 * n) < 4 * std::sqrt(0.3 * 0.7 * n));
}

TEST_CASE("the error of a link moves a run that only sends") {
  // Compute takes nothing to speak of and a message 1 ms, all of it latency: three hops there and
  // three back. All times exp(e z) is log-normal: the median is the run, the 95th percentile
  // exp(1.645 e) above it.
  const std::string path = std::filesystem::temp_directory_path() / "stagesim_link_error.json";
  std::ofstream(path) << R"({"name": "lossy", "summary": "a test", "link": {
    "curve_bytes_us": [[1000000, 1000], [2000000, 2000]], "from": "measured",
    "source": "made up", "error": 0.1}})";
  const std::string text = fmt::format(
      R"({{"model": {{"stage_times": {{"unit": "ms", "per": "stage", "F": 0.000001, "B": 0.000001}},
                     "stage_bytes": {{"message": 1000000}}}},
           "cluster": {{"gpu": "a100-sxm-80gb", "intra": "{}"}},
           "parallel": {{"pipeline": 4}}, "batch": {{"microbatches": 4}}, "schedule": "gpipe"}})",
      path);
  const Uncertainty u = samples_of(text, 4000);
  std::filesystem::remove(path);
  const auto ms = in_ms(u.step);
  CHECK(percentile(ms, 50) == Approx(6).epsilon(0.01));
  CHECK(percentile(ms, 95) / percentile(ms, 50) == Approx(std::exp(0.1645)).epsilon(0.01));
  REQUIRE(u.shifts.size() == 1);
  CHECK(u.shifts[0].what == "lossy");
  CHECK(to_ms(u.shifts[0].higher) == Approx(6 * std::exp(0.1)).epsilon(1e-4));
  CHECK(to_ms(u.shifts[0].lower) == Approx(6 * std::exp(-0.1)).epsilon(1e-4));
}

TEST_CASE("percentiles as numpy and R (type 7) define them") {
  const std::vector<double> values{4, 1, 3, 2};
  CHECK(percentile(values, 0) == 1);
  CHECK(percentile(values, 25) == Approx(1.75));
  CHECK(percentile(values, 50) == Approx(2.5));
  CHECK(percentile(values, 95) == Approx(3.85));
  CHECK(percentile(values, 100) == 4);
  CHECK(percentile({7}, 95) == 7);
}

TEST_CASE("samples depend on the seed and on nothing else") {
  const auto with = [](int seed) {
    return samples_of(
               equal_stages("amdp", 4, 8,
                            fmt::format(R"({{"jitter": {{"sigma": 0.1}}, "seed": {}}})", seed)),
               20)
        .step;
  };
  CHECK(with(1) == with(1));
  CHECK(with(1) != with(2));
}

TEST_CASE("the draws of a sample are the same for every schedule") {
  // Where two schedules are one and the same order, every sample agrees, and the first listed wins.
  const std::string variation = R"({"jitter": {"sigma": 0.1}})";
  const Uncertainty a = samples_of(equal_stages("gpipe", 1, 8, variation), 50);
  const Uncertainty b = samples_of(equal_stages("gpipe", 1, 8, variation), 50);
  const std::vector<double> shares = fastest_shares({nullptr, &a, &b});
  REQUIRE(shares.size() == 3);
  CHECK(shares[0] == 0);
  CHECK(shares[1] == Approx(1));
  CHECK(shares[2] == 0);
}

TEST_CASE("the errors of a profile widen the step of a model, layers stay") {
  const std::string text = R"({"model": {"preset": "gpt-1.3b"},
    "cluster": {"gpu": "a100-sxm-80gb", "nodes": 1, "gpus_per_node": 4, "intra": "nvlink3"},
    "parallel": {"pipeline": 4, "data": 1}, "batch": {"micro": 1, "microbatches": 8},
    "partition": {"layers": "balanced"}, "schedule": "1f1b"})";
  const Scenario s = test::read(text);
  const Run run = run_schedule(s, s.schedule);
  const Uncertainty u = uncertainty(s, run, 100);
  const auto ms = in_ms(u.step);
  const double step = to_ms(run.result.step_time);
  CHECK(percentile(ms, 5) < step);
  CHECK(percentile(ms, 95) > step);
  REQUIRE(!u.shifts.empty());
  // A faster product is never slower.
  for (const FitShift& shift : u.shifts) {
    CAPTURE(shift.what);
    if (shift.what.find("efficiency") != std::string::npos) {
      CHECK(shift.higher <= run.result.step_time);
      CHECK(shift.lower >= run.result.step_time);
    } else {
      CHECK(shift.higher >= run.result.step_time);
      CHECK(shift.lower <= run.result.step_time);
    }
  }
  CHECK(u.shifts[0].what == "a100-sxm-80gb matmul_efficiency");
}

TEST_CASE("what is wrong with a variation is said together") {
  const std::string text = equal_stages(
      "1f1b", 4, 8,
      R"({"rank_speed": {"4": 1, "x": 1, "2": 0}, "jitter": {"sigma": 0.5, "distribution": "normal"},
          "stragglers": {"share": 2}, "seed": -1, "speed": 1})");
  CHECK_THROWS_WITH(test::read(text),
                    contains("variation.rank_speed.4: expected a rank from 0 to 3") &&
                        contains("variation.rank_speed.x: expected a rank") &&
                        contains("variation.rank_speed.2") &&
                        contains("variation.jitter.sigma: expected a number from 0 to 0.3") &&
                        contains("variation.stragglers.share") &&
                        contains("variation.stragglers: missing field 'speed'") &&
                        contains("variation.seed") && contains("unknown field 'speed'"));
}
