#pragma once

#include "sim/compare.hpp"

namespace stagesim {

// What a row of a table says of all ranks and stages.
struct ResultSummary {
  std::size_t worst_rank = 0;  // of the highest peak of memory
  double peak_memory_gib = 0;  // its peak
  // In shares of 1/p of the model, so that schedules with different v compare: most micro-batches
  // held at once, most weight versions.
  double peak_activations = 0, weight_copies = 0;
  int max_mismatch = 0, max_delay = 0;  // furthest from 0
  double mismatched_share = 0;          // of (stage, micro-batch) pairs
};
ResultSummary summary_of(const ScheduleResult& result);

}  // namespace stagesim
