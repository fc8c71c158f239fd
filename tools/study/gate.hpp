#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stagesim {

inline constexpr double kSameNumber = 1e-9;  // relative: numbers this close are the same

// One number that a result says about a schedule.
struct GateMetric {
  std::string_view name;
  bool more_is_better = false;
};
// step_time_ms, tokens_per_s, mfu, bubble, bubble_over_ideal, peak_memory_gib (of the worst rank),
// peak_activations, weight_copies (most of a rank), max_mismatch (furthest from 0), max_delay.
const std::vector<GateMetric>& gate_metrics();

// [metric] of a schedule of a result (traces/result_json.hpp); what it does not say is left out.
std::map<std::string, double> metrics_of(const nlohmann::json& schedule);

// How much worse than the baseline is still good: whichever of the two allows more.
struct Tolerance {
  double relative = kSameNumber, absolute = 0;
};
// "1%", "0.5"; throws InputError that names `typed`.
Tolerance parse_tolerance(const std::string& text, const std::string& typed);

struct GateOptions {
  std::map<std::string, Tolerance> tolerance{};  // [metric]
  Tolerance tolerance_of_all{};                  // of the other metrics
  std::map<std::string, double> limit{};         // [metric]: no worse than this, within 1e-9 of it
  std::vector<std::string> may_differ{};  // keys of the scenario that need not be the baseline's
};

struct GateRow {
  std::string schedule{}, metric{};
  std::optional<double> baseline{}, limit{};
  double now = 0;
  Tolerance tolerance{};
  bool worse = false;    // than allowed
  std::string reason{};  // of a worse one: by how much, and on which ranks
};

enum class Verdict : std::uint8_t { kPass, kRegression, kNoVerdict };

struct GateResult {
  Verdict verdict = Verdict::kPass;
  std::vector<std::string> reasons{};  // why there is no verdict
  std::vector<GateRow> rows{};
};

// Judges a result against a stored one, by schedule and metric; without a baseline (null) by the
// limits alone. No verdict: another schema, other inputs than may differ, other schedules, a metric
// with a limit or tolerance that no schedule has, nothing to compare.
GateResult judge(const nlohmann::json& baseline, const nlohmann::json& now,
                 const GateOptions& options);

// A table for pull requests, and JUnit XML with one case for each row.
std::string gate_markdown(const GateResult& result, const std::string& title);
std::string gate_junit(const GateResult& result, const std::string& title);

}  // namespace stagesim
