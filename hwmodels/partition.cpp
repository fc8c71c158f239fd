#include <fmt/format.h>

#include <algorithm>

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

std::vector<int> balanced_layers(const Model& model, const GpuProfile& gpu, int stages,
                                 const StagePlan& plan, double launch_us) {
  if (stages == 1) return {model.layers};
  if (dense_layers_among(model, 0, model.layers) % model.layers != 0) {
    throw InputError(
        fmt::format("partition.layers: \"balanced\" needs layers that are alike, but the first {} "
                    "of {} are dense ones; give the layers per stage as a list that sums to {}",
                    model.dense_layers, model.name, model.layers));
  }
  // Three stages of one layer tell what a layer, the embedding and the head take; stage times are
  // affine in the number of layers.
  Model probe = model;
  probe.layers = 3;
  probe.dense_layers = std::min(model.dense_layers, 3);
  StagePlan three = plan;
  three.layers = {1, 1, 1};
  const StageEstimate estimate = transformer_stages(probe, gpu, three, launch_us);
  const auto time = [&](std::size_t stage) {
    return static_cast<double>(
        (estimate.costs[stage].forward + estimate.costs[stage].backward).count());
  };
  return balanced_layers(model.layers, stages, (time(0) - time(1)) / time(1),
                         (time(2) - time(1)) / time(1));
}

}  // namespace stagesim
