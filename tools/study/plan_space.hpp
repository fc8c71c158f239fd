#pragma once

#include <string>
#include <vector>

#include "tools/study/plan.hpp"

// What a plan can choose from, and what no schedule can go below; for plan.cpp alone.
namespace stagesim {

// A choice but for the schedule, which all share its scenario.
struct PlanSetting {
  PlanChoice choice{};
  Scenario scenario{};
  double bound_ms = 0;   // per sample: its passes spread evenly over the ranks
  double bound_gib = 0;  // of the worst rank: the mean of weights and gradients
};

struct PlanSpace {
  ScenarioInput base;
  int nodes = 1, gpus_per_node = 1, global_batch = 1;
  bool flash = false;
  bool sequence_parallel_given = false;
};

// InputError when the scenario has no model, GPU or batch.global.
PlanSpace plan_space(const ScenarioInput& base);

// The scenario of a choice, without a schedule.
ScenarioInput input_of(const PlanSpace& space, const PlanChoice& choice);

// All settings on that many nodes that can be read; `refused` counts the others (batch, heads or
// layers that do not divide).
std::vector<PlanSetting> plan_settings(const PlanSpace& space, int nodes, std::size_t& refused);

// Those named, or all that train; with 2 and 4 stages per rank where one lets that be chosen.
std::vector<ScheduleSpec> plan_schedules(const std::vector<std::string>& names);

}  // namespace stagesim
