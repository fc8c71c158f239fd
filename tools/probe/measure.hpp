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

// Host time of one call of `work`, of `repetitions` in a row, as queueing an empty kernel takes.
Measurement measure_host(Device& device, int repetitions, const std::function<void()>& work);
inline constexpr int kMostRepetitions = 500;  // a stream takes about a thousand before it blocks

// The same of something that times itself: `time_us(repetitions)` is what one of them takes.
Measurement measure_timed(const std::function<double(int)>& time_us);

// `work` while something else goes on: `queue_beside` is called until what it queues outlasts the
// work, `finish_beside` after each round.
Measurement measure_beside(Device& device, StreamId stream, const std::function<void()>& work,
                           const std::function<void()>& queue_beside,
                           const std::function<void()>& finish_beside, double beside_alone_us);

}  // namespace stagesim
