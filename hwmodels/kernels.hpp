#pragma once

#include <vector>

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/kernel_kind.hpp"
#include "hwmodels/model.hpp"

namespace stagesim {

// What one GPU kernel computes and how much memory it moves.
struct Kernel {
  double flops = 0, bytes = 0;
  KernelKind kind = KernelKind::kPlain;
  // Of one matrix product, as measured_matmuls lists them: rows and columns of the result, terms of
  // each sum; `batch` of them side by side. 0: not one size of product.
  double m = 0, n = 0, k = 0, batch = 1;
};
using Kernels = std::vector<Kernel>;

// A linear layer for m rows, n columns out, k in: 2 bytes for each element of both inputs and the
// output.
Kernel gemm(double m, double n, double k);
Kernel input_grad(double m, double n, double k);
// The weight gradient reads both activations and adds to the fp32 gradient in place (4 + 4 bytes).
Kernel weight_grad(double m, double n, double k);
// Elementwise: memory traffic alone.
Kernel stream(double bytes, KernelKind kind = KernelKind::kPlain);

// Adds the backward of a norm over x elements and of the residual branch beside it: dx reads dy and
// x; gamma and beta (RMSNorm: gamma) read both again; the residual gradient is added to dx.
void append_norm_backward(Kernels& kernels, double x);
void append(Kernels& to, const Kernels& more);

// The kernels of one micro-batch of b sequences on one GPU, in the shape Megatron-LM issues them
// with its default fusions (scale+mask+softmax, bias+GELU, bias+dropout+residual, weight gradients
// added in the GEMM). Recompute is not in them: stage_costs.cpp adds forward kernels to the input
// gradient. A tensor split of t (arXiv 1909.08053 section 3) gives each GPU 1/t of the heads, of
// the MLP's width and of the vocabulary; norms, dropout and residuals stay whole unless sequence
// parallel (arXiv 2205.05198 section 4.2.2). The collectives of the split are not kernels:
// split_traffic.hpp.
Kernels layer_forward_kernels(const Model& model, int b, StageSplit split = {});
Kernels attention_core_forward_kernels(const Model& model, int b, StageSplit split = {});
// Of flash attention alone, which layer_input_grad_kernels contains.
Kernels attention_core_backward_kernels(const Model& model, int b, StageSplit split = {});
// Keys and values of one GPU's tokens, 16-bit.
double key_value_bytes(const Model& model, int b, const StageSplit& split);
Kernels layer_input_grad_kernels(const Model& model, int b, StageSplit split = {});
Kernels layer_weight_grad_kernels(const Model& model, int b, StageSplit split = {});

// First stage. Its gradient goes with the input gradient: autograd does not split it.
Kernels embedding_forward_kernels(const Model& model, int b, StageSplit split = {});
Kernels embedding_backward_kernels(const Model& model, int b, StageSplit split = {});

// Last stage: final norm, output layer, cross entropy on fp32 logits.
Kernels head_forward_kernels(const Model& model, int b, StageSplit split = {});
Kernels head_input_grad_kernels(const Model& model, int b, StageSplit split = {});
Kernels head_weight_grad_kernels(const Model& model, int b, StageSplit split = {});

}  // namespace stagesim
