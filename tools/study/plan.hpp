#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "tools/study/result_summary.hpp"
#include "tools/study/scenario_input.hpp"

namespace stagesim {

enum class PlanObjective : std::uint8_t {
  kTime,    // the least time per sample
  kMemory,  // the lowest peak of the worst rank, then time
  kGpus,    // the fewest nodes whose best step meets the deadline, then time
};

struct PlanOptions {
  PlanObjective objective = PlanObjective::kTime;
  int most_mismatch = -1;              // further from 0 is left out; -1: any
  double deadline_ms = 0;              // of a step; kGpus
  double headroom = 0;                 // share of the GPU's memory that a plan leaves free
  std::vector<std::string> schedules;  // names; empty: all that train
  bool prune = true;                   // leave out what a lower bound shows to be no better
  int threads = 1;
  const std::atomic<bool>* cancelled = nullptr;
};

// Where the scenario's GPUs and global batch go. data x pipeline x tensor (x the scenario's context
// split) are all GPUs.
struct PlanChoice {
  int nodes = 1, pipeline = 1, tensor = 1, micro = 1;
  std::string recompute{}, partition{};
  ScheduleSpec schedule{};
  std::string text() const;
};

struct Plan {
  PlanChoice choice{};
  ScenarioInput input{};      // the scenario of that choice
  std::vector<int> layers{};  // [stage]
  int gpus = 0, data = 1;
  double step_ms = 0, ms_per_sample = 0, bubble = 0, mfu = 0, capacity_gib = 0;
  ResultSummary summary{};
};

struct PlanResult {
  std::vector<Plan> best{};                      // of each schedule that has one, best first
  std::map<std::string, std::string> without{};  // [schedule] why it has none
  std::size_t choices = 0, replayed = 0, pruned = 0, refused = 0, too_large = 0;
  std::vector<std::string> notes{};
};

// Searches pipeline x tensor x data x micro-batch x recompute x layer split x schedule (with 2 and
// 4 stages per rank where it lets one choose) for what fits the GPU. The space: divisors of the
// GPUs (tensor within a node), micro-batches of 1 to 16 samples, recompute none and full, selective
// without flash attention, layers even and balanced; sequence parallel with a tensor split, unless
// the scenario says otherwise.
// Lower bounds: a step takes no less than its micro-batches' passes spread evenly over the ranks; a
// rank holds no less than the mean of weights and gradients. A choice is left out when its bound is
// worse than the best found for its schedule, so every schedule's best is that of all choices, and
// the same for any number of threads.
// Throws InputError when the scenario has no model, GPU or batch.global.
PlanResult plan(const ScenarioInput& base, const PlanOptions& options);

// Flags of Megatron-LM for a plan, those of the model aside; "" where it does not have the
// schedule.
std::string megatron_flags_of(const Plan& plan);

}  // namespace stagesim
