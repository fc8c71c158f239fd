#pragma once

#include "tools/study/run.hpp"

namespace stagesim {

// The run of a transformer whose layers per stage make this schedule's step fastest, among splits
// that fit the GPU's memory if any of those tried does (else the one that needs least). From the
// better of the balanced and the even split, one layer at a time moves between two stages while
// that helps, at most kMostSplits replays: a local search, so a faster split may exist. v: stages
// per rank.
inline constexpr int kMostSplits = 500;
Run fastest_run(const Scenario& scenario, const ScheduleSpec& spec, int v);

}  // namespace stagesim
