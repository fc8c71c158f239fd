#include "traces/kineto_import.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "traces/kineto_actions.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kMostProblems = 20;

class Importer {
 public:
  Importer(const std::vector<RankTrace>& traces, const TimelineFile& ran)
      : ran_(ran), actions_(kineto_actions(traces, ran, problems_)) {
    result_.file = ran;
    result_.notes = actions_.notes;
  }

  KinetoImport run(std::optional<int> step) {
    choose_steps(step);
    problems_.throw_if_any();
    take_order();
    problems_.throw_if_any();
    check_schedule(result_.file.order);
    take_times();
    say_what_was_found();
    return std::move(result_);
  }

 private:
  template <typename... Args>
  void problem(fmt::format_string<Args...> text, Args&&... args) {
    if (problems_.lines().size() < kMostProblems) problems_.add(text, std::forward<Args>(args)...);
  }

  // The first and one past the last step that the timeline is of.
  void choose_steps(std::optional<int> step) {
    std::size_t steps = 0;
    for (const auto& of_rank : actions_.ops) steps = std::max(steps, of_rank.size());
    for (std::size_t r = 0; r < actions_.ops.size(); ++r) {
      for (std::size_t s = 0; s < steps; ++s) {
        const std::size_t have = s < actions_.ops[r].size() ? actions_.ops[r][s].size() : 0;
        if (have != actions_.ops[r][0].size()) {
          problem(
              "{}: rank {} runs {} actions in its step 1 and {} in step {}; profile whole steps",
              actions_.of_rank[r]->file, r, actions_.ops[r][0].size(), have, s + 1);
        }
      }
    }
    const auto windows = static_cast<std::size_t>(ran_.order.shape.windows());
    first_step_ = 0;
    if (step && (*step < 1 || static_cast<std::size_t>(*step) > steps)) {
      problem("step {}: the traces have steps 1 to {}", *step, steps);
    } else if (windows == 1) {
      first_step_ = step ? static_cast<std::size_t>(*step) - 1 : steps - 1;
      if (steps > 1) note(fmt::format("step {} of {}", first_step_ + 1, steps));
    } else if (step) {
      problem("step {}: the run has {} windows; one step is compared with a run of one", *step,
              windows);
    } else if (steps != windows) {
      problem("the traces have {} step{}, and the run {} windows; use run.steps {}", steps,
              steps == 1 ? "" : "s", windows, steps);
    }
  }

  // Every op that the run has must be there, and no other.
  void take_order() {
    const Shape& shape = ran_.order.shape;
    const auto windows = static_cast<std::size_t>(shape.windows());
    for (std::size_t r = 0; r < actions_.ops.size(); ++r) {
      std::vector<MeasuredOp> measured;
      for (std::size_t w = 0; w < windows; ++w) {
        for (MeasuredOp op : actions_.ops[r].at(first_step_ + w)) {
          for (Op& part : op.ops) part.microbatch += static_cast<int>(w) * shape.window;
          measured.push_back(std::move(op));
        }
      }
      std::stable_sort(measured.begin(), measured.end(),
                       [](const MeasuredOp& a, const MeasuredOp& b) {
                         return a.range->start_us < b.range->start_us;
                       });
      compare_ops(r, measured);
      result_.file.order.ops_of_rank[r] = with_updates(r, measured);
      for (const MeasuredOp& op : measured)
        for (const Op& part : op.ops) range_of_[{static_cast<int>(r), cell_of(part)}] = op.range;
    }
  }

  void compare_ops(std::size_t r, const std::vector<MeasuredOp>& measured) {
    std::map<Cell, Op> wanted;
    for (const Op& op : ran_.order.ops_of_rank[r])
      if (!is_update_part(op.kind)) wanted.emplace(cell_of(op), op);
    for (const MeasuredOp& op : measured) {
      for (const Op& part : op.ops) {
        if (wanted.erase(cell_of(part)) == 0) {
          problem("{}: {} on rank {}, where {} has no {}", actions_.of_rank[r]->file,
                  op.range->token, r, ran_.schedule, cell_text(part, 1));
        }
      }
    }
    for (const auto& [cell, op] : wanted)
      problem("{}: no {} on rank {}", actions_.of_rank[r]->file, cell_text(op, 1), r);
  }

  std::vector<Op> with_updates(std::size_t r, const std::vector<MeasuredOp>& measured) const {
    std::map<int, std::vector<Op>> updates;  // window
    for (const Op& op : ran_.order.ops_of_rank[r])
      if (op.kind == OpKind::kUpdate) updates[op.microbatch].push_back(op);
    std::map<int, std::size_t> last;  // window: position of its last op
    for (std::size_t i = 0; i < measured.size(); ++i)
      for (const Op& op : measured[i].ops)
        if (op.kind != OpKind::kForward) last[op.microbatch / ran_.order.shape.window] = i;
    std::vector<Op> order;
    for (std::size_t i = 0; i < measured.size(); ++i) {
      order.insert(order.end(), measured[i].ops.begin(), measured[i].ops.end());
      for (const auto& [window, at] : last) {
        if (at != i) continue;
        const auto cells = updates.find(window);
        if (cells != updates.end())
          order.insert(order.end(), cells->second.begin(), cells->second.end());
      }
    }
    return order;
  }

  Nanos at(double us) const { return Nanos(std::llround((us - zero_us_) * 1e3)); }

  void take_times() {
    zero_us_ = std::numeric_limits<double>::infinity();
    for (const auto& [place, range] : range_of_) zero_us_ = std::min(zero_us_, range->start_us);
    const Program program = program_of(result_.file);
    const Activities& what = *program.what;
    Timeline& t = result_.file.timeline;
    t = {program.what, std::vector<Nanos>(what.size()), std::vector<Nanos>(what.size())};
    for (std::size_t r = 0; r < actions_.ops.size(); ++r) {
      Nanos free{0};
      TaskId before = 0;
      for (TaskId task = what.first_of_rank[r]; task < what.first_of_rank[r + 1]; ++task) {
        if (what.lane[task] != static_cast<LaneId>(r)) continue;
        take_op(t, task, static_cast<int>(r), free, before);
        free = std::max(free, t.end[task]);
        before = task;
      }
    }
    for_each_transfer(what, [&](TaskId task, const Transfer& x) { take_message(t, task, x); });
    place_joins(program, t);
  }

  void take_op(Timeline& t, TaskId task, int rank, Nanos free, TaskId before) {
    const Op& op = t.what->op[task];
    const auto found = range_of_.find({rank, cell_of(op)});
    if (found == range_of_.end()) {  // a part of an update
      t.start[task] = t.end[task] = free;
      return;
    }
    if (op.pair == PairPart::kBackward) {
      t.start[task] = t.start[before];
      t.end[task] = t.end[before];
      return;
    }
    ++clocks_[static_cast<std::size_t>(found->second->clock)];
    const Nanos start = at(found->second->start_us), end = at(found->second->end_us);
    if (start < free) {
      ++overlaps_;
      longest_overlap_ = std::max(longest_overlap_, free - start);
    }
    t.start[task] = std::max(start, free);
    t.end[task] = std::max(t.start[task], end);
  }

  void take_message(Timeline& t, TaskId task, const Transfer& x) {
    const Op& producer = t.what->op[x.producer];
    const Op& consumer = t.what->op[x.consumer];
    const int window = producer.microbatch / ran_.order.shape.window;
    const int step = static_cast<int>(first_step_) + window;
    const bool forward = producer.kind == OpKind::kForward;
    const auto range = [&](bool send, int stage) -> const ProfiledRange* {
      const Cell cell{forward ? OpKind::kForward : OpKind::kBackward, stage,
                      producer.microbatch - window * ran_.order.shape.window};
      const auto found = actions_.messages.find({send, step, cell});
      return found == actions_.messages.end() || found->second->comm_end_us == 0 ? nullptr
                                                                                 : found->second;
    };
    const ProfiledRange *sent = range(true, producer.stage), *got = range(false, consumer.stage);
    ++all_messages_;
    t.start[task] = t.end[task] = t.end[x.producer];
    if (sent == nullptr || got == nullptr) return;
    ++measured_messages_;
    const double us =
        std::min(sent->comm_end_us - sent->comm_start_us, got->comm_end_us - got->comm_start_us);
    t.end[task] = at(std::max(sent->comm_end_us, got->comm_end_us));
    t.start[task] = t.end[task] - Nanos(std::llround(us * 1e3));
  }

  void note(std::string text) { result_.notes.push_back(std::move(text)); }

  void say_what_was_found() {
    if (clocks_[3] > 0) {
      note(fmt::format("times of {} ops as the file states them", clocks_[3]));
    } else {
      note(fmt::format(
          "times of ops: {} from their kernels, {} from ranges on the device, {} from ranges on "
          "the host{}",
          clocks_[0], clocks_[1], clocks_[2],
          clocks_[2] > 0 ? ", which say when work was launched, not when it ran" : ""));
    }
    if (overlaps_ > 0) {
      note(
          fmt::format("{} op{} began before the one before had ended (by up to {:.3f} ms): moved "
                      "to its end",
                      overlaps_, overlaps_ == 1 ? "" : "s", to_ms(longest_overlap_)));
    }
    note(fmt::format("messages: {} of {} from matched send and receive kernels{}",
                     measured_messages_, all_messages_,
                     measured_messages_ < all_messages_
                         ? "; the others take no time at their producer's end"
                         : ""));
    std::int64_t zeros = 0;
    for (const RankTrace* trace : actions_.of_rank) zeros += trace->zero_events;
    if (zeros > 0) note(fmt::format("{} events with time 0 and duration 0 left out", zeros));
    note("updates take no time: no action of the profiler stands for them");
  }

  const TimelineFile& ran_;
  Problems problems_{};
  const KinetoActions actions_;
  KinetoImport result_{};
  std::map<std::pair<int, Cell>, const ProfiledRange*> range_of_{};  // rank, cell over all windows
  std::size_t first_step_ = 0;
  double zero_us_ = 0;
  std::size_t clocks_[4] = {0, 0, 0, 0};  // RangeClock
  std::size_t overlaps_ = 0, all_messages_ = 0, measured_messages_ = 0;
  Nanos longest_overlap_{0};
};

}  // namespace

KinetoImport import_kineto(const std::vector<RankTrace>& traces, const TimelineFile& ran,
                           std::optional<int> step) {
  return Importer(traces, ran).run(step);
}

}  // namespace stagesim
