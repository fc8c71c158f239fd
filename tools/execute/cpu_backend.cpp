#include "tools/execute/cpu_backend.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <thread>

#include "sim/base/error.hpp"
#include "tools/execute/matrix_work.hpp"
#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace stagesim {
namespace {

using Clock = std::chrono::steady_clock;

class CpuBackend : public Backend {
 public:
  CpuBackend(const Program& program, CpuWork work, Clock::time_point began)
      : program_(program),
        products_per_s_(work == CpuWork::kBlas ? matrix_products_per_second() : 0),
        times_(program.what->size()),
        link_free_(program.what->lanes.size(), Nanos::min()),
        link_mutex_(program.what->lanes.size()),
        began_(began) {
    STAGESIM_CHECK(!program.network.shared());
#ifdef PR_SET_TIMERSLACK
    // Else the kernel may wake a thread 50 us late: this one, and those of the ranks after it.
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
#endif
  }

  void begin_rank(int) override {}
  void finish_rank(int) override {}

  void compute(TaskId t, const std::vector<TaskId>& after) override {
    sleep_until(last_end(after));
    times_[t].start = now();
    work(times_[t].start, program_.duration[t]);
    // An op without a duration takes no time, not that of reading a clock twice.
    times_[t].end = program_.duration[t].count() > 0 ? now() : times_[t].start;
  }

  void transfer(TaskId t, const std::vector<TaskId>& after) override {
    const LaneId lane = program_.what->lane[t];
    const Nanos busy = program_.duration[t] - program_.what->lanes[lane].latency;
    const Nanos ready = std::max(now(), last_end(after));
    const std::lock_guard lock(link_mutex_[lane]);
    times_[t].start = std::max(ready, link_free_[lane]);
    times_[t].end = times_[t].start + program_.duration[t];
    link_free_[lane] = times_[t].start + busy;
  }

  void happened_elsewhere(TaskId t, Span span) override { times_[t] = span; }

  void stop() override { stopped_ = true; }

  Span measured(TaskId t) const override { return times_[t]; }

 private:
  Nanos now() const { return Clock::now() - began_; }

  Nanos last_end(const std::vector<TaskId>& tasks) const {
    Nanos last = Nanos::min();
    for (const TaskId t : tasks) last = std::max(last, times_[t].end);
    return last;
  }

  void work(Nanos start, Nanos duration) const {
    if (products_per_s_ == 0) return sleep_until(start + duration);
    multiply_matrices(std::llround(products_per_s_ * to_ms(duration) / 1e3), stopped_);
  }

  // In pieces, so that stop() is heard; the last tenth of a millisecond awake, because a sleeper
  // wakes up about that late.
  void sleep_until(Nanos end) const {
    constexpr Nanos kPiece{50'000'000}, kAwake{100'000};
    for (Nanos at = now(); at < end && !stopped_; at = now()) {
      if (end - at <= kAwake)
        std::this_thread::yield();
      else
        std::this_thread::sleep_until(began_ + std::min(end - kAwake, at + kPiece));
    }
  }

  const Program& program_;
  const double products_per_s_;  // 0: sleeps instead
  std::vector<Span> times_;      // [task]; read by others only after the dispatcher's lock
  std::vector<Nanos> link_free_;
  std::vector<std::mutex> link_mutex_;  // [lane]
  Clock::time_point began_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace

std::unique_ptr<Backend> cpu_backend(const Program& program, CpuWork work,
                                     Clock::time_point began) {
  return std::make_unique<CpuBackend>(program, work, began);
}

}  // namespace stagesim
