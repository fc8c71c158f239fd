#pragma once

#include <cstdint>

#include "hwmodels/model.hpp"

namespace stagesim {

// How the GPUs of one rank share its stages.
struct StageSplit {
  int tensor = 1;
  bool sequence_parallel = false;
  int context = 1;  // GPUs that take a part of every sequence each (ring attention)
  // GPUs that share the experts of a layer, each with its own tokens: context and data-parallel
  // ones, so they are no more GPUs.
  int expert = 1;
  int gpus() const { return tensor * context; }
  // GPUs that share what lies between the split matrices: norms, dropout, residuals, messages.
  int sequence() const { return sequence_parallel ? tensor : 1; }
};

// Exact counts, no hardware in them. b is the micro-batch in sequences. What counts one layer needs
// a model whose layers are alike; of one whose first layers are dense, take layer_model().

// Parameters on one GPU. A plain GPT layer has 12 h^2 + 13 h.
std::int64_t layer_parameters(const Model& model, const StageSplit& split = {});
// Those of them that are experts'.
std::int64_t expert_parameters(const Model& model, const StageSplit& split = {});
// Tokens and positions; BERT: norm, segments.
std::int64_t embedding_parameters(const Model& model, const StageSplit& split = {});
// V h, the last stage's own copy where p > 1.
std::int64_t head_parameters(const Model& model, const StageSplit& split = {});
// 2 h; BERT: pooler, next-sentence classifier, masked-word transform and the output's bias.
std::int64_t final_norm_parameters(const Model& model);

// Of the whole model on one GPU, where a tied output layer is no copy; and those of them that one
// token goes through: experts_per_token of the experts, all of the embedding.
std::int64_t total_parameters(const Model& model);
std::int64_t active_parameters(const Model& model);
double approximate_parameters(const Model& model);  // of the layers; never overflows

// Model FLOPs: every attention score counts, causal or not (Narayanan et al., arXiv 2104.04473).
double layer_forward_flops(const Model& model,
                           int b);  // 24 b s h^2 + 4 b s^2 h for a plain GPT layer
double head_forward_flops(const Model& model, int b);   // 2 b s h V
double model_forward_flops(const Model& model, int b);  // all layers and the head

// Bytes that one micro-batch keeps per layer until its backward, on one GPU (Korthikanti et al.,
// arXiv 2205.05198, Table 2), by recompute, flash and tensor split.
double layer_activation_bytes(const Model& model, int b, const StageSplit& split);
// What stays from I until W: 32 s b h of the 34 s b h + 5 a b s^2 (arXiv 2401.10241, Table 1). More
// than the activation itself under full recompute, because I brings back what W needs.
double layer_activation_after_i_bytes(const Model& model, int b, const StageSplit& split);
// Scratch while one layer runs: what recompute brings back for it.
double layer_workspace_bytes(const Model& model, int b, const StageSplit& split);

// Stage 0: token ids and dropout mask; nothing stays after I.
double embedding_activation_bytes(const Model& model, int b, const StageSplit& split);
// Last stage: inputs of the final norm and of the output layer, fp32 logits.
double head_activation_bytes(const Model& model, int b, const StageSplit& split);
// Input and 16-bit output gradient of the output layer.
double head_activation_after_i_bytes(const Model& model, int b, const StageSplit& split);

// Layers' worth of activations that the first stage of interleaved 1F1B holds, in units of the
// whole model's layers on p stages: 1 + (p - 1) / (p v), and 1 for plain 1F1B (v = 1).
double interleaved_factor(int p, int v);

// Megatron mixed precision: 16-bit weight, fp32 gradient, fp32 master and two Adam moments.
struct StateBytesPerParameter {
  int weight = 2, gradient = 4, optimizer = 12;
  int total() const { return weight + gradient + optimizer; }
};

}  // namespace stagesim
