#include "tools/study/sweep.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <set>

#include "schedules/table.hpp"
#include "tools/study/result_summary.hpp"
#include "tools/study/run.hpp"

namespace stagesim {
namespace {

using Row = nlohmann::ordered_json;

constexpr std::uint64_t kMostRows = std::uint64_t{1} << 53;
constexpr std::int64_t kMostOfARange = 1'000'000;

constexpr const char* kNumbers[] = {"step_time_ms",
                                    "ms_per_sample",
                                    "tokens_per_s",
                                    "mfu",
                                    "bubble",
                                    "bubble_over_ideal",
                                    "bubble_interval",
                                    "peak_memory_gib",
                                    "worst_rank",
                                    "peak_activations",
                                    "weight_copies",
                                    "max_mismatch",
                                    "mismatched_share",
                                    "max_delay",
                                    "limiting_stage",
                                    "microbatches",
                                    "gpus"};

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// "1:8", "64:512:64", "2:64:x2"; nothing for what is not two or three whole numbers.
std::optional<std::vector<std::string>> range_values(const std::string& text,
                                                     const std::string& typed) {
  std::vector<std::string> parts;
  for (std::size_t at = 0;;) {
    const std::size_t colon = text.find(':', at);
    parts.push_back(text.substr(at, colon == std::string::npos ? colon : colon - at));
    if (colon == std::string::npos) break;
    at = colon + 1;
  }
  if (parts.size() < 2 || parts.size() > 3) return {};
  const bool times = parts.size() == 3 && !parts[2].empty() && parts[2][0] == 'x';
  const auto first = whole_number(parts[0]), last = whole_number(parts[1]);
  const auto step = parts.size() == 2 ? std::optional<std::int64_t>(1)
                                      : whole_number(parts[2].substr(times ? 1 : 0));
  if (!first || !last || !step) return {};
  if (*first > *last || *step < (times ? 2 : 1) || (times && *first < 1)) {
    throw InputError(fmt::format(
        "{}: '{}' has no values; expected first:last, first:last:step or first:last:xfactor", typed,
        text));
  }
  std::vector<std::string> values;
  for (std::int64_t v = *first; v <= *last; v = times ? v * *step : v + *step) {
    if (static_cast<std::int64_t>(values.size()) == kMostOfARange)
      throw InputError(fmt::format("{}: '{}' has more than {} values", typed, text, kMostOfARange));
    values.push_back(std::to_string(v));
    if (v > (times ? *last / *step : *last - *step)) break;
  }
  return values;
}

// At commas that are not in brackets: a value may be a list.
std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> values(1);
  int depth = 0;
  for (const char c : text) {
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (c == ',' && depth == 0)
      values.emplace_back();
    else
      values.back() += c;
  }
  return values;
}

std::vector<std::string> schedule_values(const std::string& text) {
  std::vector<std::string> values;
  for (const std::string& value : split_list(text)) {
    if (value != "all") {
      const ScheduleSpec spec = parse_schedule_spec(value);
      find_schedule(spec.name);
      values.push_back(value);
      continue;
    }
    for (const ScheduleInfo& info : schedule_table())
      if (trains(info)) values.emplace_back(info.name);
  }
  return values;
}

Json number_or_text(const std::string& text) {
  try {
    const Json value = Json::parse(text);
    if (value.is_number()) return value;
  } catch (const Json::exception&) {
  }
  return text;
}

std::string one_line(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;)
    text.replace(at, 1, "; ");
  return text;
}

int gpus_of(const Scenario& s) {
  return s.ranks * s.data * std::max(1, s.split.tensor) * std::max(1, s.split.context);
}

void add_numbers(Row& row, const Scenario& s, const ScheduleResult& r) {
  const ResultSummary sum = summary_of(r);
  const double scale = s.microbatch_scale.empty() ? r.batch
                                                  : std::accumulate(s.microbatch_scale.begin(),
                                                                    s.microbatch_scale.end(), 0.0);
  row["step_time_ms"] = to_ms(r.step_time);
  row["ms_per_sample"] = to_ms(r.step_time) / (scale * s.micro * s.data);
  if (r.tokens_per_s > 0) row["tokens_per_s"] = r.tokens_per_s;
  if (r.mfu) row["mfu"] = *r.mfu;
  row["bubble"] = r.bubble.bubble;
  row["bubble_over_ideal"] = r.bubble.over_ideal;
  row["bubble_interval"] = text(r.bubble.interval.kind);
  if (s.has_bytes) {
    row["peak_memory_gib"] = sum.peak_memory_gib;
    row["worst_rank"] = sum.worst_rank;
  }
  row["peak_activations"] = sum.peak_activations;
  row["weight_copies"] = sum.weight_copies;
  row["max_mismatch"] = sum.max_mismatch;
  row["mismatched_share"] = sum.mismatched_share;
  row["max_delay"] = sum.max_delay;
  row["limiting_stage"] = r.limiting.stage;
  row["microbatches"] = r.batch;
  row["gpus"] = gpus_of(s);
  if (r.fits && !*r.fits) {
    row["status"] = "does not fit";
    row["reason"] = fmt::format("rank {} needs {:.2f} GiB of {:.2f}", sum.worst_rank,
                                sum.peak_memory_gib, s.gpu->memory_gib.value);
  }
}

}  // namespace

SweepAxis parse_axis(const std::string& text) {
  const std::string typed = "--vary " + text;
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw InputError(typed + ": expected key.path=value,value or key.path=first:last");
  SweepAxis axis{.path = text.substr(0, equals)};
  const std::string list = text.substr(equals + 1);
  if (axis.path == "schedule.name") axis.path = kScheduleAxis;
  if (axis.path == kScheduleAxis) {
    axis.values = schedule_values(list);
  } else {
    for (const std::string& value : split_list(list)) {
      if (value.empty()) throw InputError(typed + ": a value is missing");
      const auto range = range_values(value, typed);
      if (range)
        axis.values.insert(axis.values.end(), range->begin(), range->end());
      else
        axis.values.push_back(value);
    }
  }
  const std::set<std::string> different(axis.values.begin(), axis.values.end());
  if (different.size() < axis.values.size()) throw InputError(typed + ": a value is given twice");
  return axis;
}

std::uint64_t Sweep::rows() const {
  if (axes.empty()) return 0;
  if (zipped) return axes[0].values.size();
  std::uint64_t rows = 1;
  for (const SweepAxis& axis : axes) {
    if (rows > kMostRows / axis.values.size()) return kMostRows + 1;
    rows *= axis.values.size();
  }
  return rows;
}

std::vector<std::string> Sweep::values(std::uint64_t row) const {
  std::vector<std::string> values(axes.size());
  for (std::size_t a = axes.size(); a-- > 0;) {
    const std::uint64_t size = axes[a].values.size();
    values[a] = axes[a].values[zipped ? row : row % size];
    if (!zipped) row /= size;
  }
  return values;
}

void check_sweep(const Sweep& sweep) {
  if (sweep.axes.empty())
    throw InputError("nothing varies; give --vary key.path=value,value, and more of them");
  Problems problems;
  std::set<std::string> paths;
  for (const SweepAxis& axis : sweep.axes) {
    if (!paths.insert(axis.path).second) problems.add("--vary {}: given twice", axis.path);
    if (sweep.zipped && axis.values.size() != sweep.axes[0].values.size()) {
      problems.add("--zip: {} has {} values and {} has {}; they go together one by one",
                   sweep.axes[0].path, sweep.axes[0].values.size(), axis.path, axis.values.size());
    }
  }
  if (sweep.rows() > kMostRows) problems.add("more than 2^53 rows");
  problems.throw_if_any();
}

std::vector<std::string> sweep_columns(const Sweep& sweep) {
  std::vector<std::string> columns{"row"};
  for (const SweepAxis& axis : sweep.axes) columns.push_back(axis.path);
  columns.insert(columns.end(), {"status", "reason"});
  columns.insert(columns.end(), std::begin(kNumbers), std::end(kNumbers));
  return columns;
}

Row sweep_row(const Sweep& sweep, std::uint64_t index) {
  const std::vector<std::string> values = sweep.values(index);
  Row row{{"row", index}};
  for (std::size_t a = 0; a < values.size(); ++a)
    row[sweep.axes[a].path] = number_or_text(values[a]);
  row["status"] = "ok";
  row["reason"] = nullptr;
  for (const char* number : kNumbers) row[number] = nullptr;
  try {
    ScenarioInput input = sweep.base;
    std::optional<ScheduleSpec> spec;
    for (std::size_t a = 0; a < values.size(); ++a) {
      const std::string& path = sweep.axes[a].path;
      if (path == kScheduleAxis)
        spec = parse_schedule_spec(values[a]);
      else
        input.set(path, values[a], "--vary " + path, "--vary " + path + "=" + values[a]);
    }
    const Scenario scenario = input.read();
    if (!spec) spec = scenario.schedule;
    if (spec->name.empty())
      throw InputError("no schedule: --vary schedule=1f1b, or \"schedule\" in the scenario");
    add_numbers(row, scenario, run_schedule(scenario, *spec).result);
  } catch (const InputError& error) {
    row["status"] = "refused";
    row["reason"] = one_line(error.what());
  }
  return row;
}

Row sweep_header(const Sweep& sweep) {
  Row axes = Row::array();
  for (const SweepAxis& axis : sweep.axes)
    axes.push_back(Row{{"key", axis.path}, {"values", axis.values}});
  return {{"stagesim_sweep", kSweepVersion},
          {"scenario", Row(sweep.base.json)},
          {"vary", axes},
          {"combined", sweep.zipped ? "one by one" : "all"},
          {"rows", sweep.rows()},
          {"columns", sweep_columns(sweep)}};
}

}  // namespace stagesim
