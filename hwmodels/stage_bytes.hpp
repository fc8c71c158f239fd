#pragma once

#include <algorithm>
#include <numeric>

#include "hwmodels/stage_costs.hpp"

// What stages hold, for stage_costs.cpp alone.
namespace stagesim {

// A stage's layers: the dense ones before the experts begin, and the rest.
struct LayerMix {
  LayerMix(const Model& model, const StagePlan& plan, std::size_t stage)
      : dense_model(layer_model(model, 0)), rest_model(layer_model(model, model.dense_layers)) {
    const auto at = plan.layers.begin() + static_cast<std::ptrdiff_t>(stage);
    dense = dense_layers_among(model, std::accumulate(plan.layers.begin(), at, 0), *at);
    rest = *at - dense;
  }
  template <typename Of>
  auto sum(Of of) const {
    return of(dense_model) * dense + of(rest_model) * rest;
  }
  template <typename Of>
  double largest(Of of) const {
    return std::max(dense > 0 ? of(dense_model) : 0.0, rest > 0 ? of(rest_model) : 0.0);
  }

  Model dense_model, rest_model;
  int dense = 0, rest = 0;
};

// Of one GPU: all parameters, and those of them that are experts'.
std::int64_t stage_parameters(const Model& model, const StagePlan& plan, std::size_t stage);
std::int64_t stage_expert_parameters(const Model& model, const StagePlan& plan, std::size_t stage);
// Of one micro-batch, and the states of that many parameters.
StageBytes stage_bytes(const Model& model, const StagePlan& plan, std::size_t stage,
                       std::int64_t parameters);

}  // namespace stagesim
