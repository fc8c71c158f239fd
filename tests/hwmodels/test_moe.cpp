// Layers with experts, latent attention and heads of their own width.

#include <numeric>

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/kernels.hpp"
#include "hwmodels/stage_costs.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

Model gpt() {
  return {.name = "gpt", .layers = 4, .hidden = 512, .heads = 8, .vocab = 1000, .seq = 256};
}
Model llama() {
  Model m = gpt();
  m.gated = true;
  m.dropout = false;
  m.kv_heads = 2;
  m.ffn = 1408;
  return m;
}
Model experts() {
  Model m = llama();
  m.experts = 8;
  m.experts_per_token = 2;
  m.shared_experts = 1;
  m.expert_ffn = 320;
  return m;
}
Model latent() {
  Model m = experts();
  m.kv_heads = 0;
  m.q_lora_rank = 96;
  m.kv_lora_rank = 64;
  m.qk_nope_head_dim = 32;
  m.qk_rope_head_dim = 16;
  m.v_head_dim = 24;
  return m;
}

double flops(const Kernels& kernels) {
  return std::accumulate(kernels.begin(), kernels.end(), 0.0,
                         [](double sum, const Kernel& k) { return sum + k.flops; });
}
double bytes(const Kernels& kernels) {
  return std::accumulate(kernels.begin(), kernels.end(), 0.0,
                         [](double sum, const Kernel& k) { return sum + k.bytes; });
}

TEST_CASE(
    "the GPUs of a tensor split do a layer's FLOPs once, norms and residuals t times, or once",
    "[hwmodels][kernels]") {
  const int t = GENERATE(2, 4, 8);
  const bool flash = GENERATE(false, true);
  const bool sequence_parallel = GENERATE(false, true);
  const StageSplit split{.tensor = t, .sequence_parallel = sequence_parallel};
  for (Model m : {gpt(), llama()}) {
    m.heads = 16;
    m.flash = flash;
    m.kv_heads = m.gated ? 8 : 0;
    using Of = Kernels (*)(const Model&, int, StageSplit);
    for (const Of of :
         {Of(layer_forward_kernels), Of(layer_input_grad_kernels), Of(layer_weight_grad_kernels),
          Of(head_forward_kernels), Of(head_input_grad_kernels), Of(head_weight_grad_kernels)}) {
      const Kernels whole = of(m, 2, {}), part = of(m, 2, split);
      CHECK(t * flops(part) == Approx(flops(whole)).epsilon(1e-12));
      const auto norms = [](const Kernels& all) {
        Kernels some;
        for (const Kernel& k : all)
          if (k.kind == KernelKind::kNorm || k.kind == KernelKind::kNormBackward) some.push_back(k);
        return bytes(some);
      };
      CHECK(norms(part) * (sequence_parallel ? t : 1) == Approx(norms(whole)));
      if (of == Of(layer_weight_grad_kernels)) continue;  // its GEMMs read the whole input
      CHECK(t * bytes(part) > bytes(whole));
    }
  }
}

TEST_CASE("with fewer key heads than GPUs each keeps one", "[hwmodels][kernels]") {
  Model m = llama();
  m.heads = 16;
  m.kv_heads = 2;
  const double tokens = 2.0 * m.seq, h = m.hidden, d = m.hidden / 16.0;
  const Kernels part = layer_weight_grad_kernels(m, 2, {.tensor = 8});
  CHECK(part.at(0).flops == Approx(2 * tokens * h * (h / 8 + 2 * d)));
}

TEST_CASE("a layer's kernels do its forward FLOPs, and twice as many in the backward",
          "[hwmodels][kernels]") {
  Model wide = llama();
  wide.head_dim = 128;  // query width 2 h
  for (const Model& m : {llama(), wide, experts(), latent()}) {
    const double forward = layer_forward_flops(m, 2);
    CHECK(flops(layer_forward_kernels(m, 2)) == Approx(forward).epsilon(1e-12));
    CHECK(flops(layer_input_grad_kernels(m, 2)) + flops(layer_weight_grad_kernels(m, 2)) ==
          Approx(2 * forward).epsilon(1e-12));
  }
}

TEST_CASE("FLOPs of a layer are 2 for each active weight and 4 a s d for the scores",
          "[hwmodels]") {
  // The only weights that are not in a matrix product are the two norms', 2 h in all, and those of
  // both latents.
  const double tokens = 256;
  const auto matrix_weights = [](Model m, double extra) {
    m.layers = 1;
    m.vocab = 1;
    m.tied = true;
    return static_cast<double>(active_parameters(m) - embedding_parameters(m) -
                               final_norm_parameters(m)) -
           2 * m.hidden - extra;
  };
  CHECK(layer_forward_flops(llama(), 1) ==
        Approx(tokens * (2 * matrix_weights(llama(), 0) + 4.0 * 256 * 512)));
  CHECK(layer_forward_flops(experts(), 1) ==
        Approx(tokens * (2 * matrix_weights(experts(), 0) + 4.0 * 256 * 512)));
  CHECK(layer_forward_flops(latent(), 1) ==
        Approx(tokens * (2 * matrix_weights(latent(), 96 + 64) + 2.0 * 256 * 8 * (48 + 24))));
}

TEST_CASE("one expert that takes every token costs what its MLP does, and a router", "[hwmodels]") {
  Model one = llama();
  one.experts = one.experts_per_token = 1;
  CHECK(layer_parameters(one) == layer_parameters(llama()) + 512);
  CHECK(layer_forward_flops(one, 1) == layer_forward_flops(llama(), 1) + 2.0 * 256 * 512);
}

TEST_CASE("layers before the experts are dense, on the stages that hold them",
          "[hwmodels][costs]") {
  Model m = latent();
  m.dense_layers = 3;
  Model dense = m;
  dense.experts = dense.experts_per_token = dense.shared_experts = dense.expert_ffn = 0;
  dense.dense_layers = 0;
  const std::int64_t ffn_parameters = layer_parameters(dense);
  const std::int64_t expert_parameters = layer_parameters(latent());
  const GpuProfile& gpu = gpu_profile("a800-sxm-80gb");
  const StageEstimate e = transformer_stages(m, gpu, {{2, 2}, 1}, 0);
  CHECK(e.parameters[0] == 2 * ffn_parameters + embedding_parameters(m));
  CHECK(e.parameters[1] ==
        ffn_parameters + expert_parameters + final_norm_parameters(m) + head_parameters(m));
  CHECK(e.flops_per_microbatch ==
        Approx(3 * (3 * layer_forward_flops(dense, 1) + layer_forward_flops(latent(), 1) +
                    head_forward_flops(m, 1))));
  // The first stage runs as that of a dense model does.
  CHECK(e.costs[0].forward == transformer_stages(dense, gpu, {{2, 2}, 1}, 0).costs[0].forward);
  CHECK(total_parameters(m) == e.parameters[0] + e.parameters[1] - head_parameters(m));
}

TEST_CASE("balanced layers of two kinds: no split has a faster slowest stage", "[hwmodels]") {
  Model m = experts();
  m.layers = 9;
  m.dense_layers = 3;
  const GpuProfile& gpu = gpu_profile("a800-sxm-80gb");
  const auto slowest = [&](const std::vector<int>& layers) {
    Nanos worst{0};
    for (const StageCosts& c : transformer_stages(m, gpu, {layers, 1}, 0).costs)
      worst = std::max(worst, c.forward + c.backward);
    return worst;
  };
  const std::vector<int> split = balanced_layers(m, gpu, 3, {{}, 1}, 0);
  CHECK(split[0] + split[1] + split[2] == 9);
  Nanos best = slowest(split);
  for (int a = 0; a <= 9; ++a) {
    for (int b = 0; a + b <= 9; ++b) best = std::min(best, slowest({a, b, 9 - a - b}));
  }
  CHECK(to_ms(slowest(split)) == Approx(to_ms(best)).epsilon(1e-6));
}

TEST_CASE("what experts and latent attention rest on is printed", "[hwmodels][costs]") {
  const StageEstimate e =
      transformer_stages(latent(), gpu_profile("a800-sxm-80gb"), {{2, 2}, 1}, 0);
  const auto says = [&](const std::string& start) {
    return std::any_of(e.assumptions.begin(), e.assumptions.end(),
                       [&](const std::string& line) { return line.rfind(start, 0) == 0; });
  };
  CHECK(says("experts: 2 of 8 and 1 shared for each token, tokens spread evenly"));
  CHECK(says("experts: all of a layer on its rank, no all-to-all"));
  CHECK(says("latent attention: keys and values of 8 heads expanded from rank 64"));
}

}  // namespace
}  // namespace stagesim
