#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

int virtual_stages(const ScheduleParams& params) {
  return option_int(looped_bfs_info(), params, "v", 1, 1024);
}

// All micro-batches through one stage of the rank before the next stage; backwards in exactly the
// opposite order.
Schedule looped_bfs(const ScheduleParams& params, const Costs*) {
  const int p = params.ranks, v = virtual_stages(params), m = params.window;
  Schedule s = one_pipeline("looped-bfs", params, v, Placement::kLoop);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    for (int k = 0; k < v * m; ++k)
      ops.push_back(cell(OpKind::kForward, k / m * p + rank, first + k % m));
    for (int k = v * m - 1; k >= 0; --k)
      ops.push_back(cell(OpKind::kBackward, k / m * p + rank, first + k % m));
  });
  return s;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window, v = virtual_stages(params);
  if (m < p) return {};
  return {{"wall", "(m v + p - 1)(F + B), F and B of one stage, m >= p",
           "Breadth-First Pipeline Parallelism, arXiv 2211.05953 section 4.1",
           (m * v + p - 1) * (t.forward + t.backward)}};
}

}  // namespace

ScheduleInfo looped_bfs_info() {
  return {"looped-bfs",
          {"bfs"},
          "v stages per rank, every micro-batch through one before the next, flush at the update",
          "Breadth-First Pipeline Parallelism, arXiv 2211.05953",
          VersionRule::kFlush,
          {{"v", "n", "2", "stages per rank"}},
          batch_window,
          looped_bfs,
          virtual_stages,
          [](const ScheduleParams& p, int) { return p.window * virtual_stages(p); },
          closed_forms};
}

}  // namespace stagesim
