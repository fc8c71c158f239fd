#include "hwmodels/stage_kernels.hpp"

#include "hwmodels/stage_bytes.hpp"

namespace stagesim {
namespace {

StageKernels layer_kernels(const Model& model, const StagePlan& plan) {
  const int b = plan.microbatch;
  StageKernels layer{.forward = layer_forward_kernels(model, b, plan.split),
                     .input_grad = {},
                     .weight_grad = layer_weight_grad_kernels(model, b, plan.split),
                     .step = {}};
  if (model.recompute == Recompute::kSelective && !model.flash)
    layer.input_grad = attention_core_forward_kernels(model, b, plan.split);
  if (model.recompute == Recompute::kFull) layer.input_grad = layer.forward;
  append(layer.input_grad, layer_input_grad_kernels(model, b, plan.split));
  return layer;
}

void append(StageKernels& to, const StageKernels& more) {
  append(to.forward, more.forward);
  append(to.input_grad, more.input_grad);
  append(to.weight_grad, more.weight_grad);
}

}  // namespace

std::vector<StageKernels> stage_kernels(const Model& model, const StagePlan& plan,
                                        const UpdatePlan& update) {
  const int b = plan.microbatch;
  const StageKernels embedding{.forward = embedding_forward_kernels(model, b, plan.split),
                               .input_grad = embedding_backward_kernels(model, b, plan.split),
                               .weight_grad = {},
                               .step = {}};
  const StageKernels head{.forward = head_forward_kernels(model, b, plan.split),
                          .input_grad = head_input_grad_kernels(model, b, plan.split),
                          .weight_grad = head_weight_grad_kernels(model, b, plan.split),
                          .step = {}};
  std::vector<StageKernels> stages(plan.layers.size());
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const LayerMix mix(model, plan, s);
    const StageKernels dense = layer_kernels(mix.dense_model, plan),
                       rest = layer_kernels(mix.rest_model, plan);
    if (s == 0) append(stages[s], embedding);
    for (int i = 0; i < mix.dense; ++i) append(stages[s], dense);
    for (int i = 0; i < mix.rest; ++i) append(stages[s], rest);
    if (s + 1 == stages.size()) append(stages[s], head);
    const auto parameters = static_cast<double>(stage_parameters(model, plan, s));
    const auto experts = static_cast<double>(stage_expert_parameters(model, plan, s));
    const double share = parameters == 0 ? 0 : experts / parameters;
    stages[s].step =
        step_kernels(model, parameters, parameters * update.own_share(share), update.owned());
  }
  return stages;
}

}  // namespace stagesim
