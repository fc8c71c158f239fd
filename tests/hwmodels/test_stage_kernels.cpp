// The list of kernels that a GPU is given, against the sums that predict it.
#include <numeric>

#include "hwmodels/profile.hpp"
#include "hwmodels/stage_kernels.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/plain_link.hpp"

using namespace stagesim;

namespace {

double roofline_us(const GpuProfile& gpu, const Kernels& kernels) {
  double us = 0;
  for (const Kernel& k : kernels)
    us += std::max(k.flops / flops_per_us(gpu, k.kind), k.bytes / bytes_per_us(gpu, k.kind)) +
          gpu.kernel_us.value;
  return us;
}

double us(Nanos t) { return static_cast<double>(t.count()) / 1e3; }

// Layers on four stages, the first and the last with fewer.
std::vector<int> four_stages(int layers) {
  std::vector<int> split(4, layers / 4);
  split[1] += layers % 4;
  return split;
}

}  // namespace

TEST_CASE("kernels of a stage, one by one, take as long as the stage is predicted to",
          "[hwmodels][costs]") {
  const GpuProfile& gpu = gpu_profile("a100-sxm-80gb");
  for (const std::string& name : model_preset_names()) {
    for (const Recompute recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
      INFO(name);
      Model model = preset_model(name);
      model.recompute = recompute;
      const StagePlan plan{.layers = four_stages(model.layers), .microbatch = 2};
      const UpdatePlan update{.data = 4, .shard = true};
      StageEstimate estimate = transformer_stages(model, gpu, plan, 0);
      add_update_costs(estimate, model, gpu, test::plain_link(), update);
      const std::vector<StageKernels> stages = stage_kernels(model, plan, update);
      REQUIRE(stages.size() == 4);
      for (std::size_t s = 0; s < 4; ++s) {
        const StageCosts& costs = estimate.costs[s];
        CHECK(roofline_us(gpu, stages[s].forward) == Approx(us(costs.forward)));
        CHECK(roofline_us(gpu, stages[s].input_grad) == Approx(us(costs.input_grad)));
        CHECK(roofline_us(gpu, stages[s].weight_grad) == Approx(us(costs.weight_grad)));
        CHECK(roofline_us(gpu, stages[s].step) == Approx(us(costs.step)));
      }
    }
  }
}

TEST_CASE("a product's sizes are those of its FLOPs", "[hwmodels][costs]") {
  for (const std::string& name : model_preset_names()) {
    INFO(name);
    Model model = preset_model(name);
    model.flash = false;
    const StagePlan plan{.layers = four_stages(model.layers), .microbatch = 2};
    std::size_t batched = 0;
    for (const StageKernels& stage : stage_kernels(model, plan, {})) {
      for (const Kernels* kernels : {&stage.forward, &stage.input_grad, &stage.weight_grad}) {
        for (const Kernel& k : *kernels) {
          batched += k.batch > 1 ? 1 : 0;
          if (k.m > 0) CHECK(k.flops == Approx(2 * k.m * k.n * k.k * k.batch));
        }
      }
    }
    CHECK(batched == std::size_t(6 * model.layers));  // two forward, four backward
  }
}

TEST_CASE("a stage without layers has no updates to pay for", "[hwmodels][costs]") {
  const Model model = preset_model("gpt-125m");
  const StagePlan plan{.layers = {6, 0, 6}, .microbatch = 1};
  const UpdatePlan update{.data = 4, .shard = true};
  StageEstimate estimate = transformer_stages(model, gpu_profile("a100-sxm-80gb"), plan, 0);
  add_update_costs(estimate, model, gpu_profile("a100-sxm-80gb"), test::plain_link(), update);
  shard_optimizer(estimate, update);
  CHECK(estimate.bytes[1].optimizer == 0);
  CHECK(estimate.costs[1].step < estimate.costs[0].step);
  CHECK(estimate.costs[1].forward.count() == 0);
}
