#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "tools/processes/processes.hpp"
#include "tools/study/sweep_file.hpp"

namespace stagesim {

struct SweepRunOptions {
  int threads = 1;
  const std::atomic<bool>* cancelled = nullptr;        // stop soon; what is in the file stays
  std::function<void(std::uint64_t rows)> progress{};  // after each row
};

// Runs the rows that the file lacks, on threads, and appends them in order: the file is the same
// whatever the number of threads. Few rows are in memory at a time.
void run_sweep(const Sweep& sweep, SweepFile& file, const SweepRunOptions& options);

// The same over processes: process 0 hands out rows as others ask for them and writes; the others
// compute on threads and have no file (null).
void run_sweep(const Sweep& sweep, SweepFile* file, const SweepRunOptions& options,
               Processes& processes);

}  // namespace stagesim
