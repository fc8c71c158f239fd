#include "tools/study/stage_estimate.hpp"

#include <fmt/format.h>

#include <cmath>

#include "tools/study/run_costs.hpp"

namespace stagesim {
namespace {

std::string shape_text(const Scenario& s, int v) {
  return fmt::format("{} rank{} x {} stage{} per rank", s.ranks, s.ranks == 1 ? "" : "s", v,
                     v == 1 ? "" : "s");
}

// A list is for one number of stages only.
[[noreturn]] void refuse_list(const Scenario& s, int v, const std::string& other_way) {
  const int stages = s.ranks * v;
  const std::string count = v == 1 ? fmt::format("{} entries without parallel.virtual", stages)
                                   : fmt::format("{} entries with parallel.virtual {}", stages, v);
  throw ShapeError(fmt::format("{} has {} entries, but {} are {} stages; give {}, {}",
                               s.source.listed, s.ranks * s.source.virtual_stages, shape_text(s, v),
                               stages, count, other_way));
}

void check_stages(const Scenario& s, int v) {
  STAGESIM_CHECK(v >= 1);
  const std::int64_t stages = std::int64_t{s.ranks} * v;
  if (stages > kMostStages) {
    throw ShapeError(fmt::format("{} are {} stages, at most {} can be counted; use fewer",
                                 shape_text(s, v), stages, kMostStages));
  }
  if (v == s.source.virtual_stages || s.source.listed.empty()) return;
  if (s.model) refuse_list(s, v, "or \"balanced\"");
  refuse_list(s, v, "one number for all, or \"per\": \"rank\" in model.stage_times");
}

Nanos share(Nanos whole, int v) { return rounded_nanos(static_cast<double>(whole.count()) / v); }

std::int64_t share(std::int64_t whole, int v) {
  return std::llround(static_cast<double>(whole) / v);
}

// Which given entry stage i takes: that of its rank, or the one for all stages.
std::size_t entry_of(const Scenario& s, int stage) {
  return s.source.per_rank ? static_cast<std::size_t>(stage % s.ranks) : 0;
}

StageEstimate explicit_stages(const Scenario& s, int v) {
  StageEstimate estimate;
  const int parts = s.source.per_rank ? v : 1;
  for (int i = 0; i < s.ranks * v; ++i) {
    StageCosts costs = s.stages.costs.at(entry_of(s, i));
    for (Nanos StageCosts::*field :
         {&StageCosts::forward, &StageCosts::backward, &StageCosts::input_grad,
          &StageCosts::weight_grad, &StageCosts::step}) {
      costs.*field = share(costs.*field, parts);
    }
    StageBytes bytes = s.stages.bytes.at(entry_of(s, i));
    for (std::int64_t StageBytes::*field :
         {&StageBytes::activation, &StageBytes::activation_after_i, &StageBytes::weights,
          &StageBytes::gradients, &StageBytes::optimizer}) {
      bytes.*field = share(bytes.*field, parts);
    }
    estimate.costs.push_back(costs);
    estimate.bytes.push_back(bytes);
  }
  if (parts > 1) {
    estimate.assumptions.push_back(fmt::format(
        "stage times: as given per rank, divided by v = {}; stage s takes the entry of rank s mod "
        "{}",
        parts, s.ranks));
  }
  return estimate;
}

// Between GPUs next to each other, the first and the last of so many.
const LinkProfile* link_over(const Scenario& s, int gpus) {
  const auto& link =
      s.gpus_per_node == 0 || gpus <= s.gpus_per_node ? s.link_within : s.link_between;
  return link ? &*link : nullptr;
}

StagePlan stage_plan(const Scenario& s, std::vector<int> layers) {
  return {.layers = std::move(layers),
          .microbatch = s.micro,
          .split = s.split,
          .tensor_link = link_over(s, s.split.tensor),
          .context_link = link_over(s, s.split.gpus()),
          .expert_link = link_over(s, s.split.tensor * s.split.expert),
          .tensor_overlap = s.tensor_overlap};
}

}  // namespace

std::vector<int> layers_per_stage(const Scenario& s, int v) {
  if (!s.source.layers.empty()) return s.source.layers;
  const int stages = s.ranks * v;
  if (s.source.split != LayerSplit::kEven)
    return balanced_layers(*s.model, *s.gpu, stages, stage_plan(s, {}), s.source.launch_us);
  try {
    return even_layers(s.model->layers, stages);
  } catch (const InputError& error) {
    const std::string text = error.what();
    throw ShapeError(v == 1 ? text : fmt::format("{}: {}", shape_text(s, v), text));
  }
}

StageEstimate split_transformer(const Scenario& s, int v) {
  const StagePlan plan = stage_plan(s, layers_per_stage(s, v));
  StageEstimate estimate = transformer_stages(*s.model, *s.gpu, plan, s.source.launch_us);
  estimate.assumptions.insert(
      estimate.assumptions.begin(),
      fmt::format("layers per stage: {}; embedding on stage 0, output layer and loss on stage {}",
                  fmt::join(plan.layers, " "), plan.layers.size() - 1));
  return estimate;
}

std::vector<StageKernels> kernels_of(const Scenario& s, const std::vector<int>& layers,
                                     const Shape& shape) {
  return stage_kernels(*s.model, stage_plan(s, layers), update_plan(s, shape));
}

StageEstimate stage_estimate(const Scenario& s, int v) {
  check_stages(s, v);
  if (v == s.source.virtual_stages) return s.stages;
  return s.model ? split_transformer(s, v) : explicit_stages(s, v);
}

std::vector<Nanos> pair_times(const Scenario& s, int v) {
  check_stages(s, v);
  if (v == s.source.virtual_stages || s.pair.empty()) return s.pair;
  std::vector<Nanos> pair(static_cast<std::size_t>(s.ranks) * static_cast<std::size_t>(v));
  for (std::size_t i = 0; i < pair.size(); ++i)
    pair[i] = share(s.pair.at(entry_of(s, static_cast<int>(i))), s.source.per_rank ? v : 1);
  return pair;
}

}  // namespace stagesim
