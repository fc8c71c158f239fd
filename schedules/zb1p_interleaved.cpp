#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

int virtual_stages(const ScheduleParams& params) {
  return option_int(zb1p_interleaved_info(), params, "v", 2, 1024);
}

// ZB-H1 over the (stage, micro-batch) pairs of interleaved 1F1B, with its short warm-up.
Schedule zb1p_interleaved(const ScheduleParams& params, const Costs*) {
  const int p = params.ranks, v = virtual_stages(params);
  const int group = checked_group(zb1p_interleaved_info(), params);
  const auto steps = grouped_steps(params.window, group, v);
  Schedule s = one_pipeline("zb1p-interleaved", params, v, Placement::kLoop);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    append_split_one_f_one_b(ops, static_cast<int>(steps.size()), (v - 1) * group + p - 1 - rank,
                             rank, [&](OpKind kind, int k) {
                               return grouped_cell(kind, steps[static_cast<std::size_t>(k)], p, v,
                                                   rank, first);
                             });
  });
  return s;
}

int most_activations(const ScheduleParams& params, int) {
  const int v = virtual_stages(params), group = checked_group(zb1p_interleaved_info(), params);
  return std::min((v - 1) * group + params.ranks, v * params.window);
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window, v = virtual_stages(params);
  if (m % checked_group(zb1p_interleaved_info(), params) != 0 || m % p != 0) return {};
  return {{"wall", "m v (F + I + W) + (p - 1)(F + I - W), times of one stage, p divides m",
           "ZB-H1's, arXiv 2401.10241 Table 2, per stage",
           m * v * (t.forward + t.input_grad + t.weight_grad) +
               (p - 1) * (t.forward + t.input_grad - t.weight_grad)}};
}

}  // namespace

ScheduleInfo zb1p_interleaved_info() {
  return {"zb1p-interleaved",
          {"interleaved-zero-bubble"},
          "ZB-H1's order with v stages per rank (PyTorch's ScheduleInterleavedZeroBubble)",
          "Zero Bubble, arXiv 2401.10241; pytorch/pytorch torch.distributed.pipelining",
          VersionRule::kFlush,
          {{"v", "n", "2", "stages per rank"},
           {"group", "N", "0",
            "micro-batches that go through a stage before the next one; 0: as many as ranks"}},
          batch_window,
          zb1p_interleaved,
          virtual_stages,
          most_activations,
          closed_forms};
}

}  // namespace stagesim
