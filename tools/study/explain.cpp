#include "tools/study/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace stagesim {
namespace {

int warmup_of(const std::vector<Op>& ops) {
  const auto end = std::find_if(ops.begin(), ops.end(),
                                [](const Op& op) { return op.kind != OpKind::kForward; });
  return static_cast<int>(end - ops.begin());
}

// "downstream gradient 50.0 %, drain 25.0 %": of the rank's idle time, largest first.
std::string causes_text(const RankIdle& rank) {
  std::vector<std::pair<Nanos, IdleCause>> causes;
  for (std::size_t c = 0; c < kIdleCauses; ++c) {
    if (rank.by_cause[c].count() > 0)
      causes.emplace_back(rank.by_cause[c], static_cast<IdleCause>(c));
  }
  std::stable_sort(causes.begin(), causes.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string line;
  for (const auto& [time, cause] : causes)
    line += fmt::format("{}{} {:.3f}", line.empty() ? "" : ", ", text(cause), to_ms(time));
  return line.empty() ? "-" : line;
}

// A stretch of the critical path on one rank without a message in between.
struct Stretch {
  int rank = 0;
  TaskId first = 0, last = 0;
  int ops = 0;
  Nanos time{}, message{};  // of the ops; of the message before them
};

std::vector<Stretch> stretches_of(const Timeline& timeline, const CriticalPath& path) {
  const Activities& what = *timeline.what;
  std::vector<Stretch> stretches;
  Nanos message{};
  for (std::size_t i = 0; i < path.tasks.size(); ++i) {
    const TaskId t = path.tasks[i];
    const Nanos until =
        i + 1 == path.tasks.size() ? timeline.end[t] : timeline.start[path.tasks[i + 1]];
    const Nanos length = until - timeline.start[t];
    const Lane& lane = what.lanes[what.lane[t]];
    if (is_transfer(what.op[t].kind) || lane.from_rank < 0) {
      message += length;
      continue;
    }
    if (stretches.empty() || stretches.back().rank != lane.from_rank || message.count() > 0) {
      stretches.push_back({lane.from_rank, t, t, 0, {}, message});
      message = {};
    }
    Stretch& s = stretches.back();
    s.last = t;
    s.time += length;
    ++s.ops;
  }
  return stretches;
}

void add_critical_path(const Run& run, std::vector<std::string>& lines) {
  const CriticalPath& path = run.result.critical_path;
  const auto stretches = stretches_of(run.timeline, path);
  const int pipelines = run.result.shape.pipelines;
  lines.push_back(fmt::format("critical path: {:.3f} ms from first to last op, {} stretches",
                              to_ms(path.length), stretches.size()));
  constexpr std::size_t kEnds = 12;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    if (stretches.size() > 2 * kEnds && i == kEnds) {
      Nanos time{};
      const std::size_t skipped = stretches.size() - 2 * kEnds;
      for (; i < kEnds + skipped; ++i) time += stretches[i].time + stretches[i].message;
      lines.push_back(fmt::format("  … {} more stretches, {:.3f} ms", skipped, to_ms(time)));
    }
    const Stretch& s = stretches[i];
    const auto& op = run.timeline.what->op;
    std::string what = cell_text(op[s.first], pipelines);
    if (s.ops > 1) what += fmt::format(" … {} ({} ops)", cell_text(op[s.last], pipelines), s.ops);
    lines.push_back(fmt::format("  rank {}: {}, {:.3f} ms{}", s.rank, what, to_ms(s.time),
                                s.message.count() > 0
                                    ? fmt::format(", after {:.3f} ms of message", to_ms(s.message))
                                    : ""));
  }
}

void add_closed_forms(const Run& run, std::vector<std::string>& lines) {
  const ScheduleInfo& info = find_schedule(run.result.family);
  const Shape& shape = run.result.shape;
  if (info.closed_forms == nullptr) {
    lines.emplace_back("closed form: none is stated for this schedule");
    return;
  }
  if (shape.rule == VersionRule::kFlush && shape.windows() > 1) {
    lines.emplace_back("closed form: stated for one step; run with run.steps 1");
    return;
  }
  const auto equal = equal_stages(run.timeline);
  if (!equal) {
    lines.emplace_back("closed form: stated for equal stages, which these are not");
    return;
  }
  const ScheduleParams params{.ranks = shape.ranks,
                              .batch = run.result.batch,
                              .window = shape.window,
                              .options = run.options};
  const auto forms = info.closed_forms(params, *equal);
  if (forms.empty())
    lines.emplace_back("closed form: none is stated for this shape or these times");
  for (const ClosedForm& form : forms) {
    const double found = to_ms(form.quantity == "span"   ? run.result.span
                               : form.quantity == "step" ? run.result.step_time
                                                         : run.result.wall);
    const double off = found - form.value;
    lines.push_back(fmt::format("closed form: {} = {} = {:.3f} ms; replayed {:.3f} ms{} ({})",
                                form.quantity, form.formula, form.value, found,
                                std::abs(off) < 1e-6
                                    ? ", the same"
                                    : fmt::format(", {:+.3f} ms: the form counts "
                                                  "neither messages nor updates nor a barrier",
                                                  off),
                                form.source));
  }
}

}  // namespace

std::optional<EqualStages> equal_stages(const Timeline& timeline) {
  std::array<std::optional<Nanos>, kOpKinds> time;
  const Activities& what = *timeline.what;
  for (TaskId t = 0; t < what.size(); ++t) {
    const Op& op = what.op[t];
    if (op.kind > OpKind::kWeightGrad || op.pair == PairPart::kBackward) continue;
    const OpKind kind = op.pair == PairPart::kForward ? OpKind::kPair : op.kind;
    auto& known = time[static_cast<std::size_t>(kind)];
    if (known && *known != timeline.duration(t)) return std::nullopt;
    known = timeline.duration(t);
  }
  const auto ms = [&](OpKind kind) {
    return to_ms(time[static_cast<std::size_t>(kind)].value_or(Nanos{0}));
  };
  EqualStages equal{ms(OpKind::kForward), ms(OpKind::kBackward), ms(OpKind::kInputGrad),
                    ms(OpKind::kWeightGrad), ms(OpKind::kPair)};
  if (!time[static_cast<std::size_t>(OpKind::kBackward)])
    equal.backward = equal.input_grad + equal.weight_grad;
  return equal;
}

std::vector<std::string> explain(const Run& run) {
  const ScheduleResult& r = run.result;
  std::vector<std::string> lines;
  lines.push_back(fmt::format(
      "{}: {} rank{}, {} stage{}, {} micro-batch{}{}; times in ms", r.name, r.shape.ranks,
      r.shape.ranks == 1 ? "" : "s", r.shape.stages, r.shape.stages == 1 ? "" : "s", r.shape.window,
      r.shape.window == 1 ? "" : "es", r.shape.forward_only ? ", no update" : " per update"));
  lines.push_back(fmt::format("{:>4}  {:>7}  {:>10}  {:>10}  why it idles, over the {} interval",
                              "rank", "warm-up", "busy", "idle", text(r.bubble.interval.kind)));
  for (std::size_t rank = 0; rank < r.bubble.ranks.size(); ++rank) {
    const RankIdle& idle = r.bubble.ranks[rank];
    lines.push_back(fmt::format("{:>4}  {:>5} F  {:>10.3f}  {:>10.3f}  {}", rank,
                                warmup_of(run.order.ops_of_rank[rank]), to_ms(idle.busy),
                                to_ms(idle.idle), causes_text(idle)));
  }
  lines.emplace_back(r.shape.forward_only
                         ? "warm-up: all forwards, as there is no backward"
                         : "warm-up: forwards before the first backward of the rank");
  lines.push_back("limit: " + verdict({r}).front());
  add_critical_path(run, lines);
  add_closed_forms(run, lines);
  return lines;
}

}  // namespace stagesim
