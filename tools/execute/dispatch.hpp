#pragma once

#include <atomic>
#include <chrono>
#include <stdexcept>

#include "tools/execute/backend.hpp"
#include "tools/processes/processes.hpp"

namespace stagesim {

struct DispatchOptions {
  // A hang is this long without an op that ends, and the duration of the longest op on top.
  std::chrono::milliseconds watchdog{30'000};
  const std::atomic<bool>* cancelled = nullptr;  // set by a signal handler: stop, throw Cancelled
  // All of them call execute() with the same program, and each runs a part of the ranks. Process 0
  // watches, and it alone gets the times; the others get empty ones, and Cancelled when it stops.
  Processes* processes = nullptr;
};

// The watchdog's finding: who waits for whom, as a cycle where there is one.
struct HangError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Cancelled : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Runs a program of a fixed order (InternalError for any other) on a backend, one thread per rank,
// and returns what was measured, of the same type as a prediction. An exception of a backend stops
// all ranks and comes out of here.
Timeline execute(const Program& program, Backend& backend, const DispatchOptions& options = {});

}  // namespace stagesim
