#include "schedules/orders.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace stagesim {

Schedule one_pipeline(std::string_view name, const ScheduleParams& params, int v,
                      Placement placement) {
  Schedule s{.name = std::string(name)};
  const int p = params.ranks;
  s.shape = {.ranks = p,
             .stages = p * v,
             .microbatches = params.window * params.windows,
             .window = params.window};
  for (int stage = 0; stage < s.shape.stages; ++stage) {
    const bool back = placement == Placement::kZigzag && stage / p % 2 == 1;
    s.shape.rank_of_stage.push_back(back ? p - 1 - stage % p : stage % p);
  }
  return s;
}

void add_mirror(Schedule& s) {
  s.shape.pipelines = 2;
  for (int stage = 0; stage < s.shape.stages; ++stage)
    s.shape.rank_of_stage.push_back(s.shape.ranks - 1 - s.shape.rank_of(0, stage));
}

void check_even_ranks(std::string_view name, int ranks, std::string_view why) {
  if (ranks % 2 == 0) return;
  throw ShapeError(fmt::format("{}: {} ranks; it needs an even number, {}; use {}{}", name, ranks,
                               why, ranks > 1 ? fmt::format("{} or ", ranks - 1) : "", ranks + 1));
}

void append_windows(Schedule& s, const std::function<void(std::vector<Op>&, int, int)>& append) {
  const auto hosted = hosted_stages(s.shape);
  for (int rank = 0; rank < s.shape.ranks; ++rank) {
    auto& ops = s.ops_of_rank.emplace_back();
    for (int w = 0; w < s.shape.windows(); ++w) {
      append(ops, rank, w * s.shape.window);
      if (s.shape.forward_only) continue;
      for (const HostedStage& at : hosted[static_cast<std::size_t>(rank)])
        ops.push_back(cell(OpKind::kUpdate, at.stage, w, at.pipeline));
    }
  }
}

void append_wave_windows(Schedule& s, int per_unit) {
  const auto hosted = hosted_stages(s.shape);
  const int pipelines = s.shape.pipelines, stages = s.shape.stages, m = s.shape.window;
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    std::vector<std::pair<std::int64_t, Op>> slots;
    for (const HostedStage& at : hosted[static_cast<std::size_t>(rank)]) {
      const int q = at.pipeline;
      const int begin = first + q * (m / pipelines) + std::min(q, m % pipelines);
      const int count = m / pipelines + (q < m % pipelines ? 1 : 0);
      for (int j = 0; j < count; ++j) {
        const std::int64_t base = 2LL * stages * (j / per_unit) + 2LL * (j % per_unit);
        slots.emplace_back(base + at.stage, cell(OpKind::kForward, at.stage, begin + j, q));
        slots.emplace_back(base + 2LL * stages - 1 - at.stage,
                           cell(OpKind::kBackward, at.stage, begin + j, q));
      }
    }
    std::sort(slots.begin(), slots.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < slots.size(); ++i) {
      STAGESIM_CHECK(i == 0 || slots[i].first != slots[i - 1].first);
      ops.push_back(slots[i].second);
    }
  });
}

std::vector<Step> grouped_steps(int microbatches, int group, int v) {
  std::vector<Step> steps;
  for (int begin = 0; begin < microbatches; begin += group) {
    const int end = std::min(begin + group, microbatches);
    for (int chunk = 0; chunk < v; ++chunk) {
      for (int m = begin; m < end; ++m) steps.push_back({chunk, m});
    }
  }
  return steps;
}

Op grouped_cell(OpKind kind, const Step& step, int p, int v, int rank, int first) {
  const int chunk = kind == OpKind::kForward ? step.chunk : v - 1 - step.chunk;
  return cell(kind, chunk * p + rank, first + step.microbatch);
}

namespace {

bool group_is_legal(int group, int p, int m) {
  return p <= group && group <= m && (m % group == 0 || m % group >= p);
}

}  // namespace

int checked_group(const ScheduleInfo& info, const ScheduleParams& params) {
  const int p = params.ranks, m = params.window;
  int group = option_int(info, params, "group", 0, 1'000'000'000);
  if (group == 0) group = p;
  if (group_is_legal(group, p, m)) return group;
  std::string why;
  if (m < p) {
    why = fmt::format("{} micro-batches, but {} ranks need at least {}", m, p, p);
  } else if (group < p) {
    why = fmt::format("group N = {} < p = {}", group, p);
  } else if (group > m) {
    why = fmt::format("group N = {} > m = {} micro-batches", group, m);
  } else {
    why = fmt::format("m mod N = {} mod {} = {}, expected 0 or at least p = {}", m, group,
                      m % group, p);
  }
  // The nearest legal group, if any; m itself is legal from p on.
  int near = 0;
  for (int n = p; n <= m; ++n) {
    if (group_is_legal(n, p, m) && (near == 0 || std::abs(n - group) < std::abs(near - group)))
      near = n;
  }
  throw ShapeError(fmt::format(
      "{}: {} (Megatron-LM's rule: p <= N <= m, and m mod N is 0 or at least p); use {}", info.name,
      why,
      near == 0 ? fmt::format("at least {} micro-batches or fewer ranks", p)
                : fmt::format("group={}", near)));
}

void append_split_one_f_one_b(std::vector<Op>& ops, int total, int warmup, int delay,
                              const std::function<Op(OpKind, int)>& op) {
  warmup = std::min(warmup, total);
  for (int k = 0; k < warmup; ++k) ops.push_back(op(OpKind::kForward, k));
  for (int k = 0; k < total; ++k) {
    if (warmup + k < total) ops.push_back(op(OpKind::kForward, warmup + k));
    ops.push_back(op(OpKind::kInputGrad, k));
    if (k >= delay) ops.push_back(op(OpKind::kWeightGrad, k - delay));
  }
  for (int k = std::max(0, total - delay); k < total; ++k)
    ops.push_back(op(OpKind::kWeightGrad, k));
}

}  // namespace stagesim
