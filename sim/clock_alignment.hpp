#pragma once

#include <vector>

#include "sim/timeline.hpp"

namespace stagesim {

// Ranks of different machines read different clocks. Where messages go both ways between two ranks,
// and the fastest of either direction takes as long, half the difference of these two times
// (arrival by the receiver's clock less start by the sender's) is how far the clocks are apart; F.
// Cristian, Probabilistic clock synchronization, 1989.
struct ClockAlignment {
  std::vector<Nanos> offset;  // [rank]: its clock less rank 0's; 0 where nothing tells
  std::vector<int> unknown;   // ranks that no messages in both directions join to rank 0
};
ClockAlignment clock_alignment(const Timeline& timeline);

// All times by the clock of rank 0, then moved so that none is negative. Of a message the start is
// by the sender's clock and the end by the receiver's.
Timeline aligned(const Timeline& timeline, const ClockAlignment& alignment);

// Messages that arrive before they are sent: the clocks are apart.
std::size_t messages_back_in_time(const Timeline& timeline);

}  // namespace stagesim
