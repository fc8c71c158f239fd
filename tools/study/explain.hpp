#pragma once

#include <string>
#include <vector>

#include "schedules/table.hpp"
#include "tools/study/run.hpp"

namespace stagesim {

// Why each rank idles where it does: one line per rank with its warm-up (forwards before its first
// backward), busy and idle time and the causes, then the limiting stage, the critical path from
// first to last op, and closed forms beside what the replay found. All times in ms.
std::vector<std::string> explain(const Run& run);

// The stage times of a timeline where all stages take equally long; nothing where they do not.
std::optional<EqualStages> equal_stages(const Timeline& timeline);

}  // namespace stagesim
