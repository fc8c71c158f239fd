#pragma once

#include <string>
#include <vector>

#include "sim/compare.hpp"
#include "sim/timeline_errors.hpp"

namespace stagesim {

// A prediction and a measurement of the same program.
struct Comparison {
  ScheduleResult predicted, measured;
  TimelineErrors errors;
  std::vector<std::string> differences{};  // order, weight versions, most activations held
  // On the measured critical path: the kind of op and the rank (a message: its sender) whose
  // predicted times differ most in sum, and by how much; ms, predicted less measured.
  std::string largest_part{};
  double largest_part_ms = 0;
};
Comparison compare_timelines(const Timeline& predicted, const Timeline& measured,
                             const RunInputs& inputs);

// Predicted over measured, minus 1; 0 where nothing was measured.
double relative_error(double predicted, double measured);

// "3B7 on rank 3", "2SEND_F1 from rank 2 to 3"
std::string place_text(const Timeline& timeline, TaskId task);

// Schedules by step time, fastest first: "" if prediction and measurement agree, else both orders
// in words; and Kendall's rank correlation of the two.
struct Ranking {
  std::string difference{};
  double correlation = 1;
};
Ranking rank_schedules(const std::vector<std::string>& names, const std::vector<double>& predicted,
                       const std::vector<double>& measured);

}  // namespace stagesim
