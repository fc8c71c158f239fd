#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "sim/timeline.hpp"
#include "tools/processes/processes.hpp"

namespace stagesim {

// What a process tells others of its ranks.
struct Notice {
  enum class Kind : std::int64_t { kCalled, kFailed, kDone, kStop } kind = Kind::kCalled;
  TaskId task = 0;
  Span span{};         // of kCalled
  std::string text{};  // of kFailed
};

// Which process runs what of a program, and the notices between them. Ranks are dealt out in
// blocks; a message belongs to the process of its sender. Process 0 hears of everything.
class Notices {
 public:
  // Without processes everything is here. InputError where there are more of them than ranks.
  Notices(const Program& program, const std::vector<std::vector<TaskId>>& before,
          Processes* processes);

  bool alone() const { return processes_ == nullptr; }
  bool first() const { return alone() || processes_->rank() == 0; }
  bool is_here(int rank) const { return alone() || process_of(rank) == processes_->rank(); }
  bool runs_here(TaskId task) const { return alone() || owner_[task] == processes_->rank(); }

  // From any thread: to those whose tasks wait for this one.
  void called(TaskId task, Span span);
  void to_all(Notice::Kind kind);
  void failed(std::string text);

  // One thread only.
  void deliver();
  std::optional<Notice> next();

 private:
  int process_of(int rank) const;
  void post(int to, const Notice& notice);

  const Program& program_;
  Processes* processes_;
  std::vector<int> owner_;                    // [task] process
  std::vector<std::vector<int>> interested_;  // [task] other processes
  std::mutex mutex_;
  std::deque<std::pair<int, std::string>> outgoing_;
};

// The same moment for all processes, by the clock of each. On different machines it is off by up to
// half of the fastest answer of process 0. All call it; no notice may be under way.
std::chrono::steady_clock::time_point common_start(Processes& processes);

}  // namespace stagesim
