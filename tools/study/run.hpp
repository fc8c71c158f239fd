#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/compare.hpp"
#include "tools/study/scenario.hpp"

namespace stagesim {

// One schedule replayed under a scenario, with all answers.
struct Run {
  ScheduleResult result;
  Timeline timeline;
  std::map<std::string, std::string> options;  // of the schedule, v settled
  Schedule order;                              // what ran; of an online rule the order it chose
  MemoryInputs memory;
  Costs costs;       // of the schedule's own stages, updates included: lower(order, costs) ran
  RunInputs inputs;  // what `result` was summarised with
  std::vector<std::string> assumptions;  // that only this schedule brings in
};

// Throws InputError when the schedule refuses the shape.
Run run_schedule(const Scenario& scenario, const ScheduleSpec& spec);

std::int64_t gpu_bytes(const Scenario& scenario);  // memory of its GPU, which must be there

// A schedule of a comparison: a run, or why it refused.
struct Attempt {
  ScheduleSpec spec;
  std::optional<Run> run;
  std::string refusal;
};
std::vector<Attempt> run_schedules(const Scenario& scenario,
                                   const std::vector<ScheduleSpec>& specs);

}  // namespace stagesim
