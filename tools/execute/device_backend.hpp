#pragma once

#include <memory>

#include "tools/device/device.hpp"
#include "tools/execute/backend.hpp"

namespace stagesim {

enum class DeviceWork : std::uint8_t {
  kSpin,  // a kernel of one thread that watches the clock: ops of all ranks run side by side
  kGemm,  // fp32 matrix products, as many as take the op's time on the rank's share of the device
};

// The ranks of a program on one GPU. Each has a stream, with kGemm on its own share of the
// multiprocessors; a message occupies the stream of its link by spinning for as long as predicted,
// and its latency passes on another stream. Nothing waits on the host but for a rank that is
// kQueuedOps ahead of its device. Times are those of events around the work.
// Expects a program without a network (InternalError). With kGemm the time of one product is
// measured first, all ranks busy; InputError when an op is shorter than half of one.
std::unique_ptr<Backend> device_backend(const Program& program, Device& device, DeviceWork work);

inline constexpr int kQueuedOps = 8;

}  // namespace stagesim
