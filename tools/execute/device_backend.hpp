#pragma once

#include <memory>

#include "tools/device/device.hpp"
#include "tools/execute/backend.hpp"
#include "tools/execute/device_kernels.hpp"

namespace stagesim {

enum class DeviceWork : std::uint8_t {
  kSpin,   // a kernel of one thread that watches the clock: ops of all ranks run side by side
  kGemm,   // fp32 matrix products, as many as take the op's time on the rank's share of the device
  kModel,  // the kernels of the model's stages, on the rank's share of the device
};

// The ranks of a program on one GPU. Each has a stream, with kGemm and kModel on its own share
// of the multiprocessors; a message occupies the stream of its link by spinning for as long as
// predicted, and its latency passes on another stream. Nothing waits on the host but for a rank
// that is kQueuedOps ahead of its device. Times are those of events around the work. Expects a
// program without a network (InternalError). With kGemm the time of one product is measured first,
// all ranks busy; InputError when an op is shorter than half of one. kModel runs `stages` (kept by
// the caller), whatever the program's durations are: take them from timed_durations to predict it.
std::unique_ptr<Backend> device_backend(const Program& program, Device& device, DeviceWork work,
                                        const std::vector<StageWork>* stages = nullptr);

inline constexpr int kQueuedOps = 8;

}  // namespace stagesim
