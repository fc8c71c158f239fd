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
  Schedule online;          // of an online rule: the ops it chose from; else without ranks
  std::vector<int> layers;  // per stage, of a transformer; else empty
  MemoryInputs memory;
  Costs costs;       // of the schedule's own stages, updates included: lower(order, costs) ran
  RunInputs inputs;  // what `result` was summarised with
  std::vector<std::string> assumptions;  // that only this schedule brings in
};

// Throws InputError when the schedule refuses the shape.
Run run_schedule(const Scenario& scenario, const ScheduleSpec& spec);

std::int64_t gpu_bytes(const Scenario& scenario);  // memory of its GPU, which must be there

// What one number's error does alone: the step with it one error lower and one error higher.
struct FitShift {
  std::string what{};
  double error = 0;  // relative
  Nanos lower{}, higher{};
};

// How the step time spreads, see uncertainty.hpp.
struct Uncertainty {
  std::vector<Nanos> step{};       // [sample]; sample k of every schedule has the same draws
  std::vector<FitShift> shifts{};  // largest first
};

// A schedule of a comparison: a run, or why it refused.
struct Attempt {
  ScheduleSpec spec;
  std::optional<Run> run;
  std::string refusal;
  std::optional<Uncertainty> uncertainty{};  // where it was asked for
};
std::vector<Attempt> run_schedules(const Scenario& scenario,
                                   const std::vector<ScheduleSpec>& specs);

}  // namespace stagesim
