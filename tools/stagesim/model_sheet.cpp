#include "tools/stagesim/model_sheet.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/hf_config.hpp"
#include "hwmodels/megatron_args.hpp"
#include "sim/base/names.hpp"

namespace stagesim {
namespace {

struct Described {
  Model model{};
  Json fields = Json::object();  // as given, of presets and .json files
  std::string summary{}, source{};
  int longest = 0;
  std::vector<std::string> notes{};
};

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file || file.bad()) throw InputError(fmt::format("'{}': cannot read it", path));
  return text;
}

Described from_fields(const Json& json, const std::string& file) {
  Problems problems;
  const JsonSource source{.file = file, .origins = {}, .problems = &problems};
  JsonFields fields(json, source, "");
  Described d{.fields = json, .source = file};
  fields.expect({"summary", "$schema"});
  d.summary = fields.string("summary", "");
  d.model = read_model(fields);
  problems.throw_if_any();
  return d;
}

Described from_file(ModelFile file, const std::string& path) {
  Described d{.model = std::move(file.model), .source = path, .longest = file.longest};
  d.notes = std::move(file.notes);
  return d;
}

Described describe(const std::string& name) {
  std::vector<std::string> known = model_preset_names();
  if (std::find(known.begin(), known.end(), name) != known.end()) {
    Described d = from_fields(parse_json(model_preset_text(name), name), name);
    d.source = d.summary;
    return d;
  }
  if (!std::filesystem::is_regular_file(name))
    throw InputError(
        fmt::format("{} (and there is no such file)", unknown_name("model preset", name, known)));
  const std::string text = file_text(name);
  if (!name.ends_with(".json")) return from_file(read_megatron_args(text, name).file, name);
  const Json json = parse_json(text, name);
  if (!json.is_object()) throw InputError(fmt::format("{}: expected an object", name));
  return json.contains("model_type") ? from_file(read_hf_config(text, name), name)
                                     : from_fields(json, name);
}

// Sizes that are given or count; what a file of another project says is all given.
void add_sizes(Sheet& sheet, const Described& d) {
  const Model& m = d.model;
  const auto add = [&](const char* name, const char* unit, int value, bool shown = true) {
    const bool given = d.fields.contains(name) || d.fields.empty();
    if (!given && !shown) return;
    if (value == 0 && (d.fields.empty() || !given)) return;
    sheet.numbers.push_back({.name = name,
                             .unit = unit,
                             .value = static_cast<double>(value),
                             .from = given ? "given" : "default",
                             .source = given ? d.source : "follows from the others"});
  };
  add("layers", "layers", m.layers);
  add("hidden", "elements", m.hidden);
  add("heads", "heads", m.heads);
  add("kv_heads", "heads", m.kv_heads == 0 ? m.heads : m.kv_heads, !m.latent());
  add("head_dim", "elements", m.head_dim, false);
  add("ffn", "elements", m.ffn_width());
  add("vocab", "tokens", m.vocab);
  add("seq", "tokens", m.seq);
  add("positions", "rows", m.position_rows());
  add("experts", "per layer", m.experts, false);
  add("experts_per_token", "experts", m.experts_per_token, false);
  add("shared_experts", "experts", m.shared_experts, false);
  add("expert_ffn", "elements", m.experts > 0 ? m.expert_width() : 0, m.experts > 0);
  add("dense_layers", "layers", m.dense_layers, false);
  add("q_lora_rank", "elements", m.q_lora_rank, false);
  add("kv_lora_rank", "elements", m.kv_lora_rank, false);
  add("qk_nope_head_dim", "elements", m.qk_nope_head_dim, false);
  add("qk_rope_head_dim", "elements", m.qk_rope_head_dim, false);
  add("v_head_dim", "elements", m.v_head_dim, false);
}

void add_switches(Sheet& sheet, const Model& m) {
  constexpr const char* kRecomputes[] = {"none", "selective", "full"};
  sheet.names.push_back({"dtype", m.dtype});
  sheet.names.push_back({"recompute", kRecomputes[static_cast<std::size_t>(m.recompute)]});
  const std::pair<const char*, bool> switches[] = {
      {"flash", m.flash},       {"causal", m.causal},           {"gated", m.gated},
      {"tied", m.tied},         {"dropout", m.dropout},         {"biases", m.has_biases()},
      {"qkv_bias", m.qkv_bias}, {"rms_norm", m.has_rms_norm()}, {"qk_norm", m.qk_norm},
      {"encoder", m.encoder}};
  for (const auto& [name, on] : switches) sheet.names.push_back({name, on ? "true" : "false"});
}

void add_derived(Sheet& sheet, const Model& m) {
  const auto add = [&](const char* name, const char* unit, double value, const char* formula) {
    sheet.numbers.push_back(
        {.name = name, .unit = unit, .value = value, .from = "derived", .source = formula});
  };
  const Model layer = layer_model(m, m.layers);
  const auto total = static_cast<double>(total_parameters(m));
  add("parameters", "parameters", total, "the whole model, embeddings included");
  if (m.experts > 0) {
    add("active_parameters", "parameters", static_cast<double>(active_parameters(m)),
        "of them those that one token goes through");
  }
  add("layer_parameters", "parameters", static_cast<double>(layer_parameters(layer)),
      m.dense_layers > 0 ? "one layer with experts" : "one layer");
  add("embedding_parameters", "parameters", static_cast<double>(embedding_parameters(m)),
      "tokens and positions");
  add("states_gib", "GiB", total * 18 / (1024.0 * 1024 * 1024),
      "18 bytes per parameter: 16-bit weight, fp32 gradient, master and two Adam moments");
  add("forward_tflop", "TFLOP", model_forward_flops(m, 1) / 1e12,
      "one sequence, every attention score counted (arXiv 2104.04473)");
  add("layer_forward_tflop", "TFLOP", layer_forward_flops(layer, 1) / 1e12, "one layer of that");
  add("head_forward_tflop", "TFLOP", head_forward_flops(m, 1) / 1e12, "output layer, 2 s h V");
  add("layer_activation_mib", "MiB", layer_activation_bytes(layer, 1, {}) / (1024.0 * 1024),
      "kept per layer and sequence until its backward (arXiv 2205.05198, Table 2)");
}

}  // namespace

Sheet model_sheet(const std::string& name) {
  Described d = describe(name);
  if (d.model.seq == 0 && d.longest > 0) {
    d.notes.push_back(
        fmt::format("seq: not said; the longest input, {} tokens, is shown", d.longest));
    d.model.seq = d.longest;
  }
  Sheet sheet{.kind = "model", .name = d.model.name, .summary = d.summary};
  for (const std::string& note : d.notes) sheet.names.push_back({"note", note});
  add_switches(sheet, d.model);
  add_sizes(sheet, d);
  const Model& m = d.model;
  if (m.layers > 0 && m.hidden > 0 && m.heads > 0 && m.vocab > 0 && m.seq > 0) {
    add_derived(sheet, m);
  } else {
    sheet.names.push_back({"note", "the file leaves out sizes, so nothing is derived from it"});
  }
  return sheet;
}

}  // namespace stagesim
