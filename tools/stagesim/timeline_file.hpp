#pragma once

#include <string>

#include "tools/study/run.hpp"
#include "traces/timeline_json.hpp"

namespace stagesim {

// What --timeline writes: this timeline of the run, made by a replay or an execution.
TimelineFile timeline_file(const Scenario& scenario, const Run& run, const Timeline& timeline,
                           const std::string& made_by, double scale = 1);

}  // namespace stagesim
