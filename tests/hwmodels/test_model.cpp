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
        std::vector<std::string>{"gpt-1.5b", "gpt-22b", "gpt-175b", "gpt-530b", "gpt-1t"});
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
                    "run.json: model.preset: unknown model preset 'gpt-15b' (did you mean "
                    "'gpt-1.5b'?); known: gpt-1.5b, gpt-22b, gpt-175b, gpt-530b, gpt-1t");
}

TEST_CASE("model files of other projects are refused, not half read", "[hwmodels][model][errors]") {
  CHECK_THROWS_WITH(read(R"({"hf_config": "config.json"})"),
                    "run.json: model.hf_config: not read yet; give the fields (layers, hidden, "
                    "heads, vocab, seq, ...)");
  CHECK_THROWS_WITH(read(R"({"megatron_args": "train.sh", "layers": 4})"),
                    "run.json: model.megatron_args: not read yet; give the fields (layers, hidden, "
                    "heads, vocab, seq, ...)");
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
      "run.json: model: unknown field 'layer' (did you mean 'layers'?); known: causal, dropout, "
      "dtype, ffn, flash, gated, heads, hf_config, hidden, kv_heads, layers, megatron_args, name, "
      "preset, recompute, seq, tied, vocab");
}

}  // namespace
}  // namespace stagesim
