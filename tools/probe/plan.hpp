#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hwmodels/model.hpp"
#include "tools/device/device.hpp"
#include "tools/device/device_group.hpp"

namespace stagesim {

// One measurement of the plan. Which fields count depends on the part.
struct ProbeItem {
  std::string part;  // of probe_parts()
  Gemm gemm{};       // of attention: scores from queries and keys, `batch` heads
  MemoryKernel kernel = MemoryKernel::kAdd;
  CopyKind copy = CopyKind::kHostToDevice;
  std::int64_t bytes = 0;
  bool pooled = false;  // of the allocator
  GroupOp op = GroupOp::kSend;
  int gpus = 0;  // that take part in op; 0: none
};

// The parts in the order of their worth, should the time run out.
const std::vector<std::string>& probe_parts();

// A grid of matrix products in bf16, a few in tf32 and fp32, those of one layer and the head of
// `model` at its micro-batch; memory-bound kernels and copies over sizes; attention without a fused
// kernel; memory taken and given back; what `group_gpus` GPUs do together, and pairs side by side.
// What needs more than a third of the GPU's memory is left out.
struct ProbePlan {
  std::vector<ProbeItem> items;
  std::vector<std::string> left_out;  // what and why, a line each
};
ProbePlan probe_plan(const std::vector<std::string>& parts, const std::optional<Model>& model,
                     int micro, const DeviceInfo& device, int group_gpus);

}  // namespace stagesim
