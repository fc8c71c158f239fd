#include "tools/stagesim/timeline_file.hpp"

#include <nlohmann/json.hpp>

#include "sim/lower.hpp"
#include "sim/replay.hpp"

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

}  // namespace stagesim
