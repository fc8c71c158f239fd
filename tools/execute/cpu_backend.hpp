#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tools/execute/backend.hpp"

namespace stagesim {

// What a rank does for as long as an op takes.
enum class CpuWork : std::uint8_t {
  kSleep,  // so that more ranks than cores overlap as truly as if each had a device
  kBlas,   // double-precision matrix products: as many as take this long on an idle core
};

// Threads of this machine as ranks. A message occupies its link for its duration less the latency,
// behind those that took the link before, and arrives the latency later; its receiver sleeps until
// then. Nothing is shared between links: expects a program without a network (InternalError). Every
// time is read from the clock; what a thread wakes up late counts.
// Ranks may be threads of several processes: `began` is the same moment in all of them then
// (common_start), and what crosses between them is the times of messages, not their bytes.
// Throws InputError for kBlas in a build without a BLAS.
std::unique_ptr<Backend> cpu_backend(
    const Program& program, CpuWork work = CpuWork::kSleep,
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now());

}  // namespace stagesim
