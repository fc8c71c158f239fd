#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

int virtual_stages(const ScheduleParams& params) {
  return option_int(interleaved_1f1b_info(), params, "v", 2, 1024);
}

int warmup_of(const ScheduleParams& params, int rank) {
  const ScheduleInfo info = interleaved_1f1b_info();
  const int v = virtual_stages(params), group = checked_group(info, params);
  const std::string warmup = option_text(info, params, "warmup");
  if (warmup != "full" && warmup != "short") {
    throw InputError("interleaved-1f1b: warmup: expected full or short, got '" + warmup + "'");
  }
  const int hops = params.ranks - 1 - rank;
  return std::min((warmup == "full" ? 2 : 1) * hops + (v - 1) * group, params.window * v);
}

// 1F1B over (stage, micro-batch) pairs in groups; backwards walk the stages the other way. Twice
// the hops in the warm-up hide the messages of the round trip (NVIDIA/Megatron-LM#169); the short
// one holds fewer micro-batches and costs nothing where messages are free.
Schedule interleaved_1f1b(const ScheduleParams& params, const Costs*) {
  const int p = params.ranks, v = virtual_stages(params);
  const auto steps =
      grouped_steps(params.window, checked_group(interleaved_1f1b_info(), params), v);
  const int total = static_cast<int>(steps.size());
  Schedule s = one_pipeline("interleaved-1f1b", params, v, Placement::kLoop);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    const auto add = [&](OpKind kind, int k) {
      ops.push_back(grouped_cell(kind, steps[static_cast<std::size_t>(k)], p, v, rank, first));
    };
    const int warmup = warmup_of(params, rank);
    for (int k = 0; k < warmup; ++k) add(OpKind::kForward, k);
    for (int k = 0; k < total; ++k) {
      if (warmup + k < total) add(OpKind::kForward, warmup + k);
      add(OpKind::kBackward, k);
    }
  });
  return s;
}

int most_activations(const ScheduleParams& params, int rank) {
  return std::min(warmup_of(params, rank) + 1, params.window * virtual_stages(params));
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window, v = virtual_stages(params);
  if (m % checked_group(interleaved_1f1b_info(), params) != 0 || m % p != 0) return {};
  return {{"wall", "(m v + p - 1)(F + B), F and B of one stage, p divides m",
           "Megatron-LM, arXiv 2104.04473 section 2.2.2",
           (m * v + p - 1) * (t.forward + t.backward)}};
}

}  // namespace

ScheduleInfo interleaved_1f1b_info() {
  return {
      "interleaved-1f1b",
      {"vpp", "1f1b-interleaved"},
      "1F1B with v stages per rank, in groups of micro-batches, flush at the update",
      "Megatron-LM, arXiv 2104.04473 section 2.2.2",
      VersionRule::kFlush,
      {{"v", "n", "2", "stages per rank"},
       {"group", "N", "0",
        "micro-batches that go through a stage before the next one; 0: as many as ranks"},
       {"warmup", "full, short", "full",
        "forwards before the first backward: 2 (p - 1 - r) + (v - 1) N, or one p - 1 - r less"}},
      batch_window,
      interleaved_1f1b,
      virtual_stages,
      most_activations,
      closed_forms};
}

}  // namespace stagesim
