#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "sim/costs.hpp"
#include "sim/program.hpp"
#include "sim/schedule.hpp"
#include "sim/timeline.hpp"

namespace stagesim {

inline constexpr int kTimelineVersion = 1;

// A timeline with what it is of, as a file.
struct TimelineFile {
  std::string name{};      // of the scenario
  std::string schedule{};  // "amdp:preload=1"
  std::string made_by{};   // "replay", or "execute" with backend and work
  std::string scenario{};  // its JSON
  double scale = 1;        // all times of the scenario times this
  int batch = 0, warm_windows = 0, measured_windows = 0;  // as RunInputs
  CommMode comm = CommMode::kOverlapped;
  bool barrier = false;
  std::vector<int> reduced_stages{};  // whose gradients are reduced, beside those with replicas
  Schedule order{};                   // of a fixed order
  Timeline timeline{};                // of lower(order, ...)
};

// The tasks of the file's order and what they wait for, without durations. `order` must pass the
// rule check.
Program program_of(const TimelineFile& file);

// {"stagesim_timeline": 1, "name", ..., "order": [lines of schedule_text], "ops": [[cell, rank,
// start, end], ...], "messages": [[cell, from, to, start, end], ...]}; times are whole nanoseconds.
// A message starts by the clock of its sender and ends by that of its receiver.
void write_timeline(std::ostream& out, const TimelineFile& file);

// Throws InputError with every problem of the file: the order must pass the rule check, and each of
// its ops and messages must be there once; an op ends no earlier than it starts, and the next one
// of its rank starts no earlier than that.
TimelineFile read_timeline(std::string_view text, const std::string& file);

}  // namespace stagesim
