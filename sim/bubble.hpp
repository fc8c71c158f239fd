#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/timeline.hpp"

namespace stagesim {

// Why a rank does no work.
enum class IdleCause : std::uint8_t {
  kUpstreamForward,     // the previous stage had not produced the activation yet
  kDownstreamGradient,  // the next stage had not produced the gradient yet
  kTransfer,            // the message was on its way, or the rank was held by a blocking group
  kLinkShared,          // the message queued behind others on its link, or was slower for them
  kReduceBroadcast,     // in, or waiting for the partners of, a collective of the update
  kBarrier,             // waiting for all ranks before the optimizer step
  kMemoryCap,           // an in-flight limit held the op back
  kOther,               // its inputs were there; a replay of a fixed order has none
  kStartUp,             // before the rank's first op
  kDrain,               // after the rank's last op
};
inline constexpr std::size_t kIdleCauses = 10;
std::string_view text(IdleCause cause);

enum class IntervalKind : std::uint8_t {
  kWall,    // first start to last end over all ranks
  kSpan,    // the longest rank from its own first op to its last, laid over every rank
  kSteady,  // each rank's own [end of update `first`, end of update `last`]
};
std::string_view text(IntervalKind kind);

struct Interval {
  IntervalKind kind = IntervalKind::kWall;
  int first_window = 0, last_window = 0;  // kSteady only
};

struct RankIdle {
  Span interval;
  Nanos busy{};  // F, B, I, W and the optimizer step
  Nanos idle{};  // all the rest; always the sum of by_cause
  std::array<Nanos, kIdleCauses> by_cause{};
};

struct Bubble {
  Interval interval;
  std::vector<RankIdle> ranks{};
  double bubble = 0;      // sum of idle / sum of interval lengths: the share of GPU time lost
  double over_ideal = 0;  // sum of idle / sum of busy: the other number papers call bubble
};

// Every interval is cut to [first, last] as named; ops that straddle a border count with their part
// inside. Throws InputError if a steady interval names an update that some rank never makes.
Bubble bubble(const Timeline& timeline, const Interval& interval);

// ms over all ranks; a double, because the sum of many ranks may not fit 64 bits of nanoseconds.
std::array<double, kIdleCauses> idle_ms_by_cause(const Bubble& bubble);

// What each task waited for after its rank was free: the cause of the longest part of the gap and
// the whole gap's length. Zero length: it did not wait. Transfers: the time queued for the link.
struct Wait {
  IdleCause cause = IdleCause::kUpstreamForward;
  Nanos length{};
};
std::vector<Wait> waits(const Timeline& timeline);

}  // namespace stagesim
