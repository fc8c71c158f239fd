#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hwmodels/model.hpp"
#include "tools/device/device.hpp"

namespace stagesim {

// One measurement of the plan. Which fields count depends on the part.
struct ProbeItem {
  std::string part;  // "launch", "gemm", "memory", "copies", "overlap"
  Gemm gemm{};
  MemoryKernel kernel = MemoryKernel::kAdd;
  CopyKind copy = CopyKind::kHostToDevice;
  std::int64_t bytes = 0;
};

// The parts in the order of their worth, should the time run out.
const std::vector<std::string>& probe_parts();

// A grid of matrix products in bf16, a few in tf32 and fp32, those of one layer and the head of
// `model` at its micro-batch; memory-bound kernels and copies over sizes; pairs side by side.
// `memory_gib`: of the GPU; what needs more than a third of it is left out.
struct ProbePlan {
  std::vector<ProbeItem> items;
  std::vector<std::string> left_out;  // what and why, a line each
};
ProbePlan probe_plan(const std::vector<std::string>& parts, const std::optional<Model>& model,
                     int micro, const DeviceInfo& device);

}  // namespace stagesim
