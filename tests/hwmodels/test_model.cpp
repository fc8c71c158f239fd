#include "hwmodels/arithmetic.hpp"
#include "hwmodels/model.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

Model read(std::string_view json) {
  const Json parsed = parse_json(json, "run.json");
  Problems problems;
  const JsonSource source{.file = "run.json", .origins = {}, .problems = &problems};
  JsonFields fields(parsed, source, "model");
  Model model = read_model(fields);
  problems.throw_if_any();
  return model;
}

TEST_CASE("every preset reads and is named as its file", "[hwmodels][model]") {
  CHECK(model_preset_names() ==
        std::vector<std::string>{"gpt-125m",     "gpt-350m",      "gpt-760m",    "gpt-1.3b",
                                 "gpt-1.5b",     "gpt-2.7b",      "gpt-6.7b",    "gpt-13b",
                                 "gpt-22b",      "gpt-175b",      "gpt-530b",    "gpt-1t",
                                 "bert-base",    "bert-large",    "llama-2-7b",  "llama-2-13b",
                                 "llama-2-70b",  "llama-3-8b",    "llama-3-70b", "llama-3.1-405b",
                                 "mixtral-8x7b", "mixtral-8x22b", "deepseek-v3"});
  for (const std::string& name : model_preset_names()) {
    CHECK(read(R"({"preset": ")" + name + R"("})").name == name);
  }
}

TEST_CASE("a preset has about the parameters in its name", "[hwmodels][model]") {
  const auto billions = [](const char* json) {
    const Model model = read(json);
    return 1e-9 * static_cast<double>(model.layers * layer_parameters(model) +
                                      embedding_parameters(model) + final_norm_parameters(model));
  };
  CHECK(billions(R"({"preset": "gpt-1.5b"})") == Approx(1.5).epsilon(0.05));
  CHECK(billions(R"({"preset": "gpt-22b"})") == Approx(22).epsilon(0.05));
  CHECK(billions(R"({"preset": "gpt-175b"})") == Approx(175).epsilon(0.05));
  CHECK(billions(R"({"preset": "gpt-530b"})") == Approx(530).epsilon(0.05));
  CHECK(billions(R"({"preset": "gpt-1t"})") == Approx(1000).epsilon(0.05));
}

TEST_CASE("fields beside a preset override it", "[hwmodels][model]") {
  const Model model = read(
      R"({"preset": "gpt-1.5b", "layers": 64, "recompute": "full", "flash": true, "seq": 2048})");
  CHECK(model.layers == 64);
  CHECK(model.hidden == 1600);
  CHECK(model.vocab == 50257);
  CHECK(model.seq == 2048);
  CHECK(model.dtype == "fp16");
  CHECK(model.recompute == Recompute::kFull);
  CHECK(model.flash);
}

TEST_CASE("explicit fields need no preset", "[hwmodels][model]") {
  const Model model = read(R"({"layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 8,
      "ffn": 14336, "vocab": 128256, "seq": 8192, "gated": true, "flash": true, "tied": false})");
  CHECK(model.name == "custom");
  CHECK(model.kv_width() == 1024);
  CHECK(model.ffn_width() == 14336);
  CHECK_FALSE(model.dropout);  // Llama style has none unless said
  CHECK(model.causal);
}

TEST_CASE("an unknown preset is answered with the nearest", "[hwmodels][model][errors]") {
  CHECK_THROWS_WITH(read(R"({"preset": "gpt-15b"})"),
                    contains("run.json: model.preset: unknown model preset 'gpt-15b' (did you mean "
                             "'gpt-1.5b'?); known: gpt-125m, "));
}

TEST_CASE("fields override a model file, and what it leaves open must be said",
          "[hwmodels][model]") {
  const Json json = {{"hf_config", "config.json"}, {"layers", 2}};
  Problems problems;
  const JsonSource source{.file = "run.json", .origins = {}, .problems = &problems};
  JsonFields fields(json, source, "model");
  const Model model = read_model(
      fields, Model{.name = "file", .layers = 4, .hidden = 64, .heads = 4, .vocab = 100});
  CHECK(model.layers == 2);
  CHECK(model.hidden == 64);
  CHECK(problems.lines() == std::vector<std::string>{"run.json: model: missing field 'seq'"});
}

TEST_CASE("experts, latent attention and positions must be whole", "[hwmodels][model][errors]") {
  const std::string base = R"({"layers": 4, "hidden": 64, "heads": 4, "vocab": 100, "seq": 32, )";
  CHECK_THROWS_WITH(read(base + R"("experts": 8, "experts_per_token": 9, "dense_layers": 5})"),
                    "run.json: model.experts_per_token: expected 1 to 8 (model.experts), got 9\n"
                    "run.json: model.dense_layers: 5 are more than the 4 layers of the model");
  CHECK_THROWS_WITH(
      read(base + R"("shared_experts": 1, "v_head_dim": 8})"),
      "run.json: model.experts: 0, but fields of a mixture of experts are given; say "
      "how many\n"
      "run.json: model.kv_lora_rank: 0, but fields of latent attention are given; say "
      "its rank");
  CHECK_THROWS_WITH(read(base + R"("kv_lora_rank": 8, "v_head_dim": 8, "head_dim": 8})"),
                    "run.json: model: missing field 'qk_nope_head_dim'\n"
                    "run.json: model.head_dim: latent attention (kv_lora_rank 8) has its own head "
                    "sizes; leave it out");
  CHECK_THROWS_WITH(read(base + R"("positions": 16})"),
                    "run.json: model.seq: 32 tokens, but the position table has 16 rows "
                    "(model.positions)");
  CHECK_THROWS_WITH(read(R"({"layers": 10000, "hidden": 1000000, "heads": 1, "vocab": 1, "seq": 1,
                             "ffn": 10000000, "experts": 4096, "experts_per_token": 1})"),
                    contains("parameters, at most 1e+17 can be counted"));
}

TEST_CASE("heads divide hidden and kv_heads divide heads", "[hwmodels][model][errors]") {
  CHECK_THROWS_WITH(
      read(R"({"preset": "gpt-1.5b", "hidden": 1601, "kv_heads": 4})"),
      "run.json: model.heads: 25 heads do not divide hidden 1601 (1601 = 25 x 64 + 1)\n"
      "run.json: model.kv_heads: 4 kv_heads do not divide heads 25 (25 = 4 x 6 + 1)");
}

TEST_CASE("all problems of a model come at once", "[hwmodels][model][errors]") {
  CHECK_THROWS_WITH(
      read(R"({"layers": -3, "hidden": 1024, "heads": 16, "vocab": 50257,
               "dtype": "fp8", "recompute": "selectiv", "layer": 12})"),
      "run.json: model.layers: expected a whole number from 1 to 10000, got -3\n"
      "run.json: model: missing field 'seq'\n"
      "run.json: model.dtype: expected one of fp16, bf16, got 'fp8'\n"
      "run.json: model.recompute: expected one of none, selective, full, got 'selectiv' (did you "
      "mean 'selective'?)\n"
      "run.json: model: unknown field 'layer' (did you mean 'layers'?); known: biases, causal, "
      "dense_layers, dropout, dtype, encoder, expert_ffn, experts, experts_per_token, ffn, flash, "
      "gated, head_dim, heads, hf_config, hidden, kv_heads, kv_lora_rank, layers, megatron_args, "
      "name, positions, preset, q_lora_rank, qk_nope_head_dim, qk_norm, qk_rope_head_dim, "
      "qkv_bias, "
      "recompute, rms_norm, seq, shared_experts, tied, v_head_dim, vocab");
}

}  // namespace
}  // namespace stagesim
