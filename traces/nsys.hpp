#pragma once

#include <string>
#include <vector>

#include "traces/rank_trace.hpp"

namespace stagesim {

// Whether a file is an SQLite database, as `nsys export --type sqlite` writes it.
bool is_sqlite(const std::string& path);

// Reads such an export of Nsight Systems: NVTX ranges that name actions (PP:2F0, or F3.1.0 of
// sail-sg/zero-bubble-pipeline-parallelism) with the kernels launched in them. One trace for each
// process that has such ranges, by process id. Times are UTC where the export says when its session
// began, else since then. Tables are read row by row. Throws InputError with every problem found.
std::vector<RankTrace> read_nsys(const std::string& path);

}  // namespace stagesim
