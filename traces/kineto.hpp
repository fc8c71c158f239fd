#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/time.hpp"

namespace stagesim {

// What gave a range its times, best first.
enum class RangeClock : std::uint8_t {
  kKernels,      // first start to last end of the kernels launched in it, without send and receive
  kDeviceRange,  // the profiler's own range on the device (cat gpu_user_annotation)
  kHost,         // the range on the host: no device work was found
};

inline constexpr std::string_view kForwardStep = "forward_step", kBackwardStep = "backward_step";

// A range that PyTorch's pipeline runtime names after its action: "PP:2F0" is token "2F0"; or a
// call of Megatron-LM's forward_step or backward_step, one for each micro-batch and model chunk.
struct ProfiledRange {
  std::string token{};
  double start_us = 0, end_us = 0;
  RangeClock clock = RangeClock::kHost;
  // First start to last end of the send and receive kernels launched in it; end 0: there are none.
  double comm_start_us = 0, comm_end_us = 0;
};

// One rank's trace of the PyTorch profiler (Kineto), times by that rank's clock.
struct KinetoTrace {
  std::string file{};
  std::optional<int> rank{};            // distributedInfo.rank
  std::vector<ProfiledRange> ranges{};  // by start on the host
  std::int64_t events = 0;
  std::int64_t zero_events = 0;  // time 0 and duration 0 (pytorch/kineto#109): left out
};

bool is_megatron_window(const std::string& token);

// Reads the JSON of a trace as it comes; a gigabyte of it is never in memory. Kernels belong to the
// range in whose time they were launched, on any thread, by args.correlation: backward kernels are
// launched by another thread. Throws InputError for what is not such a trace, is cut off, or has no
// such range; every complete event that lacks ts or dur is a problem with its name.
KinetoTrace read_kineto(std::istream& in, const std::string& file);

}  // namespace stagesim
