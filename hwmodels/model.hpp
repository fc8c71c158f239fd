#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json_fields.hpp"

namespace stagesim {

enum class Recompute : std::uint8_t { kNone, kSelective, kFull };

// A decoder- or encoder-only transformer, field for field what a scenario's "model" may say.
struct Model {
  std::string name;
  int layers = 0, hidden = 0, heads = 0;
  int kv_heads = 0;  // 0: as many as heads
  int ffn = 0;       // 0: 4 x hidden
  int vocab = 0, seq = 0;
  std::string dtype = "bf16";  // fp16, bf16: equally large and equally fast
  Recompute recompute = Recompute::kNone;
  bool flash = false;  // fused attention: no score matrix in memory
  bool causal = true;  // halves the work of flash attention; unfused kernels compute every score
  bool gated = false;  // Llama style: SwiGLU (three matrices), RMSNorm, rotary positions, no biases
  bool tied = true;    // input embedding and output layer share weights, as one copy where p = 1
  bool dropout = true;  // default false when gated

  int head_dim = 0;                // 0: hidden / heads
  std::optional<int> positions{};  // rows of the position table; default seq, 0 when gated
  std::optional<bool> biases{};    // of all linear layers; default !gated
  bool qkv_bias = false;           // of Q, K and V alone (Qwen2)
  std::optional<bool> rms_norm{};  // gamma only; default gated
  bool qk_norm = false;            // per head, of queries and keys (Qwen3)
  // BERT: two segments and a norm on the embedding, none at the end; pooler and the masked-word
  // transform (h x h, GELU, norm) before the output layer. Default not causal.
  bool encoder = false;

  // Mixture of experts: each token goes to experts_per_token of them and to every shared one.
  int experts = 0, experts_per_token = 0, shared_experts = 0;
  int expert_ffn = 0;    // 0: ffn
  int dense_layers = 0;  // the first ones have a plain MLP of ffn instead

  // Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1); kv_lora_rank > 0
  // turns it on, q_lora_rank 0 projects queries in one step.
  int q_lora_rank = 0, kv_lora_rank = 0;
  int qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;

  bool latent() const { return kv_lora_rank > 0; }
  int head_width() const { return head_dim == 0 ? hidden / heads : head_dim; }
  int query_width() const {
    return heads * (latent() ? qk_nope_head_dim + qk_rope_head_dim : head_width());
  }
  // Keys, and values unless latent, as the attention core reads them.
  int kv_width() const {
    return latent() ? query_width() : head_width() * (kv_heads == 0 ? heads : kv_heads);
  }
  int value_width() const { return latent() ? heads * v_head_dim : kv_width(); }
  int context_width() const { return latent() ? heads * v_head_dim : query_width(); }
  int ffn_width() const { return ffn == 0 ? 4 * hidden : ffn; }
  int expert_width() const { return expert_ffn == 0 ? ffn_width() : expert_ffn; }
  int position_rows() const { return positions.value_or(gated ? 0 : seq); }
  bool has_biases() const { return biases.value_or(!gated); }
  bool has_rms_norm() const { return rms_norm.value_or(gated); }
};

// Layers of a model are alike but for the first dense_layers of a mixture of experts. The model
// whose layers are all like that one; arithmetic and kernels of a single layer take such a model.
Model layer_model(const Model& model, int layer);
// How many of the layers [first, first + count) are dense ones before the experts begin.
int dense_layers_among(const Model& model, int first, int count);

std::vector<std::string> model_preset_names();
// The JSON of a preset. Throws InputError with the nearest name.
std::string model_preset_text(std::string_view name);
// As "model": {"preset": NAME} reads it.
Model preset_model(const std::string& name);

// Reads "model": {"preset": NAME, overrides...} or the fields themselves, and finishes `fields`.
// With a base (a model file that was read before) the fields override it, and its sizes that are 0
// must be said. Problems go to the source; the Model that comes back with problems is only there to
// read on.
Model read_model(JsonFields& fields, const std::optional<Model>& base = {});

}  // namespace stagesim
