#pragma once

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/link_profile.hpp"

namespace stagesim {

// Microseconds that the GPUs of a rank spend in communication among themselves for one micro-batch
// of b sequences, and how many kernels that is; zero for one GPU.
struct Traffic {
  double us = 0, collectives = 0;
};
struct TensorTraffic {
  Traffic forward, input_grad;
  // Of input_grad's, what Megatron-LM can run beside the weight gradient of the same linear layer.
  double beside_weight_grad_us = 0;
};

// Of a layer: two all-reduces of 2 b s h bytes in the forward, two in the input gradient (Shoeybi
// et al., arXiv 1909.08053, section 3); sequence parallel an all-gather and a reduce-scatter for
// each (Korthikanti et al., arXiv 2205.05198, section 4.2.2). The all-gather that the weight
// gradient needs again is hidden behind a GEMM there and costs nothing here.
TensorTraffic layer_traffic(const Model& model, int b, const StageSplit& split,
                            const LinkProfile& link);
// Of the embedding whose rows are split: the sum over the GPUs.
TensorTraffic embedding_traffic(const Model& model, int b, const StageSplit& split,
                                const LinkProfile& link);
// Of the output layer whose rows are split, and its loss: maximum, sum and the label's logit of
// every token; the sum of the input's gradient.
TensorTraffic head_traffic(const Model& model, int b, const StageSplit& split,
                           const LinkProfile& link);

// By how much ring attention makes a layer's attention core longer (Liu et al., arXiv 2310.01889;
// Megatron-LM's --cp-comm-type p2p): in each of c steps a GPU computes on one part of the keys and
// values while the next part comes in, so c - 1 steps take the longer of the two. core_us: the core
// alone. The backward brings the gradients of that part along, twice the bytes.
Traffic ring_forward(const Model& model, int b, const StageSplit& split, const LinkProfile& link,
                     double core_us);
Traffic ring_backward(const Model& model, int b, const StageSplit& split, const LinkProfile& link,
                      double core_us);
// Of a layer of experts that several GPUs share: all-to-alls of the tokens' copies to the experts
// and back, in the forward, and as many in the input gradient (Lepikhin et al., arXiv 2006.16668,
// section 3).
Traffic expert_traffic(const Model& model, int b, const StageSplit& split, const LinkProfile& link);

}  // namespace stagesim
