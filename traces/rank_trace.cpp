#include "traces/rank_trace.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <tuple>

namespace stagesim {

bool is_megatron_window(std::string_view token) {
  return token == kForwardStep || token == kBackwardStep;
}

std::optional<ChunkToken> parse_chunk_token(std::string_view token) {
  if (token.empty() || (token[0] != 'F' && token[0] != 'B' && token[0] != 'W')) return {};
  ChunkToken read{.kind = token[0]};
  int part = 0;
  const char* at = token.data() + 1;
  const char* const end = token.data() + token.size();
  for (int* number : {&read.microbatch, &read.chunk, &part}) {
    if (number != &read.microbatch && (at == end || *at++ != '.')) return {};
    const auto [next, error] = std::from_chars(at, end, *number);
    if (error != std::errc() || *number < 0) return {};
    at = next;
  }
  if (at != end || part != 0) return {};
  return read;
}

void RangeMatcher::add_range(std::string token, double start, double end) {
  ranges_.push_back({.token = std::move(token), .start_us = start, .end_us = end});
}

void RangeMatcher::add_device_range(const std::string& token, double start, double end) {
  device_ranges_[token].emplace_back(start, end);
}

void RangeMatcher::add_kernel(std::int64_t correlation, double start, double end,
                              std::string_view name) {
  const bool communicates = name.find("SendRecv") != std::string_view::npos;
  kernels_.emplace(correlation, KernelSpan{start, end, communicates});
}

std::vector<ProfiledRange> RangeMatcher::matched() {
  const auto window = [](const ProfiledRange& r) { return is_megatron_window(r.token); };
  if (!std::all_of(ranges_.begin(), ranges_.end(), window)) std::erase_if(ranges_, window);
  std::sort(launches_.begin(), launches_.end(),
            [](const Launch& a, const Launch& b) { return a.at_us < b.at_us; });
  std::stable_sort(
      ranges_.begin(), ranges_.end(),
      [](const ProfiledRange& a, const ProfiledRange& b) { return a.start_us < b.start_us; });
  std::map<std::string, std::size_t> seen;
  for (ProfiledRange& range : ranges_) {
    const std::size_t occurrence = seen[range.token]++;
    if (take_kernels(range)) continue;
    const auto device = device_ranges_.find(range.token);
    if (device == device_ranges_.end() || occurrence >= device->second.size()) continue;
    range.clock = RangeClock::kDeviceRange;
    std::tie(range.start_us, range.end_us) = device->second[occurrence];
  }
  return std::move(ranges_);
}

bool RangeMatcher::take_kernels(ProfiledRange& range) const {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  double start = kNone, end = 0, comm_start = kNone, comm_end = 0;
  auto launch = std::lower_bound(launches_.begin(), launches_.end(), range.start_us,
                                 [](const Launch& l, double at) { return l.at_us < at; });
  for (; launch != launches_.end() && launch->at_us < range.end_us; ++launch) {
    const auto kernel = kernels_.find(launch->correlation);
    if (kernel == kernels_.end()) continue;
    double& first = kernel->second.communicates ? comm_start : start;
    double& last = kernel->second.communicates ? comm_end : end;
    first = std::min(first, kernel->second.start_us);
    last = std::max(last, kernel->second.end_us);
  }
  if (comm_start < kNone) range.comm_start_us = comm_start, range.comm_end_us = comm_end;
  if (start == kNone) return false;
  range.clock = RangeClock::kKernels;
  range.start_us = start;
  range.end_us = end;
  return true;
}

}  // namespace stagesim
