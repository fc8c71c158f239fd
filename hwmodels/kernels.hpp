#pragma once

#include <vector>

#include "hwmodels/model.hpp"

namespace stagesim {

// What one GPU kernel computes and how much memory it moves.
struct Kernel {
  double flops = 0, bytes = 0;
};
using Kernels = std::vector<Kernel>;

// m rows, n columns out, k in: 2 bytes for each element of both inputs and the output. Input
// gradients have the same size.
Kernel gemm(double m, double n, double k);
// The weight gradient reads both activations and adds to the fp32 gradient in place (4 + 4 bytes).
Kernel weight_grad(double m, double n, double k);
Kernel stream(double bytes);  // elementwise: memory traffic alone

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

// kernels_moe.cpp: layers of any kind, in particular those that are not ordinary: experts, latent
// attention, head_dim or biases of their own. The functions above hand those over.
bool ordinary_layer(const Model& model);
Kernels general_forward_kernels(const Model& model, int b);
Kernels general_core_forward_kernels(const Model& model, int b);
Kernels general_input_grad_kernels(const Model& model, int b);
Kernels general_weight_grad_kernels(const Model& model, int b);
// BERT's norm on the embedding and its transform before the output layer.
struct EncoderKernels {
  Kernels embedding_forward, embedding_backward, head_forward, head_input_grad, head_weight_grad;
};
EncoderKernels encoder_kernels(const Model& model, int b);  // empty unless model.encoder

}  // namespace stagesim
