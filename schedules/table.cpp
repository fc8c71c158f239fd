#include "schedules/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "schedules/generators.hpp"
#include "sim/base/names.hpp"
#include "sim/lower.hpp"

namespace stagesim {

// An explicit table: statics that register themselves vanish from static libraries and hide the
// order.
const std::vector<ScheduleInfo>& schedule_table() {
  static const std::vector<ScheduleInfo> table{
      gpipe_info(),         one_f_one_b_info(),  eager_1f1b_info(), interleaved_1f1b_info(),
      looped_bfs_info(),    zb_h1_info(),        zb_h2_info(),      zb1p_interleaved_info(),
      zb_v_info(),          v_half_info(),       v_min_info(),      one_f_one_b_v_info(),
      dualpipe_info(),      dualpipev_info(),    chimera_info(),    gems_info(),
      hanayo_info(),        bitpipe_info(),      pipedream_info(),  pipedream_vsync_info(),
      pipedream_2bw_info(), xpipe_info(),        paci_info(),       amdp_info(),
      amdp_sync_info(),     forward_only_info(),
  };
  return table;
}

bool trains(const ScheduleInfo& info) { return info.name != "forward-only"; }

bool lets_choose_v(const ScheduleInfo& info) {
  return std::any_of(info.options.begin(), info.options.end(),
                     [](const ScheduleOption& o) { return o.name == "v"; });
}

const ScheduleInfo& find_schedule(std::string_view name) {
  std::vector<std::string> known, spelled;
  for (const ScheduleInfo& info : schedule_table()) {
    if (info.name == name || std::count(info.aliases.begin(), info.aliases.end(), name) > 0)
      return info;
    known.emplace_back(info.name);
    spelled.emplace_back(info.name);
    for (const std::string_view alias : info.aliases) spelled.emplace_back(alias);
  }
  const std::string near = nearest_name(name, spelled);
  throw InputError(fmt::format("unknown schedule '{}'{}; known: {}", name,
                               near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near),
                               fmt::join(known, ", ")));
}

namespace {

const ScheduleOption& find_option(const ScheduleInfo& info, std::string_view name) {
  const auto found = std::find_if(info.options.begin(), info.options.end(),
                                  [&](const ScheduleOption& o) { return o.name == name; });
  STAGESIM_CHECK(found != info.options.end());
  return *found;
}

void check_options(const ScheduleInfo& info, const ScheduleParams& params) {
  std::vector<std::string> known;
  for (const ScheduleOption& option : info.options) known.emplace_back(option.name);
  Problems problems;
  for (const auto& [name, value] : params.options) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (known.empty()) {
      problems.add("{}: unknown parameter '{}': this schedule has none", info.name, name);
    } else {
      problems.add("{}: {}", info.name, unknown_name("parameter", name, known));
    }
  }
  problems.throw_if_any();
}

}  // namespace

std::string option_text(const ScheduleInfo& info, const ScheduleParams& params,
                        std::string_view name) {
  const ScheduleOption& option = find_option(info, name);
  const auto given = params.options.find(std::string(name));
  return given == params.options.end() ? std::string(option.fallback) : given->second;
}

int option_int(const ScheduleInfo& info, const ScheduleParams& params, std::string_view name,
               int low, int high) {
  const std::string value = option_text(info, params, name);
  int number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < low || number > high) {
    throw InputError(fmt::format("{}: {}: expected a whole number from {} to {}, got '{}'",
                                 info.name, name, low, high, value));
  }
  return number;
}

std::string display_name(const ScheduleInfo& info,
                         const std::map<std::string, std::string>& options) {
  std::string name(info.name);
  for (const auto& [key, value] : options) {
    if (find_option(info, key).fallback != value) name += fmt::format(":{}={}", key, value);
  }
  return name;
}

int window_of(const ScheduleInfo& info, const ScheduleParams& params) {
  check_options(info, params);
  return params.window > 0 ? params.window : info.window(params);
}

int virtual_stages_of(const ScheduleInfo& info, const ScheduleParams& params) {
  check_options(info, params);
  return info.virtual_stages == nullptr ? 1 : info.virtual_stages(params);
}

void check_run_size(const ScheduleInfo& info, const ScheduleParams& params, std::int64_t windows) {
  // In double: the products of what a user may type do not fit 64 bits.
  const double microbatches = static_cast<double>(params.window) * static_cast<double>(windows);
  const double stages = static_cast<double>(params.ranks) * virtual_stages_of(info, params);
  const double cells = 2 * microbatches * stages;
  if (cells <= static_cast<double>(kMostActivities) / 2) return;
  throw InputError(fmt::format(
      "{}: {} ranks x {:.0f} micro-batches ({} windows of {}) are {:.4g} ops and about as many "
      "messages; at most {} activities fit; "
      "use fewer ranks, micro-batches or steps",
      info.name, params.ranks, microbatches, windows, params.window, cells, kMostActivities));
}

Schedule make_schedule(const ScheduleInfo& info, ScheduleParams params, const Costs* costs) {
  params.window = window_of(info, params);
  check_run_size(info, params, params.windows);
  Schedule schedule = info.generate(params, costs);
  check_schedule(schedule);
  return schedule;
}

}  // namespace stagesim
