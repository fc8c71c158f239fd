#pragma once

#include "schedules/table.hpp"

namespace stagesim {

// One file each; the rows of the table.
ScheduleInfo gpipe_info();
ScheduleInfo one_f_one_b_info();
ScheduleInfo pipedream_info();
ScheduleInfo pipedream_2bw_info();
ScheduleInfo amdp_info();

// Shared by the schedules with one pipeline and stage r on rank r.
Schedule single_pipeline(std::string_view name, const ScheduleParams& params, VersionRule rule);
// 1F1B over the whole run without a flush, updates after the last backward of each window:
// PipeDream and PipeDream-2BW.
Schedule asynchronous_1f1b(std::string_view name, const ScheduleParams& params, VersionRule rule);
// Appends ops of micro-batches first..first+count-1: `warmup` forwards, then one forward and one
// backward in turn, then the rest. Every backward that completes a window of `window` is followed
// by an update.
void append_one_f_one_b(std::vector<Op>& ops, int rank, int warmup, int first, int count,
                        int window);

inline int batch_window(const ScheduleParams& params) { return params.batch; }

}  // namespace stagesim
