#include "tools/study/sweep_run.hpp"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_pipeline.h>

#include <exception>
#include <map>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

std::string line_of(const Sweep& sweep, std::uint64_t row) { return sweep_row(sweep, row).dump(); }

bool is_cancelled(const SweepRunOptions& options) {
  return options.cancelled != nullptr && *options.cancelled;
}

void append(SweepFile& file, const std::string& line, const SweepRunOptions& options) {
  file.append(line);
  if (options.progress) options.progress(file.rows());
}

// A message from process 0 is the first row and the number of rows, "8 16"; without rows, the end.
// The answer is the first row and the lines, one for each.
std::string assignment(std::uint64_t first, std::uint64_t count) {
  return std::to_string(first) + " " + std::to_string(count);
}

constexpr std::chrono::microseconds kPause{200};

void compute_for(Processes& processes, const Sweep& sweep) {
  for (;;) {
    const std::string text = wait_for_message(processes, kPause).text;
    std::size_t used = 0;
    const std::uint64_t first = std::stoull(text, &used), count = std::stoull(text.substr(used));
    if (count == 0) return;
    std::vector<std::string> lines(count);
    tbb::parallel_for(std::uint64_t{0}, count,
                      [&](std::uint64_t i) { lines[i] = line_of(sweep, first + i); });
    std::string answer = std::to_string(first);
    for (const std::string& line : lines) answer += "\n" + line;
    processes.send(0, std::move(answer));
  }
}

// Rows are handed out in chunks; a fast process gets more of them. Not further ahead of what is
// written than a bound, so that one slow row does not pile up the others.
class Dealer {
 public:
  Dealer(const Sweep& sweep, SweepFile& file, const SweepRunOptions& options, Processes& processes)
      : rows_(sweep.rows()),
        file_(file),
        options_(options),
        processes_(processes),
        next_(file.rows()) {}

  void run() {
    const int workers = processes_.count() - 1;
    for (int turn = 0; turn < 2; ++turn)  // one to compute, one to begin with at once
      for (int p = 1; p <= workers; ++p) idle_.push_back(p);
    for (;;) {
      while (!idle_.empty() && next_ < end() && next_ < file_.rows() + kAhead) deal();
      if (under_way_ == 0) break;
      take(wait_for_message(processes_, kPause));
    }
    for (int p = 1; p <= workers; ++p) processes_.send(p, assignment(0, 0));
  }

 private:
  static constexpr std::uint64_t kChunk = 16, kAhead = 4096;

  std::uint64_t end() const { return is_cancelled(options_) ? next_ : rows_; }

  void deal() {
    const std::uint64_t count = std::min(kChunk, rows_ - next_);
    processes_.send(idle_.back(), assignment(next_, count));
    idle_.pop_back();
    next_ += count;
    ++under_way_;
  }

  void take(const Message& message) {
    --under_way_;
    idle_.push_back(message.from);
    const std::size_t line_end = message.text.find('\n');
    waiting_[std::stoull(message.text.substr(0, line_end))] = message.text.substr(line_end + 1);
    while (!waiting_.empty() && waiting_.begin()->first == file_.rows()) {
      const std::string lines = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      for (std::size_t at = 0; at < lines.size();) {
        const std::size_t stop = std::min(lines.find('\n', at), lines.size());
        append(file_, lines.substr(at, stop - at), options_);
        at = stop + 1;
      }
    }
  }

  std::uint64_t rows_;
  SweepFile& file_;
  const SweepRunOptions& options_;
  Processes& processes_;
  std::uint64_t next_;
  int under_way_ = 0;
  std::vector<int> idle_{};
  std::map<std::uint64_t, std::string> waiting_{};  // [first row] lines that cannot be written yet
};

}  // namespace

void run_sweep(const Sweep& sweep, SweepFile& file, const SweepRunOptions& options) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(options.threads));
  std::uint64_t next = file.rows();
  const std::uint64_t rows = sweep.rows();
  // What cannot be written ends the sweep only when the pipeline is empty: an exception out of a
  // filter would leave it the rows under way.
  std::exception_ptr failure;
  std::atomic<bool> failed = false;
  const auto hand_out = [&](tbb::flow_control& flow) -> std::uint64_t {
    if (next == rows || failed || is_cancelled(options)) {
      flow.stop();
      return 0;
    }
    return next++;
  };
  const auto write = [&](const std::string& line) {
    if (failed) return;
    try {
      append(file, line, options);
    } catch (const InputError&) {
      failure = std::current_exception();
      failed = true;
    }
  };
  tbb::parallel_pipeline(
      static_cast<std::size_t>(options.threads) * 8,
      tbb::make_filter<void, std::uint64_t>(tbb::filter_mode::serial_in_order, hand_out) &
          tbb::make_filter<std::uint64_t, std::string>(
              tbb::filter_mode::parallel, [&](std::uint64_t row) { return line_of(sweep, row); }) &
          tbb::make_filter<std::string, void>(tbb::filter_mode::serial_in_order, write));
  if (failure) std::rethrow_exception(failure);
}

void run_sweep(const Sweep& sweep, SweepFile* file, const SweepRunOptions& options,
               Processes& processes) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(options.threads));
  if (file == nullptr) return compute_for(processes, sweep);
  Dealer(sweep, *file, options, processes).run();
}

}  // namespace stagesim
