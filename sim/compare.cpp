#include "sim/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace stagesim {
namespace {

// Last end of the update of a window over all ranks.
Nanos end_of_window(const Timeline& timeline, int window) {
  Nanos end{0};
  for (TaskId t = 0; t < timeline.what->size(); ++t) {
    const Op& op = timeline.what->op[t];
    if (is_update_part(op.kind) && op.microbatch == window) end = std::max(end, timeline.end[t]);
  }
  return end;
}

LimitingStage limiting_stage(const Timeline& timeline, const Bubble& bubble) {
  LimitingStage limit;
  double total = 0;
  for (std::size_t r = 0; r < bubble.ranks.size(); ++r) {
    total += to_ms(bubble.ranks[r].busy);
    if (bubble.ranks[r].busy > bubble.ranks[static_cast<std::size_t>(limit.rank)].busy) {
      limit.rank = static_cast<int>(r);
    }
  }
  if (total == 0) return limit;
  const RankIdle& rank = bubble.ranks[static_cast<std::size_t>(limit.rank)];
  limit.busy_share = to_ms(rank.busy) / to_ms(rank.interval.length());
  limit.over_mean = to_ms(rank.busy) * static_cast<double>(bubble.ranks.size()) / total - 1;
  // Of the stages on that rank, the one that takes longest per micro-batch.
  const auto stages = static_cast<std::size_t>(timeline.shape().stages);
  std::vector<double> time(stages, 0), count(stages, 0);
  for (const TaskId t : order_of_rank(timeline, limit.rank)) {
    const Op& op = timeline.what->op[t];
    if (!is_busy(op.kind) || op.kind == OpKind::kStep) continue;
    const double share = op.pair == PairPart::kNone ? 1 : 0.5;  // a pair is the work of two stages
    time[op.stage] += share * to_ms(timeline.duration(t));
    count[op.stage] += op.kind == OpKind::kForward ? 1 : 0;
  }
  double worst = -1;
  for (std::size_t s = 0; s < stages; ++s) {
    if (count[s] > 0 && time[s] / count[s] > worst) {
      worst = time[s] / count[s];
      limit.stage = static_cast<int>(s);
    }
  }
  return limit;
}

double updates_per_batch(const Timeline& timeline, const RunInputs& inputs) {
  return static_cast<double>(inputs.batch) / timeline.shape().window;
}

}  // namespace

Nanos step_time(const Timeline& timeline, const RunInputs& inputs) {
  if (inputs.warm_windows == 0) return wall(timeline).length();
  const int first = inputs.warm_windows - 1, last = first + inputs.measured_windows;
  const double between =
      static_cast<double>((end_of_window(timeline, last) - end_of_window(timeline, first)).count());
  return Nanos(
      std::llround(between / inputs.measured_windows * updates_per_batch(timeline, inputs)));
}

ScheduleResult summarise(const Timeline& timeline, const RunInputs& inputs) {
  const Shape& shape = timeline.shape();
  ScheduleResult r;
  r.name = inputs.name;
  r.family = inputs.family;
  r.shape = shape;
  r.batch = inputs.batch;
  r.memory_known = inputs.memory_known;
  r.wall = wall(timeline).length();
  r.span = longest_rank_span(timeline);
  r.updates_per_batch = updates_per_batch(timeline, inputs);
  r.step_time = step_time(timeline, inputs);
  Interval interval;
  if (inputs.warm_windows == 0) {
    r.versions = versions(timeline);
  } else {
    const int first = inputs.warm_windows - 1, last = first + inputs.measured_windows;
    interval = {IntervalKind::kSteady, first, last};
    r.versions = versions(timeline, first + 1, last);
  }
  r.bubble = bubble(timeline, interval);
  r.critical_path = critical_path(timeline);
  r.limiting = limiting_stage(timeline, r.bubble);
  MemoryInputs memory_inputs = inputs.memory;
  memory_inputs.weight_copies.clear();
  for (const StageVersions& stage : r.versions.stages)
    memory_inputs.weight_copies.push_back(stage.copies);
  r.memory = memory(timeline, memory_inputs);
  const double seconds = to_ms(r.step_time) / 1e3;
  if (seconds > 0) {
    r.tokens_per_s = inputs.tokens_per_microbatch * inputs.batch / seconds;
    if (inputs.peak_flops > 0 && inputs.flops_per_microbatch > 0) {
      r.mfu =
          inputs.flops_per_microbatch * inputs.batch / (seconds * inputs.peak_flops * shape.ranks);
    }
  }
  if (inputs.capacity > 0) {
    r.fits = std::all_of(r.memory.begin(), r.memory.end(),
                         [&](const RankMemory& rank) { return rank.peak <= inputs.capacity; });
  }
  r.warnings = r.versions.violations;
  return r;
}

namespace {

// Busy within 0.05 % of the mean: no rank stands out.
bool is_even(const ScheduleResult& r) { return r.limiting.over_mean < 0.0005; }

// "5.0 % (mostly barrier)": what share of the interval the ranks idle, and the cause of most of it.
std::string idle_text(const ScheduleResult& r) {
  const std::array<double, kIdleCauses> by_cause = idle_ms_by_cause(r.bubble);
  const auto most = std::max_element(by_cause.begin(), by_cause.end());
  if (*most == 0) return "0.0 %";
  return fmt::format("{:.1f} % (mostly {})", 100 * r.bubble.bubble,
                     text(static_cast<IdleCause>(most - by_cause.begin())));
}

std::string limit_line(const ScheduleResult& r) {
  const std::string share = fmt::format("{:.1f} % of the {} interval", 100 * r.limiting.busy_share,
                                        text(r.bubble.interval.kind));
  if (is_even(r))
    return fmt::format("{}: no stage stands out, every rank computes {}", r.name, share);
  // A rank that has time to spare does not hold the others up, whatever its stage weighs.
  const bool limits = r.limiting.busy_share > 0.85;
  std::string line =
      fmt::format("{}: stage {} {}; rank {} computes {}, {:.1f} % more than the mean rank", r.name,
                  r.limiting.stage, limits ? "limits it" : "is the heaviest", r.limiting.rank,
                  share, 100 * r.limiting.over_mean);
  if (r.shape.pipelines > 1)
    line += fmt::format("; that stage is spread over {} ranks", r.shape.pipelines);
  if (r.bubble.bubble > 0.01) line += fmt::format("; idle {}", idle_text(r));
  return line;
}

double percent_faster(const ScheduleResult& a, const ScheduleResult& b) {
  return 100 * (to_ms(b.step_time) / to_ms(a.step_time) - 1);
}

std::string ahead_line(const ScheduleResult& spread, const ScheduleResult& single) {
  std::string line = fmt::format("{} is {:.1f} % faster than {}", spread.name,
                                 percent_faster(spread, single), single.name);
  if (single.limiting.over_mean < spread.limiting.over_mean + 0.0005) return line;
  return line + fmt::format(
                    ": its {} pipelines spread stage {} over {} ranks, so the busiest rank is "
                    "{:.1f} % above the mean instead of {:.1f} %",
                    spread.shape.pipelines, single.limiting.stage, spread.shape.pipelines,
                    100 * spread.limiting.over_mean, 100 * single.limiting.over_mean);
}

std::string behind_line(const ScheduleResult& spread, const ScheduleResult& single) {
  const std::string gain =
      is_even(single) ? "the stages are equal, so spreading them gains nothing"
                      : fmt::format(
                            "spreading takes the busiest rank from {:.1f} % to {:.1f} % above the "
                            "mean, which does not pay for the rest",
                            100 * single.limiting.over_mean, 100 * spread.limiting.over_mean);
  return fmt::format(
      "{} is not ahead of {} here ({:.3f} against {:.3f} ms): {}; it idles {}, the other {}",
      spread.name, single.name, to_ms(spread.step_time), to_ms(single.step_time), gain,
      idle_text(spread), idle_text(single));
}

}  // namespace

std::vector<std::string> verdict(const std::vector<ScheduleResult>& results) {
  std::vector<const ScheduleResult*> order;
  order.reserve(results.size());
  for (const ScheduleResult& r : results) order.push_back(&r);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->step_time < b->step_time; });
  std::vector<std::string> lines;
  lines.reserve(2 * results.size());
  for (const ScheduleResult* r : order) lines.push_back(limit_line(*r));
  // What decides for several pipelines: the fastest schedule that has them against those that have
  // one.
  const auto several = std::find_if(order.begin(), order.end(),
                                    [](const auto* r) { return r->shape.pipelines > 1; });
  if (several == order.end() || (*several)->step_time.count() == 0) return lines;
  constexpr int kMostBehind = 3;
  bool first = true;
  int behind = 0;
  for (const ScheduleResult* single : order) {
    if (single->shape.pipelines > 1) continue;
    if (single->step_time <= (*several)->step_time) {
      if (++behind <= kMostBehind) lines.push_back(behind_line(**several, *single));
    } else if (first) {
      lines.push_back(ahead_line(**several, *single));
    }
    first = false;
  }
  if (behind > kMostBehind) {
    lines.push_back(fmt::format("{} is not ahead of {} more schedules with one pipeline",
                                (*several)->name, behind - kMostBehind));
  }
  return lines;
}

}  // namespace stagesim
