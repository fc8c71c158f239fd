#include <fmt/format.h>

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

std::vector<int> balanced_layers(const Model& model, int stages) {
  return balanced_layers(model.layers, stages, 0,
                         head_forward_flops(model, 1) / layer_forward_flops(model, 1));
}

}  // namespace stagesim
