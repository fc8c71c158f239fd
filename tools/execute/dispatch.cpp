#include "tools/execute/dispatch.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "sim/base/error.hpp"
#include "sim/replay.hpp"
#include "tools/execute/notices.hpp"

namespace stagesim {
namespace {

using Clock = std::chrono::steady_clock;

// What each task waits for, without joins: their participants instead.
std::vector<std::vector<TaskId>> tasks_before(const Program& program) {
  const Activities& what = *program.what;
  std::vector<std::vector<TaskId>> direct(what.size());
  for (TaskId t = 0; t < what.size(); ++t) {
    for (std::uint32_t i = program.first_next[t]; i < program.first_next[t + 1]; ++i)
      direct[program.next[i]].push_back(t);
  }
  std::vector<std::vector<TaskId>> before(what.size());
  for (TaskId t = 0; t < what.size(); ++t) {
    for (const TaskId p : direct[t]) {
      if (what.op[p].kind == OpKind::kJoin)
        before[t].insert(before[t].end(), direct[p].begin(), direct[p].end());
      else
        before[t].push_back(p);
    }
  }
  return before;
}

struct Stopped {};

// How often the watcher looks at the ranks, and listens to other processes.
constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::microseconds kListen{50};

class Dispatcher {
 public:
  Dispatcher(const Program& program, Backend& backend, Processes* processes)
      : program_(program),
        backend_(backend),
        ranks_(program.what->shape.ranks),
        before_(tasks_before(program)),
        notices_(program, before_, processes),
        unmet_(program.unmet),
        called_(program.what->size(), false),
        wake_(static_cast<std::size_t>(ranks_)) {}

  void run(const DispatchOptions& options) {
    start_what_waits_for_nothing();
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks_; ++r) {
      if (!notices_.is_here(r)) continue;
      ++running_;
      threads.emplace_back([this, r] { run_rank(r); });
    }
    std::exception_ptr verdict;
    try {
      verdict = watch(options);
    } catch (...) {
      verdict = std::current_exception();
      stop_ranks();
    }
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    if (verdict) std::rethrow_exception(verdict);
  }

 private:
  bool on_a_rank(TaskId t) const { return program_.what->lane[t] < static_cast<LaneId>(ranks_); }

  // Joins, which every process sees to for itself, and the messages of the ranks that are here.
  bool comes_by_itself(TaskId t) const {
    return !on_a_rank(t) && (program_.what->op[t].kind == OpKind::kJoin || notices_.runs_here(t));
  }

  void start_what_waits_for_nothing() {
    for (TaskId t = 0; t < program_.what->size(); ++t) {
      if (program_.unmet[t] == 0 && comes_by_itself(t)) called(t);
    }
  }

  void run_rank(int rank) {
    try {
      backend_.begin_rank(rank);
      const Activities& what = *program_.what;
      const auto r = static_cast<std::size_t>(rank);
      for (TaskId t = what.first_of_rank[r]; t < what.first_of_rank[r + 1]; ++t) {
        if (!on_a_rank(t)) continue;
        wait_for_turn(t, r);
        backend_.compute(t, before_[t]);
        called(t);
      }
      backend_.finish_rank(rank);
    } catch (const Stopped&) {
    } catch (const std::exception& error) {
      notices_.failed(error.what());
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    ++finished_;
    ++progress_;
    watcher_.notify_one();
  }

  void wait_for_turn(TaskId t, std::size_t rank) {
    std::unique_lock lock(mutex_);
    wake_[rank].wait(lock, [&] { return unmet_[t] == 0 || stopped_; });
    if (stopped_) throw Stopped();
  }

  // Everything that t made possible and that no rank calls by itself is called here.
  void called(TaskId t) {
    std::vector<TaskId> todo{t};
    while (!todo.empty()) {
      const TaskId now = todo.back();
      todo.pop_back();
      const OpKind kind = program_.what->op[now].kind;
      if (is_transfer(kind) && notices_.runs_here(now)) backend_.transfer(now, before_[now]);
      if (!notices_.alone() && notices_.runs_here(now) && kind != OpKind::kJoin) {
        notices_.called(now, backend_.measured(now));
        watcher_.notify_one();
      }
      const std::lock_guard lock(mutex_);
      if (stopped_) throw Stopped();
      called_[now] = true;
      ++called_count_;
      ++progress_;
      for (std::uint32_t i = program_.first_next[now]; i < program_.first_next[now + 1]; ++i) {
        const TaskId next = program_.next[i];
        if (--unmet_[next] > 0) continue;
        if (on_a_rank(next))
          wake_[program_.what->lane[next]].notify_one();
        else if (comes_by_itself(next))
          todo.push_back(next);
      }
    }
  }

  // Of other processes; what they say of the end of the run, if anything.
  std::exception_ptr read_notices() {
    notices_.deliver();
    while (const std::optional<Notice> notice = notices_.next()) {
      switch (notice->kind) {
        case Notice::Kind::kCalled:
          backend_.happened_elsewhere(notice->task, notice->span);
          called(notice->task);
          break;
        case Notice::Kind::kFailed:
          return std::make_exception_ptr(InputError(notice->text));
        case Notice::Kind::kStop:
          return std::make_exception_ptr(Cancelled("stopped by process 0"));
        case Notice::Kind::kDone:
          told_done_ = true;
          return nullptr;  // what follows belongs to the next run
      }
    }
    return nullptr;
  }

  bool all_done() const {
    return finished_ == running_ &&
           (notices_.alone() ||
            (notices_.first() ? called_count_ == program_.what->size() : told_done_));
  }

  // Until all ranks have finished, one failed, or nothing happens any more: then why.
  std::exception_ptr watch(const DispatchOptions& options) {
    std::unique_lock lock(mutex_);
    std::size_t seen = progress_;
    Clock::time_point since = Clock::now();
    std::exception_ptr verdict;
    const auto look =
        notices_.alone() ? std::min<Clock::duration>(options.watchdog, kLook) : kListen;
    while (!all_done() && !failure_ && !verdict) {
      watcher_.wait_for(lock, look);
      lock.unlock();
      verdict = read_notices();
      lock.lock();
      if (!notices_.first()) continue;
      if (progress_ != seen) {
        seen = progress_;
        since = Clock::now();
      }
      if (options.cancelled != nullptr && *options.cancelled) {
        verdict = std::make_exception_ptr(Cancelled("cancelled"));
      } else if (!verdict && Clock::now() - since >= options.watchdog) {
        verdict = std::make_exception_ptr(HangError(fmt::format(
            "no op ended for {:g} s; {}", static_cast<double>(options.watchdog.count()) / 1e3,
            waiting_text(program_, unmet_, called_))));
      }
    }
    stopped_ = !all_done();
    if (notices_.first()) notices_.to_all(stopped_ ? Notice::Kind::kStop : Notice::Kind::kDone);
    notices_.deliver();
    if (!stopped_) return nullptr;
    lock.unlock();
    stop_ranks();
    return verdict;
  }

  void stop_ranks() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    backend_.stop();
    for (std::condition_variable& wake : wake_) wake.notify_all();
  }

  const Program& program_;
  Backend& backend_;
  const int ranks_;
  const std::vector<std::vector<TaskId>> before_;
  Notices notices_;
  bool told_done_ = false;
  std::mutex mutex_;  // of everything below
  std::vector<std::uint32_t> unmet_;
  std::vector<bool> called_;
  std::vector<std::condition_variable> wake_;  // [rank]
  std::condition_variable watcher_;
  std::size_t progress_ = 0;
  TaskId called_count_ = 0;
  int running_ = 0, finished_ = 0;
  bool stopped_ = false;
  std::exception_ptr failure_;
};

}  // namespace

Timeline execute(const Program& program, Backend& backend, const DispatchOptions& options) {
  STAGESIM_CHECK(program.dispatch == Dispatch::kFixed);
  DispatchOptions patient = options;
  for (const Nanos duration : program.duration)
    patient.watchdog =
        std::max(patient.watchdog,
                 options.watchdog + std::chrono::ceil<std::chrono::milliseconds>(duration));
  Dispatcher(program, backend, options.processes).run(patient);
  const Activities& what = *program.what;
  if (options.processes != nullptr && options.processes->rank() > 0) return {program.what, {}, {}};
  Timeline timeline{program.what, std::vector<Nanos>(what.size()), std::vector<Nanos>(what.size())};
  for (TaskId t = 0; t < what.size(); ++t) {
    if (what.op[t].kind == OpKind::kJoin) continue;
    const Span span = backend.measured(t);
    timeline.start[t] = span.start;
    timeline.end[t] = span.end;
  }
  for (const Program::Pair& pair : program.pairs)
    timeline.start[pair.backward] = timeline.start[pair.forward];
  place_joins(program, timeline);
  return timeline;
}

}  // namespace stagesim
