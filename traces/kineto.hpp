#pragma once

#include <istream>
#include <string>
#include <vector>

#include "traces/rank_trace.hpp"

namespace stagesim {

// Reads a trace in JSON as it comes; a gigabyte of it is never in memory. It is one rank's trace of
// the PyTorch profiler (Kineto), or all ranks of NVIDIA's virtual pipeline simulator: its Chrome
// trace (NVIDIA/Megatron-LM#2659: events "F(mb3,mc1)", tid the pipeline rank) or its list of tasks
// (vpp_tasks.hpp). Throws InputError for what is no such trace, is cut off, or has no range that
// names an op; every complete event that lacks ts or dur is a problem with its name.
std::vector<RankTrace> read_kineto(std::istream& in, const std::string& file);

}  // namespace stagesim
