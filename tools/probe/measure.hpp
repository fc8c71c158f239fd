#pragma once

#include <functional>

#include "tools/device/device.hpp"

namespace stagesim {

// The median of rounds of many repetitions each, per repetition.
struct Measurement {
  double us = 0;
  double spread = 0;  // of the middle 80 % of the rounds, over the median
  int rounds = 0, repetitions = 0;
};

inline constexpr int kFewestRounds = 5, kMostRounds = 25;
inline constexpr double kStable = 0.02;

// Queues `work` over and over between two events, after one round that warms up. A round is as many
// repetitions as take 10 ms, 500 at most. Rounds go on until the spread is below kStable, or there
// are kMostRounds of them; both stand in the result.
Measurement measure(Device& device, StreamId stream, const std::function<void()>& work);

// Host time of queueing one empty kernel, the queue never full.
Measurement measure_issue(Device& device, StreamId stream);

// `work` while `beside` goes on on another stream, queued so that it outlasts it.
Measurement measure_beside(Device& device, StreamId stream, const std::function<void()>& work,
                           StreamId other, const std::function<void()>& beside,
                           double beside_alone_us);

}  // namespace stagesim
