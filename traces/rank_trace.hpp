#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace stagesim {

// What gave a range its times, best first.
enum class RangeClock : std::uint8_t {
  kKernels,      // first start to last end of the kernels launched in it, without send and receive
  kDeviceRange,  // the profiler's own range on the device (cat gpu_user_annotation)
  kHost,         // the range on the host: no device work was found
  kStated,       // the file itself says when the op ran
};

inline constexpr std::string_view kForwardStep = "forward_step", kBackwardStep = "backward_step";

// What a program ran of one micro-batch, by the name that it gave to it:
//   "2F0", "1RECV_F3"  PyTorch's pipeline runtime ("PP:2F0")
//   "forward_step"     a call of Megatron-LM's function, or "backward_step"
//   "F3.1.0"           NVTX ranges of sail-sg/zero-bubble-pipeline-parallelism: kind (F, B, W),
//                      micro-batch, chunk, part of a sequence
struct ProfiledRange {
  std::string token{};
  double start_us = 0, end_us = 0;
  RangeClock clock = RangeClock::kHost;
  // First start to last end of the send and receive kernels launched in it; end 0: there are none.
  double comm_start_us = 0, comm_end_us = 0;
};

// One rank's profile, times by that rank's clock.
struct RankTrace {
  std::string file{};
  std::optional<int> rank{};            // where the file says so
  std::vector<ProfiledRange> ranges{};  // by start on the host
  std::int64_t events = 0;
  std::int64_t zero_events = 0;  // time 0 and duration 0 (pytorch/kineto#109): left out
};

bool is_megatron_window(std::string_view token);

// "F3.1.0": kind letter, micro-batch, chunk; nothing for other tokens and other parts than 0.
struct ChunkToken {
  char kind = 'F';
  int microbatch = 0, chunk = 0;
};
std::optional<ChunkToken> parse_chunk_token(std::string_view token);

// Finds the device times of ranges of a host: a kernel belongs to the range in whose time it was
// launched, on any thread (backward kernels are launched by another one), by correlation id. Times
// in us.
class RangeMatcher {
 public:
  void add_range(std::string token, double start, double end);
  void add_device_range(const std::string& token, double start, double end);
  void add_launch(double at, std::int64_t correlation) { launches_.push_back({at, correlation}); }
  void add_kernel(std::int64_t correlation, double start, double end, std::string_view name);
  // Windows are dropped where there are actions, which say more.
  std::vector<ProfiledRange> matched();

 private:
  struct Launch {
    double at_us;
    std::int64_t correlation;
  };
  struct KernelSpan {
    double start_us, end_us;
    bool communicates;
  };
  bool take_kernels(ProfiledRange& range) const;

  std::vector<ProfiledRange> ranges_{};
  std::vector<Launch> launches_{};
  std::unordered_map<std::int64_t, KernelSpan> kernels_{};
  std::map<std::string, std::vector<std::pair<double, double>>> device_ranges_{};
};

}  // namespace stagesim
