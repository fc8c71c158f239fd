#include "tools/study/fastest_layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "tools/study/stage_estimate.hpp"

namespace stagesim {
namespace {

using Layers = std::vector<int>;

// How good a split is: the smaller the better.
struct Score {
  std::int64_t over_capacity = 0;  // bytes of the worst rank
  Nanos step{};

  explicit Score(const Run& run, std::int64_t capacity) : step(run.result.step_time) {
    for (const RankMemory& rank : run.result.memory)
      over_capacity = std::max(over_capacity, rank.peak - capacity);
  }
  bool operator<(const Score& other) const {
    return std::tie(over_capacity, step) < std::tie(other.over_capacity, other.step);
  }
};

Run run_with(const Scenario& s, const ScheduleSpec& spec, int v, const Layers& layers) {
  Scenario fixed = s;
  fixed.source.split = LayerSplit::kList;
  fixed.source.layers = layers;
  fixed.source.virtual_stages = v;
  fixed.stages = split_transformer(fixed, v);
  return run_schedule(fixed, spec);
}

}  // namespace

Run fastest_run(const Scenario& s, const ScheduleSpec& spec, int v) {
  const std::int64_t capacity = gpu_bytes(s);
  Scenario balanced = s;
  balanced.source.split = LayerSplit::kBalanced;
  Layers layers = layers_per_stage(balanced, v);
  Run best = run_with(s, spec, v, layers);
  Score score(best, capacity);
  const double balanced_ms = to_ms(score.step);
  std::set<Layers> tried{layers};
  const auto full = [&] { return static_cast<int>(tried.size()) >= kMostSplits; };
  const auto try_split = [&](Layers split) {
    if (!tried.insert(split).second) return false;
    Run run = run_with(s, spec, v, split);
    const Score score_of_it(run, capacity);
    if (!(score_of_it < score)) return false;
    score = score_of_it;
    best = std::move(run);
    layers = std::move(split);
    return true;
  };
  const auto try_move = [&](std::size_t give, std::size_t take) {
    if (give == take || layers[give] == 0) return false;
    Layers moved = layers;
    --moved[give], ++moved[take];
    return try_split(std::move(moved));
  };
  const int stages = s.ranks * v;
  if (s.model->layers % stages == 0) try_split(even_layers(s.model->layers, stages));
  for (bool better = true; better;) {
    better = false;
    for (std::size_t give = 0; give < layers.size(); ++give) {
      for (std::size_t take = 0; take < layers.size() && !full(); ++take)
        better = try_move(give, take) || better;
    }
  }
  best.assumptions.push_back(fmt::format(
      "{}: fastest of {} splits of the layers{}: {:.3f} ms instead of {:.3f} balanced{}",
      best.result.name, tried.size(), full() ? ", the most that are tried" : "", to_ms(score.step),
      balanced_ms, score.over_capacity > 0 ? "; none tried fits the memory" : ""));
  return best;
}

}  // namespace stagesim
