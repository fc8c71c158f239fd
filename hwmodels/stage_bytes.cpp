#include "hwmodels/stage_bytes.hpp"

#include <cmath>

namespace stagesim {

std::int64_t stage_parameters(const Model& model, const StagePlan& plan, std::size_t stage) {
  const bool first = stage == 0, last = stage + 1 == plan.layers.size();
  const LayerMix mix(model, plan, stage);
  std::int64_t count = mix.dense * layer_parameters(mix.dense_model, plan.split) +
                       mix.rest * layer_parameters(mix.rest_model, plan.split);
  if (first) count += embedding_parameters(model, plan.split);
  if (last) count += final_norm_parameters(model);
  if (last && !(first && model.tied)) count += head_parameters(model, plan.split);
  return count;
}

std::int64_t stage_expert_parameters(const Model& model, const StagePlan& plan, std::size_t stage) {
  const LayerMix mix(model, plan, stage);
  return mix.dense * expert_parameters(mix.dense_model, plan.split) +
         mix.rest * expert_parameters(mix.rest_model, plan.split);
}

StageBytes stage_bytes(const Model& model, const StagePlan& plan, std::size_t stage,
                       std::int64_t parameters) {
  const bool first = stage == 0, last = stage + 1 == plan.layers.size();
  const int b = plan.microbatch;
  const StageSplit& split = plan.split;
  const StateBytesPerParameter state;
  const LayerMix mix(model, plan, stage);
  double kept = mix.sum([&](const Model& m) { return layer_activation_bytes(m, b, split); });
  double after_i =
      mix.sum([&](const Model& m) { return layer_activation_after_i_bytes(m, b, split); });
  if (first) kept += embedding_activation_bytes(model, b, split);
  if (last) {
    kept += head_activation_bytes(model, b, split);
    after_i += head_activation_after_i_bytes(model, b, split);
  }
  // Every GPU of a stage sends to its counterpart what it holds of the activation.
  const double message =
      last ? 0 : 2.0 * b * model.seq / split.context * model.hidden / split.sequence();
  const double workspace =
      mix.largest([&](const Model& m) { return layer_workspace_bytes(m, b, split); });
  return {.activation = std::llround(kept),
          .activation_after_i = std::llround(after_i),
          .message = std::llround(message),
          .weights = state.weight * parameters,
          .gradients = state.gradient * parameters,
          .optimizer = state.optimizer * parameters,
          .workspace = std::llround(workspace)};
}

}  // namespace stagesim
