#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/stage_costs.hpp"
#include "sim/base/error.hpp"

namespace stagesim {

std::vector<int> even_layers(int layers, int stages) {
  STAGESIM_CHECK(layers >= 0 && stages >= 1);
  const int each = layers / stages, rest = layers % stages;
  if (rest != 0) {
    throw InputError(
        fmt::format("partition.layers: {} layers do not divide by {} stages ({} = {} x {} + {}); "
                    "give the layers "
                    "per stage as a list that sums to {}, or \"balanced\"",
                    layers, stages, layers, stages, each, rest, layers));
  }
  return std::vector<int>(static_cast<std::size_t>(stages), each);
}

// One layer at a time to the least loaded stage: that minimises the slowest stage and, among those
// splits, the spread. Ties go to the later stage, which holds fewer micro-batches in 1F1B.
std::vector<int> balanced_layers(int layers, int stages, double first_extra, double last_extra) {
  STAGESIM_CHECK(layers >= 0 && stages >= 1 && first_extra >= 0 && last_extra >= 0);
  std::vector<int> result(static_cast<std::size_t>(stages), 0);
  std::vector<double> extra(result.size(), 0);
  extra.front() += first_extra;
  extra.back() += last_extra;
  for (int given = 0; given < layers; ++given) {
    std::size_t best = 0;
    for (std::size_t s = 1; s < result.size(); ++s) {
      if (result[s] + extra[s] <= result[best] + extra[best]) best = s;
    }
    ++result[best];
  }
  return result;
}

// Every way to end the first stages at a layer, best first by the slowest stage, then by the sum of
// squares. Ties go to the later stage.
std::vector<int> balanced_layers(const std::vector<double>& times, int stages, double first_extra,
                                 double last_extra) {
  STAGESIM_CHECK(stages >= 1);
  struct Best {
    double slowest = std::numeric_limits<double>::infinity(), squares = 0;
    std::size_t begin = 0;  // layer at which the last stage begins
    bool before(const Best& other) const {
      return std::tie(slowest, squares) < std::tie(other.slowest, other.squares);
    }
  };
  const std::size_t layers = times.size(), count = static_cast<std::size_t>(stages);
  std::vector<double> until(layers + 1, 0);
  for (std::size_t l = 0; l < layers; ++l) until[l + 1] = until[l] + times[l];
  std::vector<std::vector<Best>> best(count, std::vector<Best>(layers + 1));
  for (std::size_t s = 0; s < count; ++s) {
    const double extra = (s == 0 ? first_extra : 0) + (s + 1 == count ? last_extra : 0);
    for (std::size_t end = 0; end <= layers; ++end) {
      for (std::size_t begin = s == 0 ? end : 0; begin <= end; ++begin) {
        const double time = until[end] - until[s == 0 ? 0 : begin] + extra;
        Best here{time, time * time, s == 0 ? 0 : begin};
        if (s > 0) {
          here.slowest = std::max(here.slowest, best[s - 1][begin].slowest);
          here.squares += best[s - 1][begin].squares;
        }
        if (here.before(best[s][end])) best[s][end] = here;
      }
    }
  }
  std::vector<int> result(count, 0);
  std::size_t end = layers;
  for (std::size_t s = count; s-- > 0; end = best[s][end].begin)
    result[s] = static_cast<int>(end - best[s][end].begin);
  return result;
}

std::vector<int> balanced_layers(const Model& model, const GpuProfile& gpu, int stages,
                                 const StagePlan& plan, double launch_us) {
  if (stages == 1) return {model.layers};
  // Three stages of one layer tell what a layer, the embedding and the head take; stage times are
  // affine in the number of layers of a kind.
  const auto times_of = [&](int layer) {
    Model probe = layer_model(model, layer);
    probe.layers = 3;
    StagePlan three = plan;
    three.layers = {1, 1, 1};
    const StageEstimate estimate = transformer_stages(probe, gpu, three, launch_us);
    std::array<double, 3> times{};
    for (std::size_t s = 0; s < 3; ++s) {
      const StageCosts& costs = estimate.costs[s];
      times[s] = static_cast<double>((costs.forward + costs.backward).count());
    }
    return times;
  };
  const auto [first, layer, last] = times_of(model.layers - 1);
  const int dense = dense_layers_among(model, 0, model.layers);
  if (dense % model.layers == 0) {
    return balanced_layers(model.layers, stages, (first - layer) / layer, (last - layer) / layer);
  }
  std::vector<double> times(static_cast<std::size_t>(model.layers), layer);
  std::fill_n(times.begin(), dense, times_of(0)[1]);
  return balanced_layers(times, stages, first - layer, last - layer);
}

}  // namespace stagesim
