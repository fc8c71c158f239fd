#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "hwmodels/stage_kernels.hpp"
#include "sim/timeline.hpp"
#include "tools/device/device.hpp"

namespace stagesim {

// One kernel of a device: a product (gemm.m > 0), or bytes moved.
struct DeviceKernel {
  Gemm gemm{};
  MemoryKernel kernel = MemoryKernel::kAdd;
  std::int64_t bytes = 0;
};
using DeviceKernels = std::vector<DeviceKernel>;

// Products in their true sizes; what else has FLOPs (fused attention, grouped experts) as one
// product of as many FLOPs; softmax and Adam as such, all other passes over memory as additions
// that move as many bytes.
DeviceKernels device_kernels(const Kernels& kernels, DType dtype);

struct StageWork {
  DeviceKernels forward, input_grad, weight_grad, step;
};
std::vector<StageWork> stage_work(const std::vector<StageKernels>& stages, DType dtype);

// What the op of a task runs: of a full backward both gradients, of a pair's forward also its
// partner's; null for what is not a model's own work (reductions, broadcasts).
class OpKernels {
 public:
  OpKernels(const Program& program, const std::vector<StageWork>& stages);
  std::vector<const DeviceKernels*> of(TaskId task) const;
  void issue(Device& device, StreamId stream, TaskId task) const;
  // Equal for tasks of equal work: kind, stage, and the stage of a pair's backward or -1.
  using Work = std::tuple<OpKind, int, int>;
  Work work_of(TaskId task) const;
  bool has(TaskId task) const { return program_.duration[task].count() > 0 && !of(task).empty(); }

 private:
  const Program& program_;
  const std::vector<StageWork>& stages_;
  std::map<TaskId, TaskId> partner_;  // [forward of a pair]
};

// What every task's op takes on its rank's share of the device, while all ranks work: each rank
// runs its different ops in turn, several rounds, and the median of each counts. Tasks that are no
// model's own work keep their time. To be predicted with before they are executed.
std::vector<Nanos> timed_durations(const Program& program, const std::vector<StageWork>& stages,
                                   Device& device);

}  // namespace stagesim
