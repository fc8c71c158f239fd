#include "hwmodels/model.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/arithmetic.hpp"
#include "sim/base/embedded.hpp"
#include "sim/base/names.hpp"

namespace stagesim {

extern const EmbeddedFile kEmbeddedPresets[];

namespace {

// Far above any real model, low enough for 64-bit byte counts.
constexpr std::int64_t kMostLayers = 10'000, kWidest = 1'000'000, kLongest = 100'000'000;
constexpr std::int64_t kMostExperts = 4096;
constexpr double kMostParameters = 1e17;

Recompute recompute_of(const std::string& name) {
  if (name == "selective") return Recompute::kSelective;
  return name == "full" ? Recompute::kFull : Recompute::kNone;
}

std::string text(Recompute recompute) {
  switch (recompute) {
    case Recompute::kNone:
      return "none";
    case Recompute::kSelective:
      return "selective";
    case Recompute::kFull:
      break;
  }
  return "full";
}

// What the object does not say stays as in `model`; sizes that are 0 there must be said.
Model read_fields(JsonFields& fields, Model model) {
  const auto size = [&](const std::string& key, int& value, std::int64_t high) {
    std::optional<std::int64_t> fallback = value;
    if (value == 0) fallback.reset();
    value = static_cast<int>(fields.integer(key, 1, high, fallback));
  };
  // May be 0, "as the others say".
  const auto optional = [&](const std::string& key, int& value, std::int64_t high) {
    value = static_cast<int>(fields.integer(key, 0, high, value));
  };
  const auto maybe = [&](const std::string& key, std::optional<bool>& value, bool otherwise) {
    if (fields.has(key)) value = fields.boolean(key, value.value_or(otherwise));
  };
  model.name = fields.string("name", model.name);
  size("layers", model.layers, kMostLayers);
  size("hidden", model.hidden, kWidest);
  size("heads", model.heads, kWidest);
  optional("kv_heads", model.kv_heads, kWidest);
  optional("head_dim", model.head_dim, kWidest);
  optional("ffn", model.ffn, 10 * kWidest);
  size("vocab", model.vocab, kLongest);
  size("seq", model.seq, kLongest);
  model.dtype = fields.one_of("dtype", {"fp16", "bf16"}, model.dtype);
  model.recompute = recompute_of(
      fields.one_of("recompute", {"none", "selective", "full"}, text(model.recompute)));
  model.flash = fields.boolean("flash", model.flash);
  const bool encoder_before = model.encoder;
  model.encoder = fields.boolean("encoder", model.encoder);
  if (model.encoder && !encoder_before) model.causal = false;
  model.causal = fields.boolean("causal", model.causal);
  const bool gated_before = model.gated;
  model.gated = fields.boolean("gated", model.gated);
  model.tied = fields.boolean("tied", model.tied);
  if (model.gated && !gated_before) model.dropout = false;
  model.dropout = fields.boolean("dropout", model.dropout);
  maybe("biases", model.biases, !model.gated);
  maybe("rms_norm", model.rms_norm, model.gated);
  model.qkv_bias = fields.boolean("qkv_bias", model.qkv_bias);
  model.qk_norm = fields.boolean("qk_norm", model.qk_norm);
  if (fields.has("positions"))
    model.positions = static_cast<int>(fields.integer("positions", 0, kLongest, 0));
  optional("experts", model.experts, kMostExperts);
  optional("experts_per_token", model.experts_per_token, kMostExperts);
  optional("shared_experts", model.shared_experts, kMostExperts);
  optional("expert_ffn", model.expert_ffn, 10 * kWidest);
  optional("dense_layers", model.dense_layers, kMostLayers);
  optional("q_lora_rank", model.q_lora_rank, kWidest);
  optional("kv_lora_rank", model.kv_lora_rank, kWidest);
  optional("qk_nope_head_dim", model.qk_nope_head_dim, kWidest);
  optional("qk_rope_head_dim", model.qk_rope_head_dim, kWidest);
  optional("v_head_dim", model.v_head_dim, kWidest);
  return model;
}

// "25 does not divide 1601 (1601 = 25 x 64 + 1)"
void check_divides(JsonFields& fields, const std::string& key, int part,
                   const std::string& whole_name, int whole) {
  if (part == 0 || whole % part == 0) return;
  fields.problem(key, "{} {} do not divide {} {} ({} = {} x {} + {})", part, key, whole_name, whole,
                 whole, part, whole / part, whole % part);
}

void check_experts(JsonFields& fields, const Model& model) {
  if (model.experts == 0) {
    if (model.experts_per_token + model.shared_experts + model.expert_ffn + model.dense_layers > 0)
      fields.problem("experts", "0, but fields of a mixture of experts are given; say how many");
    return;
  }
  if (model.experts_per_token < 1 || model.experts_per_token > model.experts) {
    fields.problem("experts_per_token", "expected 1 to {} (model.experts), got {}", model.experts,
                   model.experts_per_token);
  }
  if (model.dense_layers > model.layers) {
    fields.problem("dense_layers", "{} are more than the {} layers of the model",
                   model.dense_layers, model.layers);
  }
}

void check_latent(JsonFields& fields, const Model& model) {
  if (!model.latent()) {
    if (model.q_lora_rank + model.qk_nope_head_dim + model.qk_rope_head_dim + model.v_head_dim > 0)
      fields.problem("kv_lora_rank", "0, but fields of latent attention are given; say its rank");
    return;
  }
  if (model.qk_nope_head_dim == 0) fields.missing("qk_nope_head_dim");
  if (model.v_head_dim == 0) fields.missing("v_head_dim");
  for (const char* key : {"kv_heads", "head_dim"}) {
    if ((std::string(key) == "head_dim" ? model.head_dim : model.kv_heads) == 0) continue;
    fields.problem(key, "latent attention (kv_lora_rank {}) has its own head sizes; leave it out",
                   model.kv_lora_rank);
  }
}

void check_model(JsonFields& fields, const Model& model) {
  if (model.head_dim == 0 && !model.latent())
    check_divides(fields, "heads", model.heads, "hidden", model.hidden);
  check_divides(fields, "kv_heads", model.kv_heads, "heads", model.heads);
  if (model.position_rows() > 0 && model.position_rows() < model.seq) {
    fields.problem("seq", "{} tokens, but the position table has {} rows (model.positions)",
                   model.seq, model.position_rows());
  }
  check_experts(fields, model);
  check_latent(fields, model);
  const double most = approximate_parameters(model);
  if (most > kMostParameters) {
    fields.problem("layers",
                   "the model would have {:.2g} parameters, at most {:.0g} can be counted", most,
                   kMostParameters);
  }
}

Model preset(const EmbeddedFile& file) {
  const std::string name = std::string(file.name) + ".json";
  const Json parsed = parse_json(file.text, name);
  Problems problems;
  const JsonSource source{.file = name, .origins = {}, .problems = &problems};
  JsonFields fields(parsed, source, "");
  fields.expect({"summary"});
  const Model model = read_fields(fields, {});
  check_model(fields, model);
  fields.finish();
  problems.throw_if_any();
  return model;
}

}  // namespace

std::vector<std::string> model_preset_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile* file = kEmbeddedPresets; file->name != nullptr; ++file) {
    names.emplace_back(file->name);
  }
  return names;
}

std::string model_preset_text(std::string_view name) {
  for (const EmbeddedFile* file = kEmbeddedPresets; file->name != nullptr; ++file) {
    if (name == file->name) return file->text;
  }
  throw InputError(unknown_name("model preset", name, model_preset_names()));
}

Model layer_model(const Model& model, int layer) {
  Model one = model;
  if (layer < model.dense_layers) {
    one.experts = one.experts_per_token = one.shared_experts = one.expert_ffn = 0;
  }
  one.dense_layers = 0;
  return one;
}

int dense_layers_among(const Model& model, int first, int count) {
  return model.experts == 0 ? 0 : std::clamp(model.dense_layers - first, 0, count);
}

Model read_model(JsonFields& fields, const std::optional<Model>& base) {
  Model model = base.value_or(Model{.name = "custom"});
  fields.expect({"hf_config", "megatron_args"});
  if (!base && fields.has("preset")) {
    const std::string name = fields.string("preset");
    bool found = false;
    for (const EmbeddedFile* file = kEmbeddedPresets; file->name != nullptr && !found; ++file) {
      found = file->name == name;
      if (found) model = preset(*file);
    }
    if (!found) model = {.name = name, .layers = 1, .hidden = 1, .heads = 1, .vocab = 1, .seq = 1};
    if (!found && fields.any("preset").is_string()) {
      fields.problem("preset", "{}", unknown_name("model preset", name, model_preset_names()));
    }
  }
  const std::size_t problems_before = fields.source().problems->lines().size();
  model = read_fields(fields, model);
  if (fields.source().problems->lines().size() == problems_before) check_model(fields, model);
  fields.finish();
  return model;
}

Model preset_model(const std::string& name) {
  const Json json = {{"preset", name}};
  Problems problems;
  JsonSource source{.file = "model", .origins = {}, .problems = &problems};
  JsonFields fields(json, source, "");
  Model model = read_model(fields);
  problems.throw_if_any();
  return model;
}

}  // namespace stagesim
