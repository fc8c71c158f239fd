#include "hwmodels/hf_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "sim/base/names.hpp"

namespace stagesim {
namespace {

// What a model_type means; the classes' defaults where they differ.
struct Family {
  const char* type;
  bool gated, tied;
  bool kv_heads;  // must be said, because the default is not "as many as heads"
  bool head_dim;  // may be said
  bool short_names = false;
};
constexpr Family kFamilies[] = {
    {"llama", true, false, false, true},       {"mistral", true, false, true, true},
    {"mixtral", true, false, true, true},      {"qwen2", true, false, true, false},
    {"qwen3", true, false, true, true},        {"gemma", true, true, true, true},
    {"bert", false, true, false, false},       {"deepseek_v3", true, false, false, false},
    {"gpt2", false, true, false, false, true}, {"gpt_neox", false, false, false, false},
};

// Fields without a say in sizes or FLOPs; tokens, initialisation, generation, how a checkpoint was
// written.
const std::set<std::string> kIrrelevant = {"architectures",
                                           "auto_map",
                                           "transformers_version",
                                           "model_type",
                                           "_name_or_path",
                                           "bos_token_id",
                                           "eos_token_id",
                                           "pad_token_id",
                                           "initializer_range",
                                           "initializer_factor",
                                           "hidden_act",
                                           "hidden_activation",
                                           "activation_function",
                                           "rms_norm_eps",
                                           "layer_norm_eps",
                                           "layer_norm_epsilon",
                                           "rope_theta",
                                           "rope_scaling",
                                           "rope_interleave",
                                           "rope_parameters",
                                           "rotary_emb_base",
                                           "rotary_pct",
                                           "partial_rotary_factor",
                                           "use_cache",
                                           "pretraining_tp",
                                           "max_window_layers",
                                           "use_sliding_window",
                                           "output_router_logits",
                                           "router_aux_loss_coef",
                                           "router_jitter_noise",
                                           "aux_loss_alpha",
                                           "seq_aux",
                                           "n_group",
                                           "topk_group",
                                           "topk_method",
                                           "norm_topk_prob",
                                           "routed_scaling_factor",
                                           "scoring_func",
                                           "ep_size",
                                           "summary_activation",
                                           "summary_first_dropout",
                                           "summary_proj_to_labels",
                                           "summary_type",
                                           "summary_use_proj",
                                           "task_specific_params",
                                           "n_ctx",
                                           "scale_attn_weights",
                                           "scale_attn_by_inverse_layer_idx",
                                           "reorder_and_upcast_attn",
                                           "gradient_checkpointing",
                                           "classifier_dropout",
                                           "hidden_dropout",
                                           "position_embedding_type",
                                           "_attn_implementation",
                                           "id2label",
                                           "label2id",
                                           "is_decoder"};

const Family* family_of(const std::string& type) {
  const auto found = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                  [&](const Family& f) { return type == f.type; });
  return found == std::end(kFamilies) ? nullptr : &*found;
}

class Reader {
 public:
  Reader(JsonFields& fields, const Json& json, ModelFile& to)
      : fields_(fields), json_(json), to_(to) {}

  int size(const char* key, bool required = true, int low = 1) {
    asked_.insert(key);
    if (!required && !json_.contains(key)) return 0;
    return static_cast<int>(fields_.integer(key, low, 1'000'000'000));
  }
  bool flag(const char* key, bool otherwise) {
    asked_.insert(key);
    return fields_.boolean(key, otherwise);
  }
  double rate(const char* key, double otherwise) {
    asked_.insert(key);
    return fields_.number(key, 0, 1, otherwise);
  }
  std::string string(const char* key, const char* otherwise) {
    asked_.insert(key);
    return fields_.string(key, otherwise);
  }
  bool has(const char* key) {
    asked_.insert(key);
    return json_.contains(key);
  }
  template <typename... Args>
  void note(fmt::format_string<Args...> text, Args&&... args) {
    to_.notes.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  void note_unknown() {
    std::vector<std::string> unknown;
    for (const auto& [key, value] : json_.items()) {
      if (asked_.count(key) == 0 && kIrrelevant.count(key) == 0) unknown.push_back(key);
    }
    if (!unknown.empty()) note("fields not looked at: {}", fmt::join(unknown, ", "));
  }

 private:
  JsonFields& fields_;
  const Json& json_;
  ModelFile& to_;
  std::set<std::string> asked_;
};

void read_sizes(Reader& read, const Family& family, ModelFile& to) {
  Model& m = to.model;
  const bool shorter = family.short_names;
  m.layers = read.size(shorter ? "n_layer" : "num_hidden_layers");
  m.hidden = read.size(shorter ? "n_embd" : "hidden_size");
  m.heads = read.size(shorter ? "n_head" : "num_attention_heads");
  m.ffn = read.size(shorter ? "n_inner" : "intermediate_size", !shorter);
  m.vocab = read.size("vocab_size");
  to.longest = read.size(shorter ? "n_positions" : "max_position_embeddings");
  if (family.gated) {
    m.kv_heads = read.size("num_key_value_heads", family.kv_heads);
    // A field of older files that says the same as hidden / heads, and of new ones that does not.
    if (family.head_dim) m.head_dim = read.size("head_dim", m.name == "gemma" || m.name == "qwen3");
  }
  if (!family.gated) m.positions = m.name == "gpt_neox" ? 0 : to.longest;
  m.tied = read.flag("tie_word_embeddings", family.tied);
}

void read_experts(Reader& read, JsonFields& fields, Model& m) {
  if (m.name == "mixtral") {
    m.experts = read.size("num_local_experts");
    m.experts_per_token = read.size("num_experts_per_tok");
  }
  if (m.name != "deepseek_v3") return;
  m.experts = read.size("n_routed_experts");
  m.experts_per_token = read.size("num_experts_per_tok");
  m.shared_experts = read.size("n_shared_experts", false, 0);
  m.expert_ffn = read.size("moe_intermediate_size");
  m.dense_layers = read.size("first_k_dense_replace", true, 0);
  m.q_lora_rank = read.size("q_lora_rank", false);
  m.kv_lora_rank = read.size("kv_lora_rank");
  m.qk_nope_head_dim = read.size("qk_nope_head_dim");
  m.qk_rope_head_dim = read.size("qk_rope_head_dim");
  m.v_head_dim = read.size("v_head_dim");
  m.kv_heads = 0;  // as many as heads, by construction
  if (read.has("moe_layer_freq") && read.size("moe_layer_freq") != 1)
    fields.problem("moe_layer_freq", "expected 1: every layer after the dense ones has experts");
  if (read.size("num_nextn_predict_layers", false, 0) > 0)
    read.note("num_nextn_predict_layers: the multi-token prediction layers are not counted");
}

void read_biases(Reader& read, Model& m) {
  if (m.name == "qwen2") m.qkv_bias = true;
  if (m.name == "qwen3") m.qk_norm = true;
  if (m.name == "gpt_neox" && read.flag("use_parallel_residual", true))
    read.note("use_parallel_residual: attention and MLP are timed one after the other");
  if (m.name == "gpt_neox" && !read.flag("attention_bias", true))
    read.note("attention_bias false: the biases are counted all the same");
  if (!m.gated) return;
  const bool attention = read.flag("attention_bias", false), mlp = read.flag("mlp_bias", false);
  if (attention && mlp) m.biases = true;
  if (attention && !mlp) {
    m.qkv_bias = true;
    read.note("attention_bias: counted for Q, K and V; not the {} of the output projection",
              m.hidden);
  }
  if (mlp && !attention) read.note("mlp_bias: not counted");
}

void read_training(Reader& read, JsonFields& fields, const Json& json, Model& m) {
  const double by_default = m.name == "gpt2" || m.name == "bert" ? 0.1 : 0.0;
  double dropout = 0;
  for (const char* key : {"attention_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop",
                          "attention_probs_dropout_prob", "hidden_dropout_prob"}) {
    const bool other_family =
        std::string(key).find("pdrop") != std::string::npos
            ? m.name != "gpt2"
            : (std::string(key).find("prob") != std::string::npos) != (m.name == "bert");
    if (!other_family) dropout = std::max(dropout, read.rate(key, by_default));
  }
  m.dropout = dropout > 0;
  m.flash = true;
  read.note("flash: true, because a config.json does not say how it is trained (model.flash)");
  const std::string type = read.string("torch_dtype", read.string("dtype", "bfloat16").c_str());
  m.dtype = type == "float16" ? "fp16" : "bf16";
  if (type != "float16" && type != "bfloat16")
    read.note("torch_dtype {}: trained as bf16 here (model.dtype)", type);
  const bool slides = m.name == "qwen2" || m.name == "qwen3"
                          ? read.flag("use_sliding_window", false)
                          : read.has("sliding_window");
  if (read.has("sliding_window") && slides)
    read.note("sliding_window {}: not modelled, every score of the sequence counts",
              short_text(json["sliding_window"]));
  if (read.has("layer_types") && json["layer_types"].dump().find("sliding") != std::string::npos)
    read.note("layer_types: sliding attention is not modelled, every score of the sequence counts");
  if (read.has("quantization_config"))
    read.note("quantization_config: not modelled; weights and arithmetic are 16-bit");
  if (read.flag("add_cross_attention", false))
    fields.problem("add_cross_attention", "true: cross attention is not modelled");
  if (m.name == "bert" && read.has("type_vocab_size") && read.size("type_vocab_size") != 2)
    fields.problem("type_vocab_size", "expected 2 segments");
}

}  // namespace

std::vector<std::string> hf_model_types() {
  std::vector<std::string> types;
  for (const Family& family : kFamilies) types.emplace_back(family.type);
  std::sort(types.begin(), types.end());
  return types;
}

ModelFile read_hf_config(std::string_view text, const std::string& file) {
  Json json = parse_json(text, file);
  if (!json.is_object())
    throw InputError(fmt::format("{}: expected a JSON object, got {}", file, short_text(json)));
  // null says nothing in these files: the class's default.
  for (auto it = json.begin(); it != json.end();) it = it->is_null() ? json.erase(it) : ++it;
  Problems problems;
  const JsonSource source{.file = file, .origins = {}, .problems = &problems};
  JsonFields fields(json, source, "");
  ModelFile to;
  const std::string type = fields.string("model_type");
  problems.throw_if_any();
  const Family* family = family_of(type);
  if (family == nullptr) {
    throw InputError(
        fmt::format("{}: {}; give the fields (layers, hidden, heads, ...) "
                    "instead",
                    file, unknown_name("model_type", type, hf_model_types())));
  }
  Model& m = to.model;
  m.name = type;
  m.gated = family->gated;
  m.encoder = type == "bert";
  m.causal = !m.encoder;
  Reader read(fields, json, to);
  read_sizes(read, *family, to);
  read_experts(read, fields, m);
  read_biases(read, m);
  read_training(read, fields, json, m);
  read.note_unknown();
  problems.throw_if_any();
  if (m.head_dim * std::int64_t{m.heads} == m.hidden) m.head_dim = 0;
  return to;
}

}  // namespace stagesim
