#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"
#include "tools/study/gate.hpp"
#include "tools/study/json_differences.hpp"
#include "tools/study/run.hpp"
#include "tools/study/scenario_input.hpp"
#include "traces/result_json.hpp"

using namespace stagesim;

namespace {

Json result_of(const std::string& scenario, const std::vector<std::string>& schedules,
               const std::vector<std::pair<std::string, std::string>>& sets = {}) {
  ScenarioInput input{.file = scenario};
  input.json = parse_json(scenario_text(scenario), scenario);
  for (const auto& [path, value] : sets) input.set(path, value, "", "");
  const Scenario s = input.read();
  std::vector<ScheduleResult> results;
  for (const std::string& name : schedules)
    results.push_back(run_schedule(s, parse_schedule_spec(name)).result);
  return result_json(s.json, {}, results);
}

std::string reasons(const GateResult& result) {
  std::string all;
  for (const std::string& reason : result.reasons) all += reason + "\n";
  return all;
}

const GateRow& row_of(const GateResult& result, const std::string& metric) {
  for (const GateRow& row : result.rows)
    if (row.metric == metric) return row;
  throw InternalError("no row of " + metric);
}

}  // namespace

TEST_CASE("a gate passes on the same result 50 times over", "[gate]") {
  const Json baseline = result_of("gpt-1.5b-8xa800", {"amdp", "1f1b"});
  for (int run = 0; run < 50; ++run) {
    // The baseline as a file holds it.
    const GateResult result =
        judge(Json::parse(baseline.dump(1)), result_of("gpt-1.5b-8xa800", {"amdp", "1f1b"}), {});
    REQUIRE(result.verdict == Verdict::kPass);
    REQUIRE(result.rows.size() == 20);
  }
}

TEST_CASE("a planted regression is found, with metric, size and ranks", "[gate]") {
  const Json baseline = result_of("gpt-1.5b-8xa800", {"1f1b"});
  // One layer more on the last stage, which is the slowest.
  const Json now =
      result_of("gpt-1.5b-8xa800", {"1f1b"}, {{"partition.layers", "[5,6,6,6,6,6,6,7]"}});
  const GateResult refused = judge(baseline, now, {});
  CHECK(refused.verdict == Verdict::kNoVerdict);
  CHECK_THAT(reasons(refused), contains("input partition.layers: "));
  CHECK_THAT(reasons(refused), contains("(baseline and now)"));
  const GateResult result = judge(baseline, now, {.may_differ = {"partition"}});
  CHECK(result.verdict == Verdict::kRegression);
  const double before = baseline["schedules"][0]["ranks"][7]["peak_memory_gib"];
  const double after = now["schedules"][0]["ranks"][7]["peak_memory_gib"];
  CHECK(after > before);
  CHECK_THAT(row_of(result, "step_time_ms").reason, contains("; busy_ms of rank 7 "));
  // Faster or slower, the verdict is that of the numbers.
  for (const GateRow& row : result.rows) {
    INFO(row.metric << " " << *row.baseline << " " << row.now);
    const bool more = row.metric == "tokens_per_s" || row.metric == "mfu";
    const double worse = more ? *row.baseline - row.now : row.now - *row.baseline;
    CHECK(row.worse == (worse > 1e-9 * *row.baseline));
    CHECK(row.reason.empty() != row.worse);
  }
}

TEST_CASE("tolerances are per metric, relative or absolute", "[gate]") {
  Json baseline = result_of("unit-p4-m8", {"1f1b"}), now = baseline;
  now["schedules"][0]["step_time_ms"] = 33.33;  // 1 % more than 33
  now["schedules"][0]["ranks"][3]["peak_activations"] = 5;
  const auto verdict = [&](const GateOptions& options) { return judge(baseline, now, options); };
  const GateResult both = verdict({});
  CHECK(both.verdict == Verdict::kRegression);
  CHECK(row_of(both, "step_time_ms").worse);
  CHECK_THAT(row_of(both, "peak_activations").reason,
             contains("1 worse (25.00 %); peak_activations of rank 3 1 to 5"));
  const GateOptions good{.tolerance = {{"step_time_ms", parse_tolerance("1.001%", "")},
                                       {"peak_activations", parse_tolerance("1", "")}}};
  CHECK(verdict(good).verdict == Verdict::kPass);
  const GateOptions tight{.tolerance = {{"step_time_ms", parse_tolerance("0.999%", "")},
                                        {"peak_activations", parse_tolerance("1", "")}}};
  CHECK(verdict(tight).verdict == Verdict::kRegression);
  CHECK(judge(now, baseline, {}).verdict == Verdict::kPass);  // better is no regression
  CHECK(verdict({.tolerance_of_all = parse_tolerance("30%", "")}).verdict == Verdict::kPass);
  for (const char* wrong : {"", "%", "one", "-1", "1%%", "nan", "inf", "1e999"})
    CHECK_THROWS_AS(parse_tolerance(wrong, "x"), InputError);
}

// freed-project/freed#899, tenstorrent/tt-umd#2983: 1F1B p = 4, m = 8 has a bubble of 3/11.
TEST_CASE("every limit gates, equal within 1e-9 is good", "[gate][cases]") {
  const Json now = result_of("unit-p4-m8", {"1f1b"});
  const auto verdict = [&](double limit) {
    return judge(Json(), now, {.limit = {{"bubble", limit}}}).verdict;
  };
  CHECK(verdict(0.30) == Verdict::kPass);
  CHECK(verdict(0.25) == Verdict::kRegression);
  CHECK(verdict(3.0 / 11) == Verdict::kPass);
  CHECK(verdict(0.272727272727) == Verdict::kPass);
  CHECK(verdict(0.27272727) == Verdict::kRegression);
}

// ROCm/cvs#310
TEST_CASE("what cannot be judged is no verdict, with its reasons", "[gate][cases]") {
  const Json good = result_of("unit-p4-m8", {"1f1b", "zb-h1"});
  const auto said = [&](const Json& baseline, const Json& now, const GateOptions& options = {}) {
    const GateResult result = judge(baseline, now, options);
    CHECK(result.verdict == Verdict::kNoVerdict);
    CHECK(result.rows.empty() == !result.reasons.empty());
    return reasons(result);
  };
  Json other = good;
  other["schema_version"] = 99;
  CHECK_THAT(said(other, good), contains("no result of schema version 1"));
  CHECK_THAT(said(Json::object(), good), contains("no result of schema version 1"));
  CHECK_THAT(said(good, result_of("unit-p4-m8", {"1f1b"})),
             contains("zb-h1 is in the baseline alone"));
  CHECK_THAT(said(result_of("unit-p4-m8", {"1f1b"}), good),
             contains("zb-h1 is not in the baseline"));
  CHECK_THAT(said(good, result_of("unit-p4-m8", {"1f1b", "zb-h1"}, {{"batch.microbatches", "16"}})),
             contains("input batch.microbatches: 8 and 16 (baseline and now)"));
  CHECK_THROWS_WITH(judge(good, good, {.limit = {{"buble", 1}}}),
                    contains("unknown metric 'buble'"));
  // A limit that nothing has would pass for ever.
  const GateResult mfu = judge(good, good, {.limit = {{"mfu", 0.4}}});
  CHECK(mfu.verdict == Verdict::kNoVerdict);
  CHECK_THAT(reasons(mfu), contains("no schedule has a mfu here"));
  Json empty = good;
  empty["schedules"] = Json::array();
  CHECK(judge(empty, empty, {}).verdict == Verdict::kNoVerdict);
}

TEST_CASE("reports name what is worse, JUnit escapes it", "[gate]") {
  Json baseline = result_of("unit-p4-m8", {"1f1b"}), now = baseline;
  now["schedules"][0]["step_time_ms"] = 34;
  const GateResult result = judge(baseline, now, {});
  const std::string markdown = gate_markdown(result, "gate");
  CHECK_THAT(markdown, contains("## gate: regression"));
  CHECK_THAT(
      markdown,
      contains("| 1f1b | step_time_ms | 33 | 34 | +3.03 % | none | **worse**: 1 worse (3.03 %)"));
  const std::string junit = gate_junit(result, "a<b & \"c\"");
  CHECK_THAT(
      junit,
      contains("name=\"a&lt;b &amp; &quot;c&quot;\" tests=\"7\" failures=\"1\" errors=\"0\""));
  CHECK_THAT(junit,
             contains("<testcase classname=\"1f1b\" name=\"step_time_ms\"><failure message="));
  const std::string none = gate_junit(judge(Json::object(), now, {}), "t");
  CHECK_THAT(none, contains("tests=\"1\" failures=\"0\" errors=\"1\""));
}

TEST_CASE("differences of JSON are its leaves", "[gate]") {
  const Json a = Json::parse(R"({"a": {"b": 1, "c": [1, 2]}, "d": "x"})");
  const Json b = Json::parse(R"({"a": {"b": 2, "c": [1, 2]}, "e": true})");
  std::string all;
  for (const JsonDifference& d : json_differences(a, b)) all += d.text() + "\n";
  CHECK(all == "a.b: 1 and 2\nd: \"x\" and nothing\ne: nothing and true\n");
  CHECK(json_differences(a, a).empty());
}
