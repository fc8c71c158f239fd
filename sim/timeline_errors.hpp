#pragma once

#include <string>
#include <vector>

#include "sim/timeline.hpp"

namespace stagesim {

// Durations of one kind of op: predicted over measured, minus 1; above 0 the prediction is too
// slow.
struct KindErrors {
  OpKind kind = OpKind::kForward;
  std::size_t ops = 0;  // that take time in the prediction
  double median = 0;    // signed
  double p90 = 0;       // of the absolute errors, the nearest rank
  double worst = 0;     // signed, of `worst_task`
  TaskId worst_task = 0;
};

// What a prediction and a measurement of the same tasks say differently. Both timelines hold the
// same activities (InternalError otherwise). Kinds in the order of OpKind, only those that occur.
struct TimelineErrors {
  std::vector<KindErrors> kinds;
  double step = 0;                       // predicted over measured wall, minus 1
  std::vector<std::string> differences;  // order and versions; a line per rank or stage
};
TimelineErrors timeline_errors(const Timeline& predicted, const Timeline& measured);

}  // namespace stagesim
