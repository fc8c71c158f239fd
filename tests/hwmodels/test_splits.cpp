// Context and expert splits of a stage.

#include <numeric>

#include "hwmodels/kernels.hpp"
#include "hwmodels/split_traffic.hpp"
#include "hwmodels/stage_costs.hpp"
#include "sim/base/json_fields.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/plain_link.hpp"

namespace stagesim {
namespace {

Model preset(const char* name) {
  Problems problems;
  const JsonSource source{"test", {}, &problems};
  const Json json = parse_json(model_preset_text(name), name);
  JsonFields fields(json, source, "model");
  return read_model(fields);
}

double flops(const Kernels& kernels) {
  return std::accumulate(kernels.begin(), kernels.end(), 0.0,
                         [](double sum, const Kernel& k) { return sum + k.flops; });
}

GpuProfile flops_only() {
  GpuProfile gpu;
  gpu.peak_tflops.value = 100;
  gpu.memory_gb_per_s.value = 1e15;
  gpu.matmul_efficiency.value = gpu.memory_efficiency.value = 1;
  return gpu;
}

double us(Nanos t) { return static_cast<double>(t.count()) / 1e3; }

}  // namespace

TEST_CASE("the GPUs of a context split do the FLOPs of a micro-batch once", "[hwmodels][splits]") {
  const int c = GENERATE(2, 8);
  for (const char* name : {"gpt-1.3b", "llama-3-8b", "mixtral-8x7b", "deepseek-v3"}) {
    CAPTURE(name, c);
    Model m = preset(name);
    m.flash = true;
    m = layer_model(m, m.layers - 1);
    using Of = Kernels (*)(const Model&, int, StageSplit);
    for (const Of of :
         {Of(layer_forward_kernels), Of(layer_input_grad_kernels), Of(layer_weight_grad_kernels),
          Of(head_forward_kernels), Of(head_input_grad_kernels), Of(head_weight_grad_kernels)}) {
      CHECK(c * flops(of(m, 2, {.context = c})) == Approx(flops(of(m, 2, {}))).epsilon(1e-12));
    }
  }
}

TEST_CASE("a context split divides activations and messages, not weights", "[hwmodels][splits]") {
  Model m = preset("llama-3-8b");
  m.flash = true;
  const LinkProfile link = test::plain_link();
  const auto stages = [&](int c) {
    return transformer_stages(
        m, flops_only(),
        {.layers = {16, 16}, .microbatch = 1, .split = {.context = c}, .context_link = &link}, 0);
  };
  const StageEstimate whole = stages(1), part = stages(4);
  for (std::size_t s = 0; s < 2; ++s) {
    CHECK(4 * part.bytes[s].activation == whole.bytes[s].activation);
    CHECK(4 * part.bytes[s].activation_after_i == whole.bytes[s].activation_after_i);
    CHECK(4 * part.bytes[s].message == whole.bytes[s].message);
    CHECK(part.bytes[s].weights == whole.bytes[s].weights);
    CHECK(part.parameters[s] == whole.parameters[s]);
  }
  CHECK(4 * part.flops_per_microbatch == Approx(whole.flops_per_microbatch));
  CHECK(part.tokens_per_microbatch == whole.tokens_per_microbatch);
}

TEST_CASE("ring attention takes the longer of a part's attention and its message",
          "[hwmodels][splits]") {
  Model m = preset("llama-3-8b");
  m.flash = true;
  const LinkProfile link = test::plain_link();
  const StageSplit split{.context = 4};
  // 8 heads of keys and of values, 128 wide, of a quarter of 2 x 8192 tokens, 16-bit, at 1 GB/s.
  const double bytes = 2.0 * 2 * 8 * 128 * (2 * 8192 / 4.0);
  CHECK(key_value_bytes(m, 2, split) == bytes);
  const double step = bytes / 1e3;
  CHECK(ring_forward(m, 2, split, link, 0).us == Approx(3 * step));
  CHECK(ring_forward(m, 2, split, link, 4 * (step - 100)).us == Approx(3 * 100));
  CHECK(ring_forward(m, 2, split, link, 5 * step).us == 0);
  CHECK(ring_backward(m, 2, split, link, 0).us == Approx(3 * 2 * step));
  CHECK(ring_forward(m, 2, split, link, 0).collectives == 3);
  CHECK(ring_forward(m, 2, {}, link, 0).us == 0);
}

TEST_CASE("Mixtral with one of its experts on each of 8 GPUs is Mistral 7B and its routers",
          "[hwmodels][splits]") {
  // Mistral-7B-v0.1 has 7,241,732,096 parameters.
  const Model m = preset("mixtral-8x7b");
  const StageSplit split{.expert = 8};
  const std::int64_t per_gpu = m.layers * layer_parameters(m, split) + embedding_parameters(m) +
                               head_parameters(m) + final_norm_parameters(m);
  CHECK(per_gpu == 7'241'732'096 + std::int64_t{m.layers} * m.hidden * 8);
  CHECK(expert_parameters(m, split) == std::int64_t{3} * 4096 * 14336);
  CHECK(expert_parameters(m) == 8 * expert_parameters(m, split));
  // The same tokens go through fewer experts.
  CHECK(flops(layer_forward_kernels(m, 1, split)) == Approx(flops(layer_forward_kernels(m, 1))));
}

TEST_CASE("tokens go to their experts and back, in the forward and in the backward",
          "[hwmodels][splits]") {
  const Model m = preset("mixtral-8x7b");
  const LinkProfile link = test::plain_link();
  // Two copies of each token, 16-bit; three quarters of them leave a GPU, in three hops of 1 us.
  const double bytes = 2.0 * 2 * m.seq * 4096;
  const Traffic t = expert_traffic(m, 1, {.expert = 4}, link);
  CHECK(t.us == Approx(2 * (3 + 0.75 * bytes / 1e3)));
  CHECK(t.collectives == 2);
  CHECK(expert_traffic(m, 1, {}, link).us == 0);
  const auto stage = [&](int expert) {
    return transformer_stages(
               m, flops_only(),
               {.layers = {32}, .microbatch = 1, .split = {.expert = expert}, .expert_link = &link},
               0)
        .costs[0];
  };
  CHECK(us(stage(4).forward - stage(1).forward) == Approx(32 * t.us));
  CHECK(us(stage(4).input_grad - stage(1).input_grad) == Approx(32 * t.us));
  CHECK(stage(4).weight_grad == stage(1).weight_grad);
}

TEST_CASE("experts are reduced over the copies that they have", "[hwmodels][splits]") {
  const Model m = preset("mixtral-8x7b");
  const LinkProfile link = test::plain_link();
  StageEstimate all = transformer_stages(
      m, flops_only(),
      {.layers = {32}, .microbatch = 1, .split = {.expert = 4}, .expert_link = &link}, 0);
  const double experts = 4.0 * static_cast<double>(all.expert_parameters[0]);
  const double rest = 4.0 * static_cast<double>(all.parameters[0]) - experts;
  const std::int64_t optimizer = all.bytes[0].optimizer;
  // 8 copies of everything else, 2 of each expert; all-reduces of 14 and 2 hops.
  add_update_costs(all, m, flops_only(), link, {.data = 8, .expert = 4});
  CHECK(us(all.costs[0].reduce) ==
        Approx(14 + 2 * 7 / 8.0 * rest / 1e3 + 2 + 2 * 1 / 2.0 * experts / 1e3));
  shard_optimizer(all, {.data = 8, .expert = 4});
  CHECK(all.bytes[0].optimizer == optimizer);
  shard_optimizer(all, {.data = 8, .shard = true, .expert = 4});
  CHECK(static_cast<double>(all.bytes[0].optimizer) == Approx(3 * rest / 8 + 3 * experts / 2));
}

}  // namespace stagesim
