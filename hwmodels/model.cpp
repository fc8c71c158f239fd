#include "hwmodels/model.hpp"

#include <fmt/format.h>

#include "sim/base/embedded.hpp"
#include "sim/base/names.hpp"

namespace stagesim {

extern const EmbeddedFile kEmbeddedPresets[];

namespace {

// Far above any real model, low enough for 64-bit byte counts.
constexpr std::int64_t kMostLayers = 10'000, kWidest = 1'000'000, kLongest = 100'000'000;

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

// What the object does not say stays as in `model`; without a preset the sizes must be said.
Model read_fields(JsonFields& fields, Model model, bool from_preset) {
  const auto size = [&](const std::string& key, int& value, std::int64_t high, bool required) {
    std::optional<std::int64_t> fallback = value;
    if (required) fallback.reset();
    // Optional sizes may be 0, "as the others say".
    const std::int64_t low = key == "kv_heads" || key == "ffn" ? 0 : 1;
    value = static_cast<int>(fields.integer(key, low, high, fallback));
  };
  model.name = fields.string("name", model.name);
  size("layers", model.layers, kMostLayers, !from_preset);
  size("hidden", model.hidden, kWidest, !from_preset);
  size("heads", model.heads, kWidest, !from_preset);
  size("kv_heads", model.kv_heads, kWidest, false);
  size("ffn", model.ffn, 10 * kWidest, false);
  size("vocab", model.vocab, kLongest, !from_preset);
  size("seq", model.seq, kLongest, !from_preset);
  model.dtype = fields.one_of("dtype", {"fp16", "bf16"}, model.dtype);
  model.recompute = recompute_of(
      fields.one_of("recompute", {"none", "selective", "full"}, text(model.recompute)));
  model.flash = fields.boolean("flash", model.flash);
  model.causal = fields.boolean("causal", model.causal);
  const bool gated_before = model.gated;
  model.gated = fields.boolean("gated", model.gated);
  model.tied = fields.boolean("tied", model.tied);
  if (model.gated && !gated_before) model.dropout = false;
  model.dropout = fields.boolean("dropout", model.dropout);
  return model;
}

// "25 does not divide 1601 (1601 = 25 x 64 + 1)"
void check_divides(JsonFields& fields, const std::string& key, int part,
                   const std::string& whole_name, int whole) {
  if (part == 0 || whole % part == 0) return;
  fields.problem(key, "{} {} do not divide {} {} ({} = {} x {} + {})", part, key, whole_name, whole,
                 whole, part, whole / part, whole % part);
}

Model preset(const EmbeddedFile& file) {
  const std::string name = std::string(file.name) + ".json";
  const Json parsed = parse_json(file.text, name);
  Problems problems;
  const JsonSource source{.file = name, .origins = {}, .problems = &problems};
  JsonFields fields(parsed, source, "");
  const Model model = read_fields(fields, {}, false);
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

Model read_model(JsonFields& fields) {
  Model model{.name = "custom", .layers = 1, .hidden = 1, .heads = 1, .vocab = 1, .seq = 1};
  for (const char* key : {"hf_config", "megatron_args"}) {
    if (!fields.has(key)) continue;
    fields.problem(key, "not read yet; give the fields (layers, hidden, heads, vocab, seq, ...)");
    return model;
  }
  bool from_preset = fields.has("preset");
  if (from_preset) {
    const std::string name = fields.string("preset");
    bool found = false;
    for (const EmbeddedFile* file = kEmbeddedPresets; file->name != nullptr && !found; ++file) {
      found = file->name == name;
      if (found) model = preset(*file);
    }
    if (!found && fields.any("preset").is_string()) {
      fields.problem("preset", "{}", unknown_name("model preset", name, model_preset_names()));
    }
  }
  const std::size_t problems_before = fields.source().problems->lines().size();
  model = read_fields(fields, model, from_preset);
  if (fields.source().problems->lines().size() == problems_before) {
    check_divides(fields, "heads", model.heads, "hidden", model.hidden);
    check_divides(fields, "kv_heads", model.kv_heads, "heads", model.heads);
  }
  fields.finish();
  return model;
}

}  // namespace stagesim
