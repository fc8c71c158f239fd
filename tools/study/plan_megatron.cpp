#include <fmt/format.h>

#include <algorithm>

#include "tools/study/plan.hpp"

namespace stagesim {
namespace {

// --pipeline-model-parallel-layout: a stage after the other, each layer a t.
std::string layout_of(const std::vector<int>& layers) {
  std::string layout;
  for (std::size_t s = 0; s < layers.size(); ++s) {
    if (s > 0) layout += '|';
    if (s == 0) layout += 'E';
    if (layers[s] > 0) layout += layers[s] == 1 ? "t" : fmt::format("t*{}", layers[s]);
    if (s + 1 == layers.size()) layout += 'L';
  }
  return layout;
}

}  // namespace

std::string megatron_flags_of(const Plan& plan) {
  const PlanChoice& c = plan.choice;
  const bool interleaved = c.schedule.name == "interleaved-1f1b";
  if (c.schedule.name != "1f1b" && !interleaved) return "";
  const Scenario s = plan.input.read();
  std::string flags = fmt::format(
      "--pipeline-model-parallel-size {} --tensor-model-parallel-size {} --micro-batch-size {} "
      "--global-batch-size {}",
      c.pipeline, c.tensor, c.micro, s.samples());
  const bool even = std::equal(plan.layers.begin() + 1, plan.layers.end(), plan.layers.begin());
  if (!even) {  // says how many stages there are, too
    flags += fmt::format(" --pipeline-model-parallel-layout '{}'", layout_of(plan.layers));
  } else if (interleaved) {
    flags += " --num-virtual-stages-per-pipeline-rank " + c.schedule.options.at("v");
  }
  if (s.split.sequence_parallel && c.tensor > 1) flags += " --sequence-parallel";
  if (s.split.context > 1) flags += fmt::format(" --context-parallel-size {}", s.split.context);
  if (s.split.expert > 1) flags += fmt::format(" --expert-model-parallel-size {}", s.split.expert);
  if (s.shard_optimizer) flags += " --use-distributed-optimizer";
  if (c.recompute == "selective") flags += " --recompute-activations";
  if (c.recompute == "full")
    flags += " --recompute-granularity full --recompute-method uniform --recompute-num-layers 1";
  return flags;
}

}  // namespace stagesim
