#pragma once

#include "tests/support/runs.hpp"
#include "traces/timeline_json.hpp"

namespace stagesim::test {

// A run that traces are of, without times.
inline TimelineFile ran(const Wanted& wanted) {
  TimelineFile file{.name = "test", .schedule = wanted.schedule, .scenario = "{}"};
  file.order = make(wanted);
  file.batch = wanted.batch;
  return file;
}

}  // namespace stagesim::test
