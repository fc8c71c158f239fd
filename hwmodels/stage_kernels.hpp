#pragma once

#include <vector>

#include "hwmodels/kernels.hpp"
#include "hwmodels/stage_costs.hpp"

namespace stagesim {

// What one GPU of a stage runs for a micro-batch, in order; its parameters' optimizer step. The
// collectives of splits, reductions and broadcasts are no kernels.
struct StageKernels {
  Kernels forward, input_grad, weight_grad, step;  // recompute is in input_grad
};

// [stage]: the kernels whose times transformer_stages and add_update_costs add up.
std::vector<StageKernels> stage_kernels(const Model& model, const StagePlan& plan,
                                        const UpdatePlan& update);

// Megatron-LM's mixed precision step in separate passes over memory, see update_costs.cpp:
// `parameters` of one GPU, `own` of them with their optimizer state.
Kernels step_kernels(const Model& model, double parameters, double own, bool owner);

}  // namespace stagesim
