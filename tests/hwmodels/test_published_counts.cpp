// Parameters of published models, against what their authors or their checkpoints say.

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/hf_config.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

Model preset(const std::string& name) {
  const Json json = {{"preset", name}};
  Problems problems;
  const JsonSource source{.file = "t", .origins = {}, .problems = &problems};
  JsonFields fields(json, source, "model");
  Model model = read_model(fields);
  problems.throw_if_any();
  return model;
}
double billions(std::int64_t count) { return 1e-9 * static_cast<double>(count); }

TEST_CASE("presets have exactly the parameters of the published checkpoints", "[hwmodels][model]") {
  const auto total = [](const char* name) { return total_parameters(preset(name)); };
  CHECK(total("gpt-1.5b") == 1557611200);  // GPT-2 XL
  CHECK(total("llama-2-7b") == 6738415616);
  CHECK(total("llama-2-13b") == 13015864320);
  CHECK(total("llama-2-70b") == 68976648192);
  CHECK(total("llama-3-8b") == 8030261248);
  CHECK(total("llama-3-70b") == 70553706496);
  CHECK(total("llama-3.1-405b") == 405853388800);
  CHECK(total("mixtral-8x7b") == 46702792704);
  CHECK(total("mixtral-8x22b") == 140620634112);
  // BERT for pre-training: both heads.
  CHECK(total("bert-base") == 110106428);
  CHECK(total("bert-large") == 336226108);
  // Without the multi-token prediction layer and the router's correction biases (256 x 58).
  CHECK(total("deepseek-v3") == 671026404352);
}

TEST_CASE("mixtures of experts have the published active parameters", "[hwmodels][model]") {
  // arXiv 2401.04088: 12.9B; Mixtral 8x22B announcement: 39B; DeepSeek-V3: 37B, and in
  // README_WEIGHTS.md 36.6B without the embedding.
  CHECK(billions(active_parameters(preset("mixtral-8x7b"))) == Approx(12.9).margin(0.05));
  CHECK(billions(active_parameters(preset("mixtral-8x22b"))) == Approx(39).margin(0.5));
  const Model deepseek = preset("deepseek-v3");
  CHECK(billions(active_parameters(deepseek) - embedding_parameters(deepseek)) ==
        Approx(36.6).margin(0.05));
}

TEST_CASE("the GPT-3 family agrees with Table 2.1 within its rounding", "[hwmodels][model]") {
  const std::pair<const char*, double> table[] = {
      {"gpt-125m", 0.125}, {"gpt-350m", 0.35}, {"gpt-760m", 0.76}, {"gpt-1.3b", 1.3},
      {"gpt-2.7b", 2.7},   {"gpt-6.7b", 6.7},  {"gpt-13b", 13.0},  {"gpt-175b", 175.0}};
  for (const auto& [name, size] : table) {
    CAPTURE(name);
    CHECK(billions(total_parameters(preset(name))) == Approx(size).epsilon(0.02));
  }
}

// The fields of public config.json files that matter, typed by hand.
ModelFile config(const std::string& text) { return read_hf_config(text, "config.json"); }
std::int64_t total(const std::string& text) {
  Model model = config(text).model;
  model.seq = 128;
  return total_parameters(model);
}

TEST_CASE("config.json files of ten families give the parameters of their checkpoints",
          "[hwmodels][hf_config]") {
  CHECK(total(R"({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
      "max_position_embeddings": 8192, "num_attention_heads": 32, "num_hidden_layers": 32,
      "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": false,
      "torch_dtype": "bfloat16"})") == 8030261248);
  CHECK(total(R"({"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336,
      "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32,
      "num_key_value_heads": 8, "sliding_window": 4096, "vocab_size": 32000})") == 7241732096);
  CHECK(total(R"({"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336,
      "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32,
      "num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2,
      "sliding_window": null, "vocab_size": 32000})") == 46702792704);
  CHECK(total(R"({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12,
      "n_positions": 1024, "n_inner": null, "vocab_size": 50257})") == 124439808);
  CHECK(total(R"({"model_type": "gpt_neox", "hidden_size": 4096, "intermediate_size": 16384,
      "max_position_embeddings": 2048, "num_attention_heads": 32, "num_hidden_layers": 32,
      "vocab_size": 50432, "tie_word_embeddings": false})") == 6857302016);
  CHECK(total(R"({"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944,
      "max_position_embeddings": 32768, "num_attention_heads": 28, "num_hidden_layers": 28,
      "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": false})") ==
        7615616512);
  CHECK(total(R"({"model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288,
      "max_position_embeddings": 40960, "num_attention_heads": 32, "num_hidden_layers": 36,
      "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
      "tie_word_embeddings": false})") == 8190735360);
  CHECK(total(R"({"model_type": "gemma", "hidden_size": 3072, "intermediate_size": 24576,
      "max_position_embeddings": 8192, "num_attention_heads": 16, "num_hidden_layers": 28,
      "num_key_value_heads": 16, "head_dim": 256, "vocab_size": 256000})") == 8537680896);
  CHECK(total(R"({"model_type": "bert", "hidden_size": 768, "intermediate_size": 3072,
      "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 12,
      "type_vocab_size": 2, "vocab_size": 30522})") == 110106428);
  CHECK(total(R"({"model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432,
      "moe_intermediate_size": 2048, "max_position_embeddings": 163840, "moe_layer_freq": 1,
      "num_attention_heads": 128, "num_key_value_heads": 128, "num_hidden_layers": 61,
      "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
      "first_k_dense_replace": 3, "q_lora_rank": 1536, "kv_lora_rank": 512,
      "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "vocab_size": 129280})") == 671026404352);
}

TEST_CASE("a config.json says what is not modelled, and never the training length",
          "[hwmodels][hf_config]") {
  const ModelFile file = config(R"({"model_type": "mistral", "hidden_size": 4096,
      "intermediate_size": 14336, "max_position_embeddings": 32768, "num_attention_heads": 32,
      "num_hidden_layers": 32, "num_key_value_heads": 8, "sliding_window": 4096,
      "vocab_size": 32000, "torch_dtype": "float16", "rope_theta": 10000.0, "new_field": 1,
      "quantization_config": {}})");
  CHECK(file.model.seq == 0);
  CHECK(file.longest == 32768);
  CHECK(file.model.dtype == "fp16");
  CHECK(file.model.kv_heads == 8);
  CHECK(file.notes ==
        std::vector<std::string>{
            "flash: true, because a config.json does not say how it is trained (model.flash)",
            "sliding_window 4096: not modelled, every score of the sequence counts",
            "quantization_config: not modelled; weights and arithmetic are 16-bit",
            "fields not looked at: new_field"});
}

TEST_CASE("all that is wrong with a config.json comes at once", "[hwmodels][hf_config][errors]") {
  CHECK_THROWS_WITH(
      config(R"({"model_type": "lama"})"),
      "config.json: unknown model_type 'lama' (did you mean 'llama'?); known: bert, "
      "deepseek_v3, gemma, gpt2, gpt_neox, llama, mistral, mixtral, qwen2, qwen3; give "
      "the fields (layers, hidden, heads, ...) instead");
  CHECK_THROWS_WITH(
      config(R"({"model_type": "llama", "hidden_size": -1, "vocab_size": 10,
                               "num_attention_heads": 8, "max_position_embeddings": 9})"),
      "config.json: missing field 'num_hidden_layers'\n"
      "config.json: hidden_size: expected a whole number from 1 to 1000000000, got -1\n"
      "config.json: missing field 'intermediate_size'");
  CHECK_THROWS_WITH(config("[]"), "config.json: expected a JSON object, got an array of 0");
  CHECK_THROWS_WITH(config("{}"), "config.json: missing field 'model_type'");
}

}  // namespace
}  // namespace stagesim
