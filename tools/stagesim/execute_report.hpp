#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "sim/timeline_errors.hpp"
#include "tools/study/run.hpp"

namespace stagesim {

// An op of a stage that a model's kernels do: by the GPU profile, and as timed before the run.
struct OpTime {
  OpKind kind = OpKind::kForward;
  int stage = 0;
  double profile_ms = 0, timed_ms = 0;
};

// One program, predicted once and run several times.
struct Execution {
  Timeline predicted;
  std::vector<Timeline> runs{};
  std::string backend, work;
  int processes = 1;
  double scale = 1;
  std::vector<OpTime> op_times{};  // of --work model

  // Of the walls in order, the lower of the two in the middle.
  const Timeline& median_run() const;
};

// Predicted beside measured, errors per kind of op, what differs in order and versions, as text or
// JSON. Whether nothing differs.
bool print_execution(std::ostream& out, const Scenario& scenario, const Run& run,
                     const Execution& execution, bool json);

// The ops of every rank in order and, for every link, the groups that its messages travel in.
void print_plan(std::ostream& out, const Program& program);

}  // namespace stagesim
