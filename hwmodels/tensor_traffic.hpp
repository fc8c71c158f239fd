#pragma once

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/link_profile.hpp"

namespace stagesim {

// Microseconds that the GPUs of a tensor split spend in collectives of one micro-batch of b
// sequences, and how many there are; zero for one GPU.
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
TensorTraffic layer_traffic(const Model& model, int b, const TensorSplit& split,
                            const LinkProfile& link);
// Of the embedding whose rows are split: the sum over the GPUs.
TensorTraffic embedding_traffic(const Model& model, int b, const TensorSplit& split,
                                const LinkProfile& link);
// Of the output layer whose rows are split, and its loss: maximum, sum and the label's logit of
// every token; the sum of the input's gradient.
TensorTraffic head_traffic(const Model& model, int b, const TensorSplit& split,
                           const LinkProfile& link);

}  // namespace stagesim
