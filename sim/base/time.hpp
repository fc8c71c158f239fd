#pragma once

#include <chrono>

namespace stagesim {

// Starts, ends and durations are whole nanoseconds. Costs are rounded once, where they are made.
using Nanos = std::chrono::nanoseconds;

// Largest duration of a single op; lowering checks that the sum of a run fits 64 bits.
inline constexpr Nanos kLongestOp = std::chrono::hours(2);

constexpr double to_ms(Nanos t) { return static_cast<double>(t.count()) / 1e6; }

// Nearest nanosecond. Throws InternalError unless 0 <= ns <= kLongestOp: callers check user input
// first.
Nanos rounded_nanos(double ns);

}  // namespace stagesim
