#include "tools/study/gate.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/error.hpp"
#include "tools/study/json_differences.hpp"
#include "traces/result_json.hpp"

namespace stagesim {
namespace {

using Json = nlohmann::json;

std::optional<double> number(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_number()) return {};
  return object[key].get<double>();
}

// Of a list of objects: the value furthest from 0 of one of their fields.
std::optional<double> furthest(const Json& object, const char* list, const char* key) {
  std::optional<double> most;
  if (!object.is_object() || !object.contains(list) || !object[list].is_array()) return most;
  for (const Json& entry : object[list]) {
    const auto value = number(entry, key);
    if (value && (!most || std::abs(*value) > std::abs(*most))) most = value;
  }
  return most;
}

const GateMetric* find_metric(const std::string& name) {
  for (const GateMetric& metric : gate_metrics())
    if (metric.name == name) return &metric;
  return nullptr;
}

// How much worse, 0 for as good or better.
double worsening(const GateMetric& metric, double before, double now) {
  if (metric.more_is_better) return std::max(0.0, before - now);
  const bool signed_one = metric.name == "max_mismatch" || metric.name == "max_delay";
  if (signed_one) return std::max(0.0, std::abs(now) - std::abs(before));
  return std::max(0.0, now - before);
}

// Which ranks a metric of the worst one comes from: "rank 3: 38.1 to 40.2".
std::string rank_changes(const std::string& metric, const Json& before, const Json& now) {
  std::string field = metric;
  if (metric == "step_time_ms" || metric == "tokens_per_s" || metric == "mfu") field = "busy_ms";
  if (metric == "bubble" || metric == "bubble_over_ideal") field = "idle_ms";
  if (!before.contains("ranks") || !now.contains("ranks") || !before["ranks"].is_array() ||
      !now["ranks"].is_array())
    return "";
  struct Change {
    std::size_t rank;
    double before, now;
  };
  std::vector<Change> changes;
  for (std::size_t r = 0; r < std::min(before["ranks"].size(), now["ranks"].size()); ++r) {
    const auto b = number(before["ranks"][r], field.c_str()),
               n = number(now["ranks"][r], field.c_str());
    if (b && n && *n - *b > kSameNumber * std::abs(*b)) changes.push_back({r, *b, *n});
  }
  if (changes.empty()) return "";
  std::stable_sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return a.now - a.before > b.now - b.before;
  });
  std::string text = fmt::format("; {} of", field);
  constexpr std::size_t kShown = 4;
  for (std::size_t i = 0; i < std::min(kShown, changes.size()); ++i)
    text += fmt::format("{} rank {} {:g} to {:g}", i == 0 ? "" : ",", changes[i].rank,
                        changes[i].before, changes[i].now);
  if (changes.size() > kShown) text += fmt::format(" and {} more", changes.size() - kShown);
  return text;
}

class Judge {
 public:
  Judge(const Json& baseline, const Json& now, const GateOptions& options)
      : baseline_(baseline), now_(now), options_(options) {}

  GateResult run() {
    if (!baseline_.is_null()) check_inputs();
    if (!result_.reasons.empty()) return no_verdict();
    for (const Json& schedule : now_.at("schedules")) judge_schedule(schedule);
    check_names();
    if (result_.rows.empty()) reason("there is nothing to compare");
    if (!result_.reasons.empty()) return no_verdict();
    for (const GateRow& row : result_.rows)
      if (row.worse) result_.verdict = Verdict::kRegression;
    return std::move(result_);
  }

 private:
  void reason(std::string text) { result_.reasons.push_back(std::move(text)); }

  GateResult no_verdict() {
    result_.verdict = Verdict::kNoVerdict;
    return std::move(result_);
  }

  void check_inputs() {
    const auto version = number(baseline_, "schema_version");
    if (!version || *version != kResultSchemaVersion || !baseline_.contains("schedules") ||
        !baseline_["schedules"].is_array() || !baseline_.contains("scenario")) {
      return reason(fmt::format("the baseline is no result of schema version {}; save it again",
                                kResultSchemaVersion));
    }
    for (const JsonDifference& d : json_differences(baseline_["scenario"], now_.at("scenario"))) {
      const auto covers = [&](const std::string& key) {
        return d.path == key || d.path.rfind(key + ".", 0) == 0;
      };
      if (std::none_of(options_.may_differ.begin(), options_.may_differ.end(), covers))
        reason(fmt::format("input {} (baseline and now)", d.text()));
    }
    for (const Json& before : baseline_["schedules"]) {
      const std::string name = before.value("name", "");
      if (find(now_, name) == nullptr) reason(name + " is in the baseline alone");
    }
    for (const Json& schedule : now_.at("schedules")) {
      const std::string name = schedule.at("name");
      if (find(baseline_, name) == nullptr) reason(name + " is not in the baseline");
    }
  }

  static const Json* find(const Json& result, const std::string& name) {
    for (const Json& schedule : result["schedules"])
      if (schedule.is_object() && schedule.value("name", "") == name) return &schedule;
    return nullptr;
  }

  void judge_schedule(const Json& schedule) {
    const std::string name = schedule.at("name");
    const Json* before = baseline_.is_null() ? nullptr : find(baseline_, name);
    const std::map<std::string, double> now = metrics_of(schedule);
    const std::map<std::string, double> then =
        before == nullptr ? std::map<std::string, double>{} : metrics_of(*before);
    for (const GateMetric& metric : gate_metrics()) {
      const std::string key(metric.name);
      const auto n = now.find(key), b = then.find(key);
      const auto limit = options_.limit.find(key);
      if (n == now.end()) {
        if (b != then.end())
          reason(fmt::format("{}: {} is in the baseline and not there now", name, key));
        continue;
      }
      seen_.push_back(key);
      if (before != nullptr && b == then.end())
        reason(fmt::format("{}: {} is not in the baseline", name, key));
      if (b == then.end() && limit == options_.limit.end()) continue;
      GateRow row{.schedule = name, .metric = key, .now = n->second};
      const auto tolerance = options_.tolerance.find(key);
      row.tolerance =
          tolerance == options_.tolerance.end() ? options_.tolerance_of_all : tolerance->second;
      if (b != then.end()) judge_change(metric, b->second, *before, schedule, row);
      if (limit != options_.limit.end()) judge_limit(metric, limit->second, row);
      result_.rows.push_back(std::move(row));
    }
  }

  static void judge_change(const GateMetric& metric, double before, const Json& was, const Json& is,
                           GateRow& row) {
    row.baseline = before;
    const double worse = worsening(metric, before, row.now);
    const double allowed =
        std::max(row.tolerance.absolute, row.tolerance.relative * std::abs(before));
    row.worse = worse > allowed;
    if (!row.worse) return;
    row.reason =
        fmt::format("{:g} worse{}{}", worse,
                    before == 0 ? "" : fmt::format(" ({:.2f} %)", 100 * worse / std::abs(before)),
                    rank_changes(row.metric, was, is));
  }

  static void judge_limit(const GateMetric& metric, double limit, GateRow& row) {
    row.limit = limit;
    if (worsening(metric, limit, row.now) <= kSameNumber * std::abs(limit)) return;
    row.worse = true;
    row.reason += fmt::format("{}beyond the limit by {:g}", row.reason.empty() ? "" : "; ",
                              worsening(metric, limit, row.now));
  }

  // A limit on what no schedule has would let everything pass.
  void check_names() {
    const auto check = [&](const std::string& key) {
      if (std::find(seen_.begin(), seen_.end(), key) == seen_.end())
        reason(fmt::format("no schedule has a {} here", key));
    };
    for (const auto& [key, unused] : options_.limit) check(key);
    for (const auto& [key, unused] : options_.tolerance) check(key);
  }

  const Json& baseline_;
  const Json& now_;
  const GateOptions& options_;
  std::vector<std::string> seen_{};
  GateResult result_{};
};

}  // namespace

const std::vector<GateMetric>& gate_metrics() {
  static const std::vector<GateMetric> metrics{
      {"step_time_ms"},      {"tokens_per_s", true}, {"mfu", true},        {"bubble"},
      {"bubble_over_ideal"}, {"peak_memory_gib"},    {"peak_activations"}, {"weight_copies"},
      {"max_mismatch"},      {"max_delay"}};
  return metrics;
}

std::map<std::string, double> metrics_of(const Json& schedule) {
  std::map<std::string, double> metrics;
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) metrics[name] = *value;
  };
  for (const char* name : {"step_time_ms", "tokens_per_s", "mfu", "bubble", "bubble_over_ideal"})
    add(name, number(schedule, name));
  for (const char* name : {"peak_memory_gib", "peak_activations", "weight_copies"})
    add(name, furthest(schedule, "ranks", name));
  for (const char* name : {"max_mismatch", "max_delay"})
    add(name, furthest(schedule, "stages", name));
  return metrics;
}

Tolerance parse_tolerance(const std::string& text, const std::string& typed) {
  std::size_t used = 0;
  double value = -1;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const bool percent = used + 1 == text.size() && text.back() == '%';
  if (used == 0 || (!percent && used != text.size()) || !(value >= 0) || !std::isfinite(value)) {
    throw InputError(fmt::format(
        "{}: expected a percentage such as 1% or a number from 0, got '{}'", typed, text));
  }
  if (percent) return {std::max(kSameNumber, value / 100), 0};
  return {kSameNumber, value};
}

GateResult judge(const Json& baseline, const Json& now, const GateOptions& options) {
  std::vector<std::string> known;
  for (const GateMetric& metric : gate_metrics()) known.emplace_back(metric.name);
  Problems problems;
  const auto check = [&](const std::string& name) {
    if (find_metric(name) == nullptr)
      problems.add("unknown metric '{}'; known: {}", name, fmt::join(known, ", "));
  };
  for (const auto& [name, unused] : options.tolerance) check(name);
  for (const auto& [name, unused] : options.limit) check(name);
  problems.throw_if_any();
  return Judge(baseline, now, options).run();
}

}  // namespace stagesim
