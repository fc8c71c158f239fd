#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tools/probe/plan.hpp"

namespace stagesim {

inline constexpr int kProbeSchemaVersion = 1;

struct ProbeOptions {
  DeviceGroup* group = nullptr;  // of the plan's GPUs; none: nothing is measured together
  double budget_s = 120;         // nothing new is begun after this
  const std::atomic<bool>* interrupted = nullptr;
  std::string release;  // of this program
};

// Runs the plan and returns what `stagesim calibrate` reads: {"schema_version", "tool", "release",
// "device", "launch", "gemm": [...], "memory": [...], "attention": [...], "collectives": [...],
// "copies": [...], "overlap": [...], "allocator": [...], "left_out": [...]}. Each row has its time
// in us, the spread of its rounds, and how many rounds and repetitions there were. What did not run
// is in left_out, with the reason. No clock or power setting is touched.
nlohmann::ordered_json run_probe(Device& device, const ProbePlan& plan,
                                 const ProbeOptions& options);

}  // namespace stagesim
