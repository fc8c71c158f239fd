#include <algorithm>
#include <numeric>
#include <tuple>

#include "hwmodels/stage_costs.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

using Layers = std::vector<int>;

TEST_CASE("embedding and head counted as a layer each take their room on the ends",
          "[hwmodels][partition]") {
  // ISEEKYAN/Megatron-LM#47: 8 units of work on 4 stages.
  CHECK(balanced_layers(6, 4, 1, 1) == Layers{1, 2, 2, 1});
}

TEST_CASE("a count that does not divide keeps its total", "[hwmodels][partition]") {
  CHECK(balanced_layers(7, 2, 0, 0) == Layers{3, 4});
  CHECK(balanced_layers(61, 8, 0, 0) == Layers{7, 7, 7, 8, 8, 8, 8, 8});
}

TEST_CASE("no split of the layers has a faster slowest stage", "[hwmodels][partition]") {
  const int layers = GENERATE(0, 1, 5, 9, 12);
  const double first = GENERATE(0.0, 0.4, 2.5);
  const double last = GENERATE(0.0, 1.0, 3.3);
  const auto slowest = [&](const Layers& split) {
    return std::max({split[0] + first, split[1] + 0.0, split[2] + last});
  };
  double best = 1e9;
  for (int a = 0; a <= layers; ++a) {
    for (int b = 0; a + b <= layers; ++b) best = std::min(best, slowest({a, b, layers - a - b}));
  }
  const Layers split = balanced_layers(layers, 3, first, last);
  CHECK(std::accumulate(split.begin(), split.end(), 0) == layers);
  CHECK(*std::min_element(split.begin(), split.end()) >= 0);
  CHECK(slowest(split) == best);
}

TEST_CASE("balanced by stage times: moving a layer between any two stages never helps",
          "[hwmodels][partition]") {
  const Model gpt{
      .name = "gpt", .layers = 48, .hidden = 1600, .heads = 25, .vocab = 50257, .seq = 1024};
  const Model llama{.name = "llama",
                    .layers = 32,
                    .hidden = 4096,
                    .heads = 32,
                    .kv_heads = 8,
                    .ffn = 14336,
                    .vocab = 128256,
                    .seq = 8192,
                    .flash = true,
                    .gated = true};
  for (const auto& [model, gpu_name, micro] :
       {std::tuple(gpt, "a800-sxm-80gb", 4), std::tuple(llama, "h100-sxm-80gb", 1)}) {
    const GpuProfile& gpu = gpu_profile(gpu_name);
    const auto slowest = [&, &model = model, &micro = micro](const Layers& layers) {
      Nanos worst{0};
      for (const StageCosts& c : transformer_stages(model, gpu, {layers, micro}, 6).costs)
        worst = std::max(worst, c.forward + c.backward);
      return worst;
    };
    const Layers split = balanced_layers(model, gpu, 8, {{}, micro}, 6);
    CHECK(std::accumulate(split.begin(), split.end(), 0) == model.layers);
    for (std::size_t from = 0; from < 8; ++from) {
      for (std::size_t to = 0; to < 8; ++to) {
        Layers moved = split;
        if (from == to || moved[from] == 0) continue;
        --moved[from], ++moved[to];
        CHECK(slowest(split) <= slowest(moved));
      }
    }
  }
  CHECK(balanced_layers(gpt, gpu_profile("a800-sxm-80gb"), 1, {{}, 4}, 6) == Layers{48});
}

TEST_CASE("even layers divide or say what is left over", "[hwmodels][partition][errors]") {
  CHECK(even_layers(48, 8) == Layers(8, 6));
  CHECK_THROWS_WITH(even_layers(61, 8),
                    "partition.layers: 61 layers do not divide by 8 stages (61 = 8 x 7 + 5); give "
                    "the layers per stage as a list that sums to 61, or \"balanced\"");
}

}  // namespace
}  // namespace stagesim
