#pragma once

#include <string>

#include "sim/program.hpp"
#include "sim/timeline.hpp"

namespace stagesim {

// Start and end per task, and the loop's own scratch; keep one and replay again without allocation.
struct ReplayBuffers {
  std::vector<Nanos> start, end;
  std::vector<std::uint32_t> unmet;
  std::vector<Nanos> lane_free;
};

// The event loop. Runs every task once: it starts when all it waits for has ended and its lane is
// free; a link serves messages in the order they became ready, one at a time; ties go to the lower
// task id, so equal input gives equal bytes.
// Throws DeadlockError when some tasks can never start, with the cycle of who waits for whom.
void replay_into(const Program& program, ReplayBuffers& buffers);

Timeline replay(const Program& program);

// Of tasks that are not done: the cycle of who waits for whom, from the first one that is stuck; or
// the task that all of them wait for in the end. unmet: [task], what each still waits for.
std::string waiting_text(const Program& program, const std::vector<std::uint32_t>& unmet,
                         const std::vector<bool>& done);

}  // namespace stagesim
