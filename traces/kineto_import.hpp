#pragma once

#include <optional>
#include <string>
#include <vector>

#include "traces/kineto.hpp"
#include "traces/timeline_json.hpp"

namespace stagesim {

struct KinetoImport {
  TimelineFile file{};               // as `ran`, with the order and the times of the traces
  std::vector<std::string> notes{};  // what was repaired, left out or not measured
};

// Sets the traces of all ranks beside the run that they are of. An action that occurs n times was
// run in n steps: all windows of `ran` in turn, or one of them (`step` from 1; without it the
// last).
//   ops      times as ProfiledRange has them, the earliest start is 0; where two ops of a rank
//            overlap, the later one begins when the earlier one ends
//   windows  Megatron-LM's do not say of which micro-batch they are: the k-th call of a step is the
//            k-th F (or B) of the rank's order in `ran`
//   order    by start; updates follow the last gradient of their window and take no time, because
//            no action stands for them
//   messages of a matched pair of send and receive kernels the shorter, ending with the later: the
//            other one waited in it (sail-sg/zero-bubble-pipeline-parallelism#25). Without such
//            kernels they take no time at the producer's end.
// Throws InputError with every problem: ranks that are missing or there twice, actions that `ran`
// does not have or that are missing, steps of unequal content.
KinetoImport import_kineto(const std::vector<RankTrace>& traces, const TimelineFile& ran,
                           std::optional<int> step = {});

}  // namespace stagesim
