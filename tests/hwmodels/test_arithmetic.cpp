#include "hwmodels/arithmetic.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

Model plain_gpt(int layers, int hidden, int heads, int seq, int vocab) {
  return {.name = "plain",
          .layers = layers,
          .hidden = hidden,
          .heads = heads,
          .vocab = vocab,
          .seq = seq};
}

// Llama-3 8B: 8 of 32 heads for keys and values, f = 3.5 h.
Model llama() {
  Model model = plain_gpt(32, 4096, 32, 8192, 128256);
  model.kv_heads = 8;
  model.ffn = 14336;
  model.gated = model.flash = true;
  model.dropout = false;
  return model;
}

// Models of Korthikanti et al., arXiv 2205.05198, Figure 1: GiB on the first stage.
struct Golden {
  int hidden, heads, layers, tensor, pipeline, virtual_stages, microbatch;
  double states, none, selective;
};
constexpr Golden kGolden[] = {
    {6144, 64, 48, 8, 1, 1, 4, 45.5625, 59.25, 9.5625},
    {12288, 96, 96, 8, 8, 3, 1, 45.5625, 66.84375, 12.3515625},
    {20480, 128, 105, 8, 35, 3, 1, 31.640625, 114.0234375, 23.076171875},
    {25600, 160, 128, 8, 64, 1, 1, 32.958984375, 131.25, 26.5625},
};

TEST_CASE("memory of the 22B to 1T models of arXiv 2205.05198 is met to the last digit",
          "[hwmodels][memory]") {
  for (const Golden& g : kGolden) {
    Model model = plain_gpt(g.layers, g.hidden, g.heads, 2048, 51200);
    CAPTURE(g.hidden);
    const double layers = g.layers * interleaved_factor(g.pipeline, g.virtual_stages);

    // The paper leaves out biases and norms, 13 h of a layer's parameters.
    const std::int64_t parameters = layer_parameters(model) - 13 * model.hidden;
    const double states = static_cast<double>(g.layers * parameters) *
                          StateBytesPerParameter{}.total() / (g.tensor * g.pipeline);
    CHECK(states / kGiB == Approx(g.states).epsilon(1e-15));

    const double none = layer_activation_bytes(model, g.microbatch, {.tensor = g.tensor});
    CHECK(layers * none / kGiB == Approx(g.none).epsilon(1e-15));

    model.recompute = Recompute::kSelective;
    const double selective = layer_activation_bytes(
        model, g.microbatch, {.tensor = g.tensor, .sequence_parallel = true});
    CHECK(layers * selective / kGiB == Approx(g.selective).epsilon(1e-15));
  }
}

TEST_CASE("a plain layer keeps sbh (34 + 5as/h), by every row of Table 2", "[hwmodels][memory]") {
  const int s = 1024, b = 4, h = 1600, a = 25, t = 5;
  Model model = plain_gpt(48, h, a, s, 50257);
  const double sbh = 1.0 * s * b * h, ratio = 5.0 * a * s / h;
  CHECK(layer_activation_bytes(model, b, {}) == sbh * (34 + ratio));
  CHECK(layer_activation_bytes(model, b, {.tensor = t}) ==
        Approx(sbh * (10 + 24.0 / t + ratio / t)));
  CHECK(layer_activation_bytes(model, b, {.tensor = t, .sequence_parallel = true}) ==
        Approx(sbh / t * (34 + ratio)));
  CHECK(layer_workspace_bytes(model, b, {}) == 0);

  model.recompute = Recompute::kSelective;
  CHECK(layer_activation_bytes(model, b, {}) == sbh * 34);
  CHECK(layer_activation_bytes(model, b, {.tensor = t}) == Approx(sbh * (10 + 24.0 / t)));
  CHECK(layer_workspace_bytes(model, b, {}) == sbh * ratio);

  model.recompute = Recompute::kFull;
  CHECK(layer_activation_bytes(model, b, {}) == sbh * 2);
  CHECK(layer_workspace_bytes(model, b, {}) == sbh * (34 + ratio));

  model.recompute = Recompute::kNone;
  model.flash = true;
  CHECK(layer_activation_bytes(model, b, {}) == sbh * 34);
}

TEST_CASE("the weight gradient of a plain layer needs 32 of its 34 sbh", "[hwmodels][memory]") {
  const Model model = plain_gpt(48, 1600, 25, 1024, 50257);
  const double sbh = 1024.0 * 4 * 1600;
  CHECK(layer_activation_after_i_bytes(model, 4, {}) == sbh * 32);
  // M_W / M_B = 32 h / (34 h + 5 a s), arXiv 2401.10241.
  CHECK(layer_activation_after_i_bytes(model, 4, {}) / layer_activation_bytes(model, 4, {}) ==
        Approx(32.0 * 1600 / (34.0 * 1600 + 5.0 * 25 * 1024)));
}

TEST_CASE("a Llama layer keeps sbh (12 + 4 g/a + 6 f/h)", "[hwmodels][memory]") {
  const Model model = llama();
  const double sbh = 8192.0 * 4096;
  CHECK(layer_activation_bytes(model, 1, {}) == sbh * (12 + 4.0 * 8 / 32 + 6 * 3.5));
  CHECK(layer_activation_bytes(model, 1, {}) == sbh * 34);
  CHECK(layer_activation_after_i_bytes(model, 1, {}) == sbh * 34);  // no dropout masks to free
}

TEST_CASE("without dropout no masks and no second copy of the scores are kept",
          "[hwmodels][memory]") {
  Model model = plain_gpt(2, 512, 8, 256, 1000);
  model.dropout = false;
  CHECK(layer_activation_bytes(model, 1, {}) == 256.0 * 512 * 32 + 2.0 * 8 * 256 * 256);
  CHECK(embedding_activation_bytes(model, 1, {}) == 8.0 * 256);
}

TEST_CASE("the ends keep token ids and dropout mask, or fp32 logits", "[hwmodels][memory]") {
  const Model model = plain_gpt(48, 1600, 25, 1024, 50257);
  const double sb = 1024.0 * 4;
  CHECK(embedding_activation_bytes(model, 4, {}) == 8 * sb + sb * 1600);
  CHECK(head_activation_bytes(model, 4, {}) == Approx(4 * sb * 1600 * (1 + 50257.0 / 1600)));
  // The case a stage-0-only estimate is blind to: 128k words, 8k tokens, 4.2 GB of logits.
  CHECK(head_activation_bytes(llama(), 1, {}) == Approx(4.2e9).epsilon(0.04));
}

TEST_CASE("a plain layer has 12 h^2 + 13 h parameters and 24 bsh^2 + 4 bs^2h forward FLOPs",
          "[hwmodels]") {
  const Model model = plain_gpt(48, 1600, 25, 1024, 50257);
  CHECK(layer_parameters(model) == 12LL * 1600 * 1600 + 13 * 1600);
  CHECK(embedding_parameters(model) == (50257LL + 1024) * 1600);
  CHECK(head_parameters(model) == 50257LL * 1600);
  CHECK(layer_forward_flops(model, 4) ==
        24.0 * 4 * 1024 * 1600 * 1600 + 4.0 * 4 * 1024 * 1024 * 1600);
  CHECK(head_forward_flops(model, 4) == 2.0 * 4 * 1024 * 1600 * 50257);
  // GPT-2 XL: 1,557,611,200 parameters with one copy of the embedding.
  CHECK(48 * layer_parameters(model) + embedding_parameters(model) + final_norm_parameters(model) ==
        1557611200);
}

TEST_CASE("Llama-3 8B has 8.03 billion parameters", "[hwmodels]") {
  const Model model = llama();
  CHECK(32 * layer_parameters(model) + embedding_parameters(model) + final_norm_parameters(model) +
            head_parameters(model) ==
        8030261248);
}

TEST_CASE("a gated MLP costs half as much again as a plain one of that width", "[hwmodels]") {
  Model model = plain_gpt(1, 1024, 8, 512, 1000);
  const double plain = layer_forward_flops(model, 1);
  model.gated = true;
  CHECK(layer_forward_flops(model, 1) - plain == 8.0 * 512 * 1024 * 1024);
}

TEST_CASE("interleaving holds 1 + (p - 1)/(pv) times the activations, plain 1F1B once",
          "[hwmodels][memory]") {
  CHECK(interleaved_factor(64, 1) == 1);
  CHECK(interleaved_factor(1, 4) == 1);
  CHECK(interleaved_factor(8, 3) == Approx(1 + 7.0 / 24));
}

}  // namespace
}  // namespace stagesim
