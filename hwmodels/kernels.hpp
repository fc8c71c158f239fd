#pragma once

#include <vector>

#include "hwmodels/kernel_kind.hpp"
#include "hwmodels/model.hpp"

namespace stagesim {

// What one GPU kernel computes and how much memory it moves.
struct Kernel {
  double flops = 0, bytes = 0;
  KernelKind kind = KernelKind::kPlain;
};
using Kernels = std::vector<Kernel>;

// The kernels of one micro-batch of b sequences, in the shape Megatron-LM issues them with its
// default fusions (scale+mask+softmax, bias+GELU, bias+dropout+residual, weight gradients added in
// the GEMM). Recompute is not in them: stage_costs.cpp adds forward kernels to the input gradient.
Kernels layer_forward_kernels(const Model& model, int b);
Kernels attention_core_forward_kernels(const Model& model, int b);  // part of the layer's
Kernels layer_input_grad_kernels(const Model& model, int b);
Kernels layer_weight_grad_kernels(const Model& model, int b);

// First stage. Its gradient goes with the input gradient: autograd does not split it.
Kernels embedding_forward_kernels(const Model& model, int b);
Kernels embedding_backward_kernels(const Model& model, int b);

// Last stage: final norm, output layer, cross entropy on fp32 logits.
Kernels head_forward_kernels(const Model& model, int b);
Kernels head_input_grad_kernels(const Model& model, int b);
Kernels head_weight_grad_kernels(const Model& model, int b);

}  // namespace stagesim
