#include "hwmodels/arithmetic.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

void check_uniform(const Model& model) {
  STAGESIM_CHECK(model.experts == 0 || model.dense_layers == 0);
}

double matrices(const Model& model) { return model.gated ? 3 : 2; }  // of an MLP

// Weights and biases of one MLP. Gate and up projection have a bias each.
std::int64_t mlp_parameters(const Model& model, std::int64_t width) {
  const std::int64_t h = model.hidden, up = model.gated ? 2 * width : width;
  return h * up + width * h + (model.has_biases() ? up + h : 0);
}

std::int64_t attention_parameters(const Model& model) {
  const std::int64_t h = model.hidden, heads = model.heads, q = model.query_width();
  const std::int64_t context = model.context_width();
  std::int64_t count = context * h + (model.has_biases() ? h : 0);  // output projection
  if (model.latent()) {
    const std::int64_t rank = model.kv_lora_rank, rope = model.qk_rope_head_dim;
    const std::int64_t q_rank = model.q_lora_rank;
    // With a norm on each latent.
    count += q_rank == 0 ? h * q : h * q_rank + q_rank + q_rank * q;
    return count + h * (rank + rope) + rank +
           rank * heads * (std::int64_t{model.qk_nope_head_dim} + model.v_head_dim);
  }
  const std::int64_t qkv = q + 2 * std::int64_t{model.kv_width()};
  if (model.has_biases() || model.qkv_bias) count += qkv;
  if (model.qk_norm) count += 2 * model.head_width();
  return count + h * qkv;
}

// Of a layer, with `experts` of them counted.
std::int64_t layer_parameters(const Model& model, std::int64_t experts) {
  const std::int64_t h = model.hidden;
  const std::int64_t count = attention_parameters(model) + 2 * (model.has_rms_norm() ? 1 : 2) * h;
  if (model.experts == 0) return count + mlp_parameters(model, model.ffn_width());
  const std::int64_t width = model.expert_width(), shared = model.shared_experts * width;
  return count + h * model.experts + experts * mlp_parameters(model, width) +
         (shared > 0 ? mlp_parameters(model, shared) : 0);
}

std::int64_t rounded_up(std::int64_t count, std::int64_t by) { return (count + by - 1) / by; }

// Of a layer, those that every GPU of a tensor split holds: norms, biases added after the sum over
// the GPUs, the router, projections to a latent. With `experts` of its experts there.
std::int64_t whole_parameters(const Model& model, std::int64_t experts) {
  const std::int64_t h = model.hidden;
  std::int64_t count = 2 * (model.has_rms_norm() ? 1 : 2) * h + h * model.experts;
  if (model.has_biases())
    count += h + h * (experts + (model.experts == 0 || model.shared_experts > 0 ? 1 : 0));
  if (model.latent()) {
    const std::int64_t rank = model.kv_lora_rank, q_rank = model.q_lora_rank;
    count += h * (rank + model.qk_rope_head_dim) + rank + h * q_rank + q_rank;
  } else if (model.qk_norm) {
    count += 2 * model.head_width();
  }
  return count;
}

std::int64_t all_parameters(const Model& model, std::int64_t experts) {
  const int dense = dense_layers_among(model, 0, model.layers);
  return dense * layer_parameters(layer_model(model, 0), 0) +
         (model.layers - dense) * layer_parameters(model, experts) + embedding_parameters(model) +
         final_norm_parameters(model) + (model.tied ? 0 : head_parameters(model));
}

double tokens(const Model& model, int b) { return static_cast<double>(b) * model.seq; }
double tokens(const Model& model, int b, const StageSplit& split) {  // of one GPU
  return tokens(model, b) / split.context;
}

// Shared by all tensor ranks unless sequence-parallel: 2 bytes each for the inputs of both norms,
// of QKV and of the MLP (8), and the two dropout masks (2).
double shared_bytes_per_token(const Model& model) {
  return (8.0 + (model.dropout ? 2.0 : 0.0)) * model.hidden;
}

// Input and output of the GELU (4 f) or gate, up and product of the SwiGLU (6 f).
double mlp_bytes_per_token(const Model& model, double width) {
  return 2 * (model.gated ? 3 : 2) * width;
}

// Of all experts that a token goes to: the copy of the token that each gets and each one's output
// before they are weighted (4 h), its MLP, and the router's fp32 scores.
double expert_bytes_per_token(const Model& model) {
  const double width = model.expert_width();
  return model.experts_per_token * (4.0 * model.hidden + mlp_bytes_per_token(model, width)) +
         mlp_bytes_per_token(model, model.shared_experts * width) + 4.0 * model.experts;
}

// Split over tensor ranks, 2 bytes each: Q, the output projection's input, K and V, and the MLP. 24
// h for a plain GPT layer, 4 + 4 g/a + 6 f/h for a Llama layer. Latent attention keeps both latents
// before and after their norm, the shared rotary key, and the full queries, keys and values.
double split_bytes_per_token(const Model& model) {
  const double latents =
      model.latent() ? 4.0 * (model.q_lora_rank + model.kv_lora_rank) + 2.0 * model.qk_rope_head_dim
                     : 0.0;
  const double attention = 2.0 * (static_cast<double>(model.query_width()) + model.kv_width() +
                                  model.value_width() + model.context_width());
  return attention + latents +
         (model.experts == 0 ? mlp_bytes_per_token(model, model.ffn_width())
                             : expert_bytes_per_token(model));
}

// Softmax output (2), its dropout mask (1) and the dropout's output (2) for every score: 5 a s.
// Flash attention keeps only 4 bytes per row of scores, which no published formula counts; nor do
// we.
double score_bytes_per_token(const Model& model) {
  if (model.flash) return 0;
  return (model.dropout ? 5.0 : 2.0) * model.heads * model.seq;
}

double kept_bytes(const Model& model, int b, const StageSplit& split, double score_bytes) {
  check_uniform(model);
  const double shared = shared_bytes_per_token(model) / split.sequence();
  return tokens(model, b, split) *
         (shared + (split_bytes_per_token(model) + score_bytes) / split.tensor);
}

double head_input_bytes(const Model& model, int b, const StageSplit& split) {
  return 2.0 * tokens(model, b, split) * model.hidden / split.sequence();
}

}  // namespace

std::int64_t layer_parameters(const Model& model, const StageSplit& split) {
  check_uniform(model);
  const std::int64_t all = layer_parameters(model, std::int64_t{model.experts} / split.expert);
  if (split.tensor == 1) return all;
  const std::int64_t whole = whole_parameters(model, std::int64_t{model.experts} / split.expert);
  const std::int64_t keys = model.latent() ? 0 : 2 * std::int64_t{model.hidden} * model.kv_width();
  return whole + rounded_up(all - whole - keys, split.tensor) +
         rounded_up(keys,
                    std::min(split.tensor, model.kv_heads == 0 ? model.heads : model.kv_heads));
}

std::int64_t expert_parameters(const Model& model, const StageSplit& split) {
  if (model.experts == 0) return 0;
  const std::int64_t own = model.experts / split.expert;
  return rounded_up(own * mlp_parameters(model, model.expert_width()), split.tensor);
}

std::int64_t embedding_parameters(const Model& model, const StageSplit& split) {
  const std::int64_t h = model.hidden;
  return rounded_up(head_parameters(model), split.tensor) + model.position_rows() * h +
         (model.encoder ? 2 * h + 2 * h : 0);  // two segments; a norm
}

std::int64_t head_parameters(const Model& model, const StageSplit& split) {
  return rounded_up(static_cast<std::int64_t>(model.vocab) * model.hidden, split.tensor);
}

std::int64_t final_norm_parameters(const Model& model) {
  const std::int64_t h = model.hidden;
  if (!model.encoder) return (model.has_rms_norm() ? 1 : 2) * h;
  const std::int64_t pooler = h * h + h, next_sentence = 2 * h + 2;
  return pooler + next_sentence + (h * h + h + 2 * h) + model.vocab;
}

std::int64_t total_parameters(const Model& model) { return all_parameters(model, model.experts); }

std::int64_t active_parameters(const Model& model) {
  return all_parameters(model, model.experts_per_token);
}

double approximate_parameters(const Model& model) {
  const double h = model.hidden, experts = model.experts + model.shared_experts;
  const double attention = h * (2.0 * model.heads * model.head_width() + 2.0 * model.kv_width()) +
                           1.0 * model.q_lora_rank * (h + model.query_width()) +
                           1.0 * model.kv_lora_rank * (h + model.query_width());
  const double dense = 3 * h * model.ffn_width();
  return model.layers * (attention + dense + experts * (3 * h * model.expert_width() + h));
}

double layer_forward_flops(const Model& model, int b) {
  check_uniform(model);
  const double h = model.hidden, q = model.query_width(), context = model.context_width();
  double projections = h * context;
  if (model.latent()) {
    const double rank = model.kv_lora_rank, q_rank = model.q_lora_rank;
    projections += q_rank == 0 ? h * q : h * q_rank + q_rank * q;
    projections += h * (rank + model.qk_rope_head_dim) +
                   rank * model.heads * (1.0 * model.qk_nope_head_dim + model.v_head_dim);
  } else {
    projections += h * (q + 2.0 * model.kv_width());
  }
  double mlp = matrices(model) * h * model.ffn_width();
  if (model.experts > 0) {
    mlp = matrices(model) * h * (1.0 * model.experts_per_token + model.shared_experts) *
              model.expert_width() +
          h * model.experts;
  }
  return tokens(model, b) * 2 * (projections + (q + context) * model.seq + mlp);
}

double head_forward_flops(const Model& model, int b) {
  const double h = model.hidden, transform = model.encoder ? h * h : 0;
  return 2 * tokens(model, b) * (h * model.vocab + transform);
}

double model_forward_flops(const Model& model, int b) {
  const int dense = dense_layers_among(model, 0, model.layers);
  double flops = head_forward_flops(model, b);
  if (dense > 0) flops += dense * layer_forward_flops(layer_model(model, 0), b);
  if (dense == model.layers) return flops;
  return flops + (model.layers - dense) * layer_forward_flops(layer_model(model, dense), b);
}

double layer_activation_bytes(const Model& model, int b, const StageSplit& split) {
  switch (model.recompute) {
    case Recompute::kNone:
      return kept_bytes(model, b, split, score_bytes_per_token(model));
    case Recompute::kSelective:
      return kept_bytes(model, b, split, 0);
    case Recompute::kFull:
      break;
  }
  return 2 * tokens(model, b, split) * model.hidden;  // the layer's input
}

double layer_activation_after_i_bytes(const Model& model, int b, const StageSplit& split) {
  check_uniform(model);
  // Inputs (14 h) and output gradients (18 h) of the four linear layers. The same 32 h as all that
  // was kept except scores and dropout masks.
  const double shared = 8.0 * model.hidden / split.sequence();
  return tokens(model, b, split) * (shared + split_bytes_per_token(model) / split.tensor);
}

double layer_workspace_bytes(const Model& model, int b, const StageSplit& split) {
  const double scores = score_bytes_per_token(model);
  switch (model.recompute) {
    case Recompute::kNone:
      return 0;
    case Recompute::kSelective:
      return tokens(model, b, split) * scores / split.tensor;
    case Recompute::kFull:
      break;
  }
  return kept_bytes(model, b, split, scores);
}

double embedding_activation_bytes(const Model& model, int b, const StageSplit& split) {
  const double mask = model.dropout ? tokens(model, b, split) * model.hidden : 0.0;
  const double norm = model.encoder ? 2 * tokens(model, b, split) * model.hidden : 0.0;
  return 8 * tokens(model, b, split) + (mask + norm) / split.sequence();
}

double head_activation_bytes(const Model& model, int b, const StageSplit& split) {
  // 4 s b h (1 + V/h), arXiv 2205.05198 section 4.3.
  // BERT's transform keeps its output before and after the GELU, too.
  return (model.encoder ? 4 : 2) * head_input_bytes(model, b, split) +
         4 * tokens(model, b, split) * model.vocab / split.tensor;
}

double head_activation_after_i_bytes(const Model& model, int b, const StageSplit& split) {
  // BERT: input and output gradient of the transform, too.
  return (model.encoder ? 3 : 1) * head_input_bytes(model, b, split) +
         2 * tokens(model, b, split) * model.vocab / split.tensor;
}

double interleaved_factor(int p, int v) {
  if (v == 1) return 1;
  return 1 + (p - 1.0) / (static_cast<double>(p) * v);
}

}  // namespace stagesim
