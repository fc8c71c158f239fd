#include "hwmodels/arithmetic.hpp"

namespace stagesim {
namespace {

double tokens(const Model& model, int b) { return static_cast<double>(b) * model.seq; }

// Shared by all tensor ranks unless sequence-parallel: 2 bytes each for the inputs of both norms,
// of QKV and of the MLP (8), and the two dropout masks (2).
double shared_bytes_per_token(const Model& model) {
  return (8.0 + (model.dropout ? 2.0 : 0.0)) * model.hidden;
}

// Split over tensor ranks, 2 bytes each: Q and the output projection's input (4 h), K and V, input
// and output of the GELU (4 f) or gate, up and product of the SwiGLU (6 f). 24 h for a plain GPT
// layer, 4 + 4 g/a + 6 f/h for a Llama layer.
double split_bytes_per_token(const Model& model) {
  return 4.0 * model.hidden + 4.0 * model.kv_width() +
         (model.gated ? 6.0 : 4.0) * model.ffn_width();
}

// Softmax output (2), its dropout mask (1) and the dropout's output (2) for every score: 5 a s.
// Flash attention keeps only 4 bytes per row of scores, which no published formula counts; nor do
// we.
double score_bytes_per_token(const Model& model) {
  if (model.flash) return 0;
  return (model.dropout ? 5.0 : 2.0) * model.heads * model.seq;
}

double kept_bytes(const Model& model, int b, const TensorSplit& split, double score_bytes) {
  const double shared =
      shared_bytes_per_token(model) / (split.sequence_parallel ? split.tensor : 1);
  return tokens(model, b) * (shared + (split_bytes_per_token(model) + score_bytes) / split.tensor);
}

double head_input_bytes(const Model& model, int b, const TensorSplit& split) {
  return 2.0 * tokens(model, b) * model.hidden / (split.sequence_parallel ? split.tensor : 1);
}

}  // namespace

std::int64_t layer_parameters(const Model& model) {
  const std::int64_t h = model.hidden, f = model.ffn_width(), qkv = h + 2 * model.kv_width();
  if (model.gated) return h * qkv + h * h + 3 * h * f + 2 * h;  // no biases, two RMSNorms
  const std::int64_t attention = h * qkv + qkv + h * h + h;
  const std::int64_t mlp = h * f + f + f * h + h;
  return attention + mlp + 4 * h;  // two layer norms with gamma and beta
}

std::int64_t embedding_parameters(const Model& model) {
  const std::int64_t positions = model.gated ? 0 : model.seq;  // rotary positions have no table
  return (model.vocab + positions) * model.hidden;
}

std::int64_t head_parameters(const Model& model) {
  return static_cast<std::int64_t>(model.vocab) * model.hidden;
}

std::int64_t final_norm_parameters(const Model& model) {
  return (model.gated ? 1 : 2) * static_cast<std::int64_t>(model.hidden);
}

double layer_forward_flops(const Model& model, int b) {
  const double h = model.hidden;
  const double attention = 2 * h * (h + 2.0 * model.kv_width()) + 2 * h * h + 4 * h * model.seq;
  const double mlp = (model.gated ? 6 : 4) * h * model.ffn_width();
  return tokens(model, b) * (attention + mlp);
}

double head_forward_flops(const Model& model, int b) {
  return 2 * tokens(model, b) * model.hidden * model.vocab;
}

double layer_activation_bytes(const Model& model, int b, const TensorSplit& split) {
  switch (model.recompute) {
    case Recompute::kNone:
      return kept_bytes(model, b, split, score_bytes_per_token(model));
    case Recompute::kSelective:
      return kept_bytes(model, b, split, 0);
    case Recompute::kFull:
      break;
  }
  return 2 * tokens(model, b) * model.hidden;  // the layer's input
}

double layer_activation_after_i_bytes(const Model& model, int b, const TensorSplit& split) {
  // Inputs (14 h) and output gradients (18 h) of the four linear layers. The same 32 h as all that
  // was kept except scores and dropout masks.
  const double shared = 8.0 * model.hidden / (split.sequence_parallel ? split.tensor : 1);
  return tokens(model, b) * (shared + split_bytes_per_token(model) / split.tensor);
}

double layer_workspace_bytes(const Model& model, int b, const TensorSplit& split) {
  const double scores = score_bytes_per_token(model);
  switch (model.recompute) {
    case Recompute::kNone:
      return 0;
    case Recompute::kSelective:
      return tokens(model, b) * scores / split.tensor;
    case Recompute::kFull:
      break;
  }
  return kept_bytes(model, b, split, scores);
}

double embedding_activation_bytes(const Model& model, int b, const TensorSplit& split) {
  const double mask = model.dropout ? tokens(model, b) * model.hidden : 0.0;
  return 8 * tokens(model, b) + mask / (split.sequence_parallel ? split.tensor : 1);
}

double head_activation_bytes(const Model& model, int b, const TensorSplit& split) {
  // 4 s b h (1 + V/h), arXiv 2205.05198 section 4.3.
  return 2 * head_input_bytes(model, b, split) + 4 * tokens(model, b) * model.vocab / split.tensor;
}

double head_activation_after_i_bytes(const Model& model, int b, const TensorSplit& split) {
  return head_input_bytes(model, b, split) + 2 * tokens(model, b) * model.vocab / split.tensor;
}

double interleaved_factor(int p, int v) {
  if (v == 1) return 1;
  return 1 + (p - 1.0) / (static_cast<double>(p) * v);
}

}  // namespace stagesim
