#include "tools/stagesim/timeline_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tools/study/json_differences.hpp"

namespace stagesim {

TimelineFile timeline_file(const Scenario& scenario, const Run& run, const Timeline& timeline,
                           const std::string& made_by, double scale) {
  // Of an online rule the file holds the order that it chose, so its times are of that one too.
  const bool chosen = timeline.what->dispatch != Dispatch::kFixed;
  Json json = scenario.json;
  json["schedule"] = scenario.schedule.text();  // what ran, however it was asked for
  TimelineFile file{.name = scenario.name,
                    .schedule = run.result.name,
                    .made_by = made_by,
                    .scenario = json.dump(),
                    .scale = scale,
                    .batch = run.inputs.batch,
                    .warm_windows = run.inputs.warm_windows,
                    .measured_windows = run.inputs.measured_windows,
                    .comm = run.costs.comm,
                    .barrier = run.costs.barrier,
                    .reduced_stages = {},
                    .order = run.order,
                    .timeline = chosen ? replay(lower(run.order, run.costs)) : timeline};
  for (std::size_t s = 0; s < run.costs.stages.size(); ++s) {
    if (run.costs.stages[s].reduce.count() > 0) file.reduced_stages.push_back(static_cast<int>(s));
  }
  return file;
}

std::string text_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("'{}': cannot open", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> differing_inputs(const TimelineFile& a, const TimelineFile& b) {
  std::vector<std::string> lines;
  const auto differ = [&](const char* what, const auto& x, const auto& y) {
    if (x != y) lines.push_back(fmt::format("{}: {} and {}", what, x, y));
  };
  differ("schedule", a.schedule, b.schedule);
  differ("times x", a.scale, b.scale);
  differ("micro-batches per step", a.batch, b.batch);
  differ("windows before the steady interval", a.warm_windows, b.warm_windows);
  differ("windows measured", a.measured_windows, b.measured_windows);
  differ("step barrier", a.barrier, b.barrier);
  if (a.comm != b.comm) lines.emplace_back("communication: one overlapped, one blocking");
  differ("stages whose gradients are reduced", fmt::format("{}", fmt::join(a.reduced_stages, " ")),
         fmt::format("{}", fmt::join(b.reduced_stages, " ")));
  for (const JsonDifference& d : json_differences(Json::parse(a.scenario), Json::parse(b.scenario)))
    lines.push_back("scenario " + d.text());
  if (lines.empty() && schedule_text(a.order) != schedule_text(b.order))
    lines.emplace_back("the order of ops");
  return lines;
}

RunInputs inputs_of(const TimelineFile& file) {
  RunInputs inputs{.name = file.schedule, .family = file.schedule, .batch = file.batch};
  inputs.warm_windows = file.warm_windows;
  inputs.measured_windows = file.measured_windows;
  inputs.memory.stages.resize(static_cast<std::size_t>(file.order.shape.stages));
  return inputs;
}

}  // namespace stagesim
