#include <fmt/format.h>

#include <algorithm>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

// 2 f. Each has p / 2 f micro-batches in a unit of p.
int checked_pipelines(const ScheduleParams& params) {
  const int d = params.ranks;
  const int pipelines = option_int(chimera_info(), params, "pipelines", 2, 1024);
  check_even_ranks("chimera", d,
                   "or forwards of one direction meet backwards of the other in the same slot");
  if (pipelines % 2 != 0 || d % pipelines != 0) {
    throw ShapeError(
        fmt::format("chimera: pipelines={} on {} ranks; it needs 2 f pipelines where f divides p/2 "
                    "= {} (arXiv 2107.06925 section 3.6); use 2",
                    pipelines, d, d / 2));
  }
  return pipelines;
}

// Pipeline 2 i starts at rank i D / f and goes up the ring; 2 i + 1 is its mirror image.
int rank_of(int pipeline, int stage, int d, int pipelines) {
  const int down = (pipeline / 2 * (2 * d / pipelines) + stage) % d;
  return pipeline % 2 == 0 ? down : d - 1 - down;
}

// Units of D micro-batches follow each other by "direct concatenation"; the last one may be
// incomplete.
Schedule chimera(const ScheduleParams& params, const Costs*) {
  const int d = params.ranks, pipelines = checked_pipelines(params);
  Schedule s = one_pipeline("chimera", params, 1, Placement::kLoop);
  s.shape.pipelines = pipelines;
  s.shape.rank_of_stage.clear();
  for (int q = 0; q < pipelines; ++q) {
    for (int stage = 0; stage < d; ++stage)
      s.shape.rank_of_stage.push_back(rank_of(q, stage, d, pipelines));
  }
  append_wave_windows(s, d / pipelines);
  return s;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int d = params.ranks, m = params.window, pipelines = checked_pipelines(params);
  if (m % d != 0) return {};
  const double hops = 2.0 * d / pipelines - 2;  // p / f - 2
  if (t.forward == t.backward) {
    return {{"wall", "(2 m + p/f - 2) F, F = B, p divides m",
             "Chimera, arXiv 2107.06925 Table 3, as a time", (2 * m + hops) * t.forward}};
  }
  if (t.backward == 2 * t.forward) {
    return {{"wall", "(3 m + (p/f - 2)(1 + m/p)) F, B = 2 F, p divides m",
             "derived; m = p is Chimera's p F + (2 p - 2) B, arXiv 2107.06925 equation 1",
             (3.0 * m + hops * (1 + m / d)) * t.forward}};
  }
  return {};
}

int most_activations(const ScheduleParams& params, int rank) {
  const int d = params.ranks, pipelines = checked_pipelines(params), length = 2 * d / pipelines,
            x = rank % length;
  return std::min(params.window, d - d / pipelines + 1 + std::min(x, length - 1 - x));
}

}  // namespace

ScheduleInfo chimera_info() {
  return {"chimera",
          {},
          "2 f pipelines in both directions over as many weight replicas, flush at the update",
          "Chimera, arXiv 2107.06925 section 3",
          VersionRule::kFlush,
          {{"pipelines", "2 f", "2", "f in each direction; f divides p/2"}},
          batch_window,
          chimera,
          nullptr,
          most_activations,
          closed_forms};
}

}  // namespace stagesim
