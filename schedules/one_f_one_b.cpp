#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {

void append_one_f_one_b(std::vector<Op>& ops, int rank, int warmup, int first, int count,
                        int window) {
  const auto stage = static_cast<std::uint16_t>(rank);
  const auto forward = [&](int m) {
    ops.push_back({.microbatch = m, .stage = stage, .kind = OpKind::kForward});
  };
  const auto backward = [&](int m) {
    ops.push_back({.microbatch = m, .stage = stage, .kind = OpKind::kBackward});
    if ((m + 1) % window == 0)
      ops.push_back({.microbatch = m / window, .stage = stage, .kind = OpKind::kUpdate});
  };
  warmup = std::min(warmup, count);
  for (int i = 0; i < warmup; ++i) forward(first + i);
  for (int i = warmup; i < count; ++i) {
    forward(first + i);
    backward(first + i - warmup);
  }
  for (int i = count - warmup; i < count; ++i) backward(first + i);
}

Schedule asynchronous_1f1b(std::string_view name, const ScheduleParams& params, VersionRule rule) {
  Schedule s = one_pipeline(name, params, 1, Placement::kLoop);
  s.shape.rule = rule;
  for (int rank = 0; rank < params.ranks; ++rank) {
    append_one_f_one_b(s.ops_of_rank.emplace_back(), rank, params.ranks - 1 - rank, 0,
                       s.shape.microbatches, params.window);
  }
  return s;
}

int one_f_one_b_activations(const ScheduleParams& params, int rank) {
  return std::min(params.ranks - rank, params.window * params.windows);
}

Schedule flushed_1f1b(std::string_view name, const ScheduleParams& params, int per_hop) {
  Schedule s = one_pipeline(name, params, 1, Placement::kLoop);
  for (int rank = 0; rank < params.ranks; ++rank) {
    auto& ops = s.ops_of_rank.emplace_back();
    for (int w = 0; w < params.windows; ++w) {
      append_one_f_one_b(ops, rank, per_hop * (params.ranks - 1 - rank), w * params.window,
                         params.window, params.window);
    }
  }
  return s;
}

std::vector<ClosedForm> fill_and_drain(const ScheduleParams& params, const EqualStages& t,
                                       std::string_view source) {
  return {{"wall", "(m + p - 1)(F + B)", source,
           (params.window + params.ranks - 1) * (t.forward + t.backward)}};
}

std::vector<ClosedForm> unflushed_step(const ScheduleParams& params, const EqualStages& t) {
  return {{"step", "b (F + B), b micro-batches per step",
           "no flush, so no idle rank: PipeDream, arXiv 1806.03377 section 3.2",
           params.batch * (t.forward + t.backward)}};
}

namespace {

// Warm-up forwards fill the pipe, then one forward and one backward in turn, then the remaining
// backwards and the update. Rank r holds at most min(ranks - r, m) activations.
Schedule one_f_one_b(const ScheduleParams& params, const Costs*) {
  return flushed_1f1b("1f1b", params, 1);
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  return fill_and_drain(params, t, "Megatron-LM, arXiv 2104.04473 section 2.2.1");
}

}  // namespace

ScheduleInfo one_f_one_b_info() {
  return {"1f1b",
          {"dapple", "pipedream-flush"},
          "one forward, one backward in steady state, flush at the update",
          "DAPPLE, arXiv 2007.01045; PipeDream-Flush, arXiv 2006.09503 section 3.2",
          VersionRule::kFlush,
          {},
          batch_window,
          one_f_one_b,
          nullptr,
          [](const ScheduleParams& p, int rank) { return std::min(p.ranks - rank, p.window); },
          closed_forms};
}

}  // namespace stagesim
