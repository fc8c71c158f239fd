#pragma once

#include <vector>

#include "sim/base/error.hpp"
#include "sim/timeline.hpp"

namespace stagesim {

// What the dispatcher needs of the devices. It walks the compute lane of every rank of a lowered
// Program on a thread of that rank, and calls each task once, when everything that it waits for has
// been called before; `after` names those tasks (the participants of a collective in place of their
// join). A call may block until the work is done (cpu) or queue it behind the work of `after` and
// return at once (cuda).
class Backend {
 public:
  virtual ~Backend() = default;

  // On the rank's own thread, before its first task and after its last; the latter returns when all
  // that the rank queued is done.
  virtual void begin_rank(int rank) = 0;
  virtual void finish_rank(int rank) = 0;
  // An op of a rank's compute lane: F, B, I, W, an overlapped pair (its forward does both), the
  // optimizer step, the rank's part of a reduction or broadcast.
  virtual void compute(TaskId task, const std::vector<TaskId>& after) = 0;
  // A message, on the thread of whichever rank made it possible.
  virtual void transfer(TaskId task, const std::vector<TaskId>& after) = 0;
  // A task of a rank of another process, before anything here that waits for it.
  virtual void happened_elsewhere(TaskId, Span) {
    throw InternalError("this backend runs in one process");
  }
  // From another thread: whatever blocks in one of the calls above returns soon.
  virtual void stop() = 0;
  // After all ranks have finished, or with other processes right after the call: [task] of the
  // program, since the first of all starts. Of joins nothing is asked.
  virtual Span measured(TaskId task) const = 0;
};

}  // namespace stagesim
