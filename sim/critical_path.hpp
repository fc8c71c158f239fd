#pragma once

#include <array>
#include <vector>

#include "sim/timeline.hpp"

namespace stagesim {

// The chain of tasks that decides when the last one ends, latest first to earliest, and the time on
// it by kind. Time in `waiting` is on no task (a measured timeline may have it, a replay has none).
struct CriticalPath {
  std::vector<TaskId> tasks;  // in time order
  std::array<Nanos, kOpKinds> by_kind{};
  Nanos waiting{};
  Nanos length{};  // sum of by_kind and waiting: the wall time
};

CriticalPath critical_path(const Timeline& timeline);

}  // namespace stagesim
