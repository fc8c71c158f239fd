#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/bubble.hpp"
#include "sim/critical_path.hpp"
#include "sim/memory.hpp"
#include "sim/timeline.hpp"
#include "sim/versions.hpp"

namespace stagesim {

// What the questions about one run need beside its Timeline.
struct RunInputs {
  std::string name;                  // as the table shows it
  std::string family;                // the schedule's own name
  int batch = 0;                     // micro-batches per step
  int warm_windows = 0;              // windows before the steady interval; 0: the run is one step
  int measured_windows = 0;          // windows inside it
  double tokens_per_microbatch = 0;  // 0: not a language model
  double flops_per_microbatch = 0;   // model FLOPs, forward and backward, all stages; 0: unknown
  double peak_flops = 0;             // of one rank, per second
  bool memory_known = false;         // the bytes of the stages are real
  std::int64_t capacity = 0;         // bytes of one GPU; 0: unknown
  MemoryInputs memory{};             // weight_copies is filled in from the versions analysis
};

struct LimitingStage {
  int stage = 0, rank = 0;
  double busy_share = 0;  // of the interval that the rank computes
  double over_mean = 0;   // busy time of that rank over the mean of all ranks, minus 1
};

// All answers about one schedule.
struct ScheduleResult {
  std::string name, family;  // "amdp:preload=1", "amdp"
  Shape shape;
  int batch = 0;
  Nanos step_time{};  // of one batch
  Nanos wall{}, span{};
  double tokens_per_s = 0;
  double updates_per_batch = 1;
  std::optional<double> mfu;
  Bubble bubble;
  std::vector<RankMemory> memory;
  bool memory_known = false;
  Versions versions;
  CriticalPath critical_path;
  LimitingStage limiting;
  std::optional<bool> fits;
  std::vector<std::string> warnings;
};

// What the table calls the step.
Nanos step_time(const Timeline& timeline, const RunInputs& inputs);

// step_time: a run of one step takes the wall; otherwise the last end of update
// warm - 1 + measured minus that of update warm - 1, scaled from those windows to one batch (DESIGN
// "Step time, intervals, bubble").
ScheduleResult summarise(const Timeline& timeline, const RunInputs& inputs);

// Plain sentences about who is ahead and why: slowest stage, bubble, what it costs.
std::vector<std::string> verdict(const std::vector<ScheduleResult>& results);

}  // namespace stagesim
