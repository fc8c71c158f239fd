#include "sim/replay.hpp"

#include "sim/replay_loops.hpp"

namespace stagesim {
namespace {

std::string name(const Program& program, TaskId task) {
  const Activities& what = *program.what;
  const Lane& lane = what.lanes[what.lane[task]];
  const std::string cell = cell_text(what.op[task], what.shape.pipelines);
  if (lane.from_rank < 0) return cell;
  if (lane.from_rank == lane.to_rank) return fmt::format("{} on rank {}", cell, lane.from_rank);
  return fmt::format("{} from rank {} to {}", cell, lane.from_rank, lane.to_rank);
}

// Some tasks never became ready: each of them waits for another one of them, so a cycle exists.
[[noreturn]] void report_deadlock(const Program& program, const std::vector<std::uint32_t>& unmet,
                                  TaskId stuck) {
  std::vector<bool> done;
  for (const std::uint32_t n : unmet) done.push_back(n == 0);
  throw DeadlockError(fmt::format("deadlock: {} of {} tasks never became ready; {}", stuck,
                                  unmet.size(), waiting_text(program, unmet, done)));
}

// Every lane is a link of its own and serves one message at a time.
struct OwnLinks {
  static constexpr bool kShared = false;
};

}  // namespace

std::string waiting_text(const Program& program, const std::vector<std::uint32_t>& unmet,
                         const std::vector<bool>& done) {
  const TaskId tasks = program.what->size();
  std::vector<TaskId> waits_for(tasks, tasks);
  for (TaskId t = 0; t < tasks; ++t) {
    if (done[t]) continue;
    for (std::uint32_t i = program.first_next[t]; i < program.first_next[t + 1]; ++i) {
      TaskId& blocker = waits_for[program.next[i]];
      if (blocker == tasks) blocker = t;
    }
  }
  TaskId at = 0;
  while (at < tasks && unmet[at] == 0) ++at;
  if (at == tasks) return "every op has what it waits for";
  std::vector<bool> seen(tasks, false);
  while (!seen[at] && waits_for[at] < tasks) {
    seen[at] = true;
    at = waits_for[at];
  }
  if (!seen[at]) return fmt::format("{} has begun and not ended", name(program, at));
  const TaskId first = at;
  std::string text = name(program, at);
  constexpr int kShown = 40;
  int shown = 0;
  do {
    at = waits_for[at];
    if (++shown <= kShown) text += fmt::format(", which waits for {}", name(program, at));
  } while (at != first);
  if (shown > kShown) text += fmt::format(", … ({} more in the cycle)", shown - kShown);
  return text;
}

void replay_into(const Program& program, ReplayBuffers& b) {
  const TaskId tasks = program.what->size();
  b.start.resize(tasks);
  b.end.resize(tasks);
  b.unmet.assign(program.unmet.begin(), program.unmet.end());
  b.lane_free.assign(program.what->lanes.size(), Nanos{0});
  OwnLinks own;
  STAGESIM_CHECK(!program.network.shared() || !program.overlap_tax.any());
  const TaskId done = program.network.shared()    ? run_on_shared_links(program, b)
                      : program.overlap_tax.any() ? run_taxed(program, b)
                                                  : run(program, b, own);
  if (done != tasks) report_deadlock(program, b.unmet, tasks - done);
  for (const Program::Pair& pair : program.pairs) b.start[pair.backward] = b.start[pair.forward];
}

Timeline replay(const Program& program) {
  ReplayBuffers buffers;
  replay_into(program, buffers);
  return {program.what, std::move(buffers.start), std::move(buffers.end)};
}

}  // namespace stagesim
