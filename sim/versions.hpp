#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/timeline.hpp"

namespace stagesim {

// XPipe (arXiv 1911.04610), as its implementation in Vinsmoke86/AMDP does it: how many updates
// ahead the weights of a window are predicted on `rank`, once for its forwards and once for its
// backwards.
int predicted_ahead(const Shape& shape, int rank, bool forward);

// The one that says more of a mismatch or delay; predicted weights may make both negative.
int further_from_zero(int a, int b);

// Versions of one stage replica. mismatch = version(B) - version(F); delay = version the gradient
// is applied to - version(F). Statistics are over the micro-batches of windows first..last.
struct StageVersions {
  int pipeline = 0, stage = 0, rank = 0;
  int max_mismatch = 0, max_delay = 0;  // furthest from 0; below 0 only with predicted weights
  double mean_mismatch = 0, mismatched_share = 0;
  int copies = 1;  // most weight versions held at once, the current one included
};

struct Versions {
  std::vector<StageVersions> stages;  // by pipeline, then stage
  std::vector<std::int32_t>
      version;  // [task] F: read, B/I/W: used, update parts: applied to; -1 for others
  std::vector<std::int32_t> copies_of_rank;  // summed over the stage replicas a rank hosts
  std::vector<std::string> violations;       // where the run breaks the promise of its rule
};

// Counts the optimizer steps of each stage replica as they happened and applies the version rule of
// the timeline's shape. Windows outside [first_window, last_window] do not enter the statistics
// (start-up, drain); last_window < 0 means all.
Versions versions(const Timeline& timeline, int first_window = 0, int last_window = -1);

}  // namespace stagesim
