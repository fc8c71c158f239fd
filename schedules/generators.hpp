#pragma once

#include "schedules/table.hpp"

namespace stagesim {

// One file each; the rows of the table.
ScheduleInfo gpipe_info();
ScheduleInfo one_f_one_b_info();
ScheduleInfo eager_1f1b_info();
ScheduleInfo interleaved_1f1b_info();
ScheduleInfo looped_bfs_info();
ScheduleInfo zb_h1_info();
ScheduleInfo zb_h2_info();
ScheduleInfo zb1p_interleaved_info();
ScheduleInfo zb_v_info();
ScheduleInfo v_half_info();
ScheduleInfo v_min_info();
ScheduleInfo one_f_one_b_v_info();
ScheduleInfo dualpipe_info();
ScheduleInfo dualpipev_info();
ScheduleInfo chimera_info();
ScheduleInfo gems_info();
ScheduleInfo hanayo_info();
ScheduleInfo bitpipe_info();
ScheduleInfo pipedream_info();
ScheduleInfo pipedream_vsync_info();
ScheduleInfo pipedream_2bw_info();
ScheduleInfo xpipe_info();
ScheduleInfo paci_info();
ScheduleInfo amdp_info();
ScheduleInfo amdp_sync_info();
ScheduleInfo forward_only_info();

// 1F1B over the whole run without a flush, updates after the last backward of each window:
// PipeDream and PipeDream-2BW.
Schedule asynchronous_1f1b(std::string_view name, const ScheduleParams& params, VersionRule rule);
// 1F1B with a flush per window; rank r warms up with `per_hop` forwards for every rank after it.
Schedule flushed_1f1b(std::string_view name, const ScheduleParams& params, int per_hop);
// Appends ops of micro-batches first..first+count-1: `warmup` forwards, then one forward and one
// backward in turn, then the rest. Every backward that completes a window of `window` is followed
// by an update.
void append_one_f_one_b(std::vector<Op>& ops, int rank, int warmup, int first, int count,
                        int window);

// (m + p - 1)(F + B): GPipe, 1F1B and eager 1F1B alike.
std::vector<ClosedForm> fill_and_drain(const ScheduleParams& params, const EqualStages& t,
                                       std::string_view source);

// b (F + B), b micro-batches per step: 1F1B without a flush never idles once its pipe is full.
std::vector<ClosedForm> unflushed_step(const ScheduleParams& params, const EqualStages& t);

// F = I = W; 0 where they are not.
inline double equal_pass(const EqualStages& t) {
  return t.forward == t.input_grad && t.forward == t.weight_grad ? t.forward : 0;
}

// What 1F1B holds, with or without a flush: min(p - rank, micro-batches of the run).
int one_f_one_b_activations(const ScheduleParams& params, int rank);

// One of the two streams of micro-batches that cross a rank of DualPipe: a pipeline's stage and the
// first micro-batch.
struct DualStream {
  int pipeline = 0, stage = 0, first = 0;
};
// DualPipe's order of one rank, `position` hops from the start of a row of `length` ranks.
void append_dual_pipe(std::vector<Op>& ops, int length, int position, int microbatches,
                      const DualStream& own, const DualStream& other);

// AMDP's closed form: shape and order without updates. With `flush`, windows do not overlap.
Schedule amdp_plan(const ScheduleInfo& info, const ScheduleParams& params, int preload, bool flush);

// What one batch takes in steady state, and what a drained window takes.
std::vector<ClosedForm> amdp_step(const ScheduleParams& params, int preload, const EqualStages& t);
std::vector<ClosedForm> amdp_sync_wall(const ScheduleParams& params, int preload,
                                       const EqualStages& t);

inline int batch_window(const ScheduleParams& params) { return params.batch; }

}  // namespace stagesim
