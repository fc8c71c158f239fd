// AMDP, arXiv 2605.29664: d/2 pipelines laid over d ranks in alternating directions, at most two
// micro-batches of a pipeline before its first backward, gradients accumulated over a window.
//
// Notation: d ranks and stages, pipeline p of d/2, unit u of d consecutive micro-batches.
// Micro-batch g belongs to pipeline g mod d/2, and is its first (k = 0) or second (k = 1) of the
// unit.

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// Even pipelines run up the ring, odd ones down it; every rank hosts d/2 stages. The mapping of the
// authors' implementation (Vinsmoke86/AMDP) at d = 4 and 8.
int rank_of(int pipeline, int stage, int d) {
  return pipeline % 2 == 0 ? (2 * pipeline + stage) % d : ((2 * pipeline + 1 - stage) % d + d) % d;
}

// Slots on a clock with F = B = 1, doubled so that the halves are whole. A rank executes its ops in
// slot order. Only stage 0 of the second micro-batch departs from the regular pattern, by preload
// h.
std::int64_t forward_slot(int d, int u, int k, int stage, int preload) {
  const std::int64_t unit = 4LL * d * u;
  if (preload == 2 && k == 1 && stage == 0) return unit + 2;
  return unit + 2LL * (stage + 2LL * k);
}

std::int64_t backward_slot(int d, int u, int k, int stage, int preload) {
  const std::int64_t unit = 4LL * d * u, next_unit = unit + 4LL * d;
  if (k == 1 && stage == 0) {
    if (preload == 2) return next_unit + 3;  // after the two forwards preloaded from the next unit
    if (preload == 0) return next_unit - 1;  // before any forward of the next unit
  }
  return unit + 2LL * (2LL * d - 1 - stage + 2LL * k);
}

struct Slotted {
  std::int64_t slot = 0;
  Op op{};
};

// d = 2: one pipeline, nothing to alternate.
void two_ranks(Schedule& s, bool flush) {
  const int never = s.shape.microbatches + 1;  // updates have their own place, see insert_updates
  const int run = flush ? s.shape.window : s.shape.microbatches;
  for (int rank = 0; rank < 2; ++rank) {
    auto& ops = s.ops_of_rank.emplace_back();
    for (int first = 0; first < s.shape.microbatches; first += run)
      append_one_f_one_b(ops, rank, 1 - rank, first, run, never);
  }
}

void closed_form(Schedule& s, int preload, bool flush) {
  const int d = s.shape.ranks, pipelines = s.shape.pipelines;
  std::vector<std::vector<Slotted>> rows(static_cast<std::size_t>(d));
  for (int g = 0; g < s.shape.microbatches; ++g) {
    const int pipeline = g % pipelines, u = g / d, k = g / pipelines % 2;
    for (int stage = 0; stage < d; ++stage) {
      auto& row = rows[static_cast<std::size_t>(s.shape.rank_of(pipeline, stage))];
      Op op{.microbatch = g,
            .stage = static_cast<std::uint16_t>(stage),
            .pipeline = static_cast<std::uint16_t>(pipeline)};
      row.push_back({forward_slot(d, u, k, stage, preload), op});
      op.kind = OpKind::kBackward;
      row.push_back({backward_slot(d, u, k, stage, preload), op});
    }
  }
  for (std::vector<Slotted>& row : rows) {
    std::sort(row.begin(), row.end(), [&](const Slotted& a, const Slotted& b) {
      const int wa = flush ? a.op.microbatch / s.shape.window : 0;
      const int wb = flush ? b.op.microbatch / s.shape.window : 0;
      return std::tie(wa, a.slot) < std::tie(wb, b.slot);
    });
    auto& ops = s.ops_of_rank.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      STAGESIM_CHECK(i == 0 || row[i].slot != row[i - 1].slot);
      ops.push_back(row[i].op);
    }
  }
}

// As the authors' implementation does under blocking groups: the preloaded forwards of a unit are
// computed while their receiver is still at the unit before, so each output waits one group.
void defer_preloaded_sends(Schedule& s) {
  for (int g = s.shape.ranks; g < s.shape.microbatches; ++g) {
    s.late_sends.push_back(
        {.microbatch = g, .pipeline = static_cast<std::uint16_t>(g % s.shape.pipelines)});
  }
}

// Our update point: right before a rank's first backward of the new window, when every gradient of
// the old one is in. (The authors update later, at points that lose gradients of the last stage.)
void insert_updates(Schedule& s) {
  const auto hosted = hosted_stages(s.shape);
  for (int rank = 0; rank < s.shape.ranks; ++rank) {
    std::vector<Op> updates;
    for (const HostedStage& at : hosted[static_cast<std::size_t>(rank)]) {
      updates.push_back({.stage = at.stage, .pipeline = at.pipeline, .kind = OpKind::kUpdate});
    }
    std::vector<Op> with_updates;
    int window = 0;
    const auto update = [&] {
      for (Op op : updates) {
        op.microbatch = window;
        with_updates.push_back(op);
      }
      ++window;
    };
    for (const Op& op : s.ops_of_rank[static_cast<std::size_t>(rank)]) {
      if (op.kind == OpKind::kBackward && op.microbatch / s.shape.window > window) update();
      with_updates.push_back(op);
    }
    update();
    s.ops_of_rank[static_cast<std::size_t>(rank)] = std::move(with_updates);
  }
}

// The online rules as ablations: no order, but limits on when stage 0 may take the next
// micro-batch. strict: forward j of a pipeline after the backward of j - n. unit: the first h
// forwards of a unit after the first backward of the unit before, the others after its second.
void add_releases(Schedule& s, const std::string& release, int limit, int preload) {
  const int pipelines = s.shape.pipelines, d = s.shape.ranks;
  for (int g = 0; g < s.shape.microbatches; ++g) {
    const int j = g / pipelines;  // index inside the pipeline
    int after = -1;
    if (release == "strict") {
      after = g - limit * pipelines;
    } else if (g >= d) {
      const int unit_before = g - g % d - d + g % pipelines;
      after = j % 2 < preload ? unit_before : unit_before + pipelines;
      if (preload == 1 && j % 2 == 1) after = g - d;
    }
    if (after < 0) continue;
    const auto pipeline = static_cast<std::uint16_t>(g % pipelines);
    s.releases.push_back({{.microbatch = g, .pipeline = pipeline, .kind = OpKind::kForward},
                          {.microbatch = after, .pipeline = pipeline, .kind = OpKind::kBackward}});
  }
}

void check_shape(std::string_view name, const ScheduleParams& params) {
  const int d = params.ranks;
  if (d != 2 && d % 4 != 0) {
    const int below = d / 4 * 4, above = below + 4;
    throw ShapeError(fmt::format(
        "{}: {} rank{} not work: d must be 2 or divisible by 4, because at any other d two ops "
        "of a rank fall into the same slot "
        "of the closed form (at d = 6 rank 0 would host stages 0, 2 and 3); use {} ranks",
        name, d, d == 1 ? " does" : "s do",
        below == 0 ? fmt::format("2 or {}", above) : fmt::format("{} or {}", below, above)));
  }
  if (params.window % d != 0) {
    const int below = params.window / d * d;
    const bool whole_batch = params.window == params.batch && !params.batch_from.empty();
    throw ShapeError(
        fmt::format("{}: a window of {} micro-batches{} does not divide into units of d = {} ({} "
                    "= {} x {} + {}); use {}",
                    name, params.window, whole_batch ? fmt::format(" ({})", params.batch_from) : "",
                    d, params.window, d, params.window / d, params.window % d,
                    below == 0 ? fmt::format("{}", d) : fmt::format("{} or {}", below, below + d)));
  }
}

}  // namespace

Schedule amdp_plan(const ScheduleInfo& info, const ScheduleParams& params, int preload,
                   bool flush) {
  check_shape(info.name, params);
  const int d = params.ranks, pipelines = d / 2;
  Schedule s{.name = std::string(info.name)};
  s.shape = {.ranks = d,
             .stages = d,
             .pipelines = pipelines,
             .microbatches = params.window * params.windows,
             .window = params.window};
  for (int p = 0; p < pipelines; ++p) {
    for (int stage = 0; stage < d; ++stage) s.shape.rank_of_stage.push_back(rank_of(p, stage, d));
  }
  if (d == 2) {
    two_ranks(s, flush);
  } else {
    closed_form(s, preload, flush);
  }
  return s;
}

namespace {

Schedule amdp(const ScheduleParams& params, const Costs*) {
  const ScheduleInfo info = amdp_info();
  const int preload = option_int(info, params, "preload", 0, 2);
  const int limit = option_int(info, params, "limit", 1, 1000);
  const auto choice = [&](std::string_view name, const std::vector<std::string>& allowed) {
    const std::string value = option_text(info, params, name);
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
      throw InputError(
          fmt::format("amdp: {}: expected {}, got '{}'", name, fmt::join(allowed, " or "), value));
    }
    return value;
  };
  const std::string optimizer = choice("optimizer", {"owner", "replicated"});
  const std::string rule = choice("rule", {"closed-form", "fifo", "lowest-first"});
  const std::string release = choice("release", {"unit", "strict"});
  if (rule == "closed-form" && (params.options.count("release") || params.options.count("limit"))) {
    throw InputError(
        "amdp: release and limit steer the online rules only; add rule=fifo or rule=lowest-first, "
        "or leave them out");
  }
  Schedule s = amdp_plan(info, params, preload, false);
  s.shape.rule = VersionRule::kLatest;
  s.shape.optimizer = optimizer == "owner" ? Optimizer::kOwner : Optimizer::kReplicated;
  if (params.ranks > 2 && preload == 2) defer_preloaded_sends(s);
  insert_updates(s);
  if (rule != "closed-form") {
    s.dispatch = rule == "fifo" ? Dispatch::kFifo : Dispatch::kLowestFirst;
    add_releases(s, release, limit, preload);
  }
  return s;
}

int amdp_window(const ScheduleParams& params) {
  const int threshold = option_int(amdp_info(), params, "threshold", 0, 1'000'000);
  const std::int64_t window =
      threshold == 0 ? params.batch : std::int64_t{threshold} * params.ranks;
  if (window > 1'000'000'000) {
    throw InputError(fmt::format(
        "amdp: threshold {} x d = {} is a window of {} micro-batches, expected at most 1000000000",
        threshold, params.ranks, window));
  }
  return static_cast<int>(window);
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const ScheduleInfo info = amdp_info();
  if (option_text(info, params, "rule") != "closed-form") return {};
  return amdp_step(params, option_int(info, params, "preload", 0, 2), t);
}

}  // namespace

ScheduleInfo amdp_info() {
  return {"amdp",
          {},
          "asynchronous, d/2 pipelines in alternating directions, newest weights, accumulation to "
          "a threshold",
          "AMDP, arXiv 2605.29664",
          VersionRule::kLatest,
          {{"preload", "0, 1, 2", "2",
            "forwards of the next unit that stage 0 runs before the last backward of this one"},
           {"threshold", "k", "0",
            "micro-batches per update in units of d (window = k d); 0: the whole batch"},
           {"optimizer", "owner, replicated", "owner",
            "rank s keeps the optimizer of stage s, or every replica its own"},
           {"rule", "closed-form, fifo, lowest-first", "closed-form",
            "the published order, or an online rule as ablation"},
           {"release", "unit, strict", "unit",
            "online rules: what lets stage 0 take the next micro-batch"},
           {"limit", "n", "2",
            "online rules, strict: micro-batches of a pipeline in flight at stage 0"}},
          amdp_window,
          amdp,
          nullptr,
          [](const ScheduleParams& p, int) { return std::max(2, p.ranks); },
          closed_forms};
}

}  // namespace stagesim
