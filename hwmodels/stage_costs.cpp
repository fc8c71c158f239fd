#include "hwmodels/stage_costs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "hwmodels/assumptions.hpp"
#include "hwmodels/collectives.hpp"
#include "hwmodels/kernels.hpp"
#include "hwmodels/matmul_table.hpp"
#include "hwmodels/split_traffic.hpp"
#include "hwmodels/stage_bytes.hpp"
#include "sim/base/error.hpp"

namespace stagesim {
namespace {

// GPU time and number of kernels; adds up over the parts of a stage.
struct Work {
  double gpu_us = 0, kernels = 0;

  Work operator+(const Work& other) const {
    return {gpu_us + other.gpu_us, kernels + other.kernels};
  }
  Work operator*(double times) const { return {gpu_us * times, kernels * times}; }
};

// Times of kernels on a GPU: a matrix product of a measured shape as measured, everything else by
// the roofline.
struct Rates {
  const GpuProfile& gpu;
  MatmulTable table;
  std::set<std::array<double, 3>>* shapes;  // of products, as they come by

  Work work(const Kernels& kernels) const {
    Work sum{.gpu_us = 0, .kernels = static_cast<double>(kernels.size())};
    for (const Kernel& k : kernels) {
      const double memory_us = k.bytes / bytes_per_us(gpu, k.kind);
      const bool listed = k.m > 0 && k.batch == 1;
      if (listed) shapes->insert({k.m, k.n, k.k});
      // Back to back, so the gap between kernels is in it; a weight gradient's fp32 sums may not
      // be.
      if (const auto us = listed ? table.microseconds(k.m, k.n, k.k) : std::nullopt) {
        sum.gpu_us += std::max(*us, memory_us);
      } else {
        sum.gpu_us +=
            std::max(k.flops / flops_per_us(gpu, k.kind), memory_us) + gpu.kernel_us.value;
      }
    }
    return sum;
  }
};

struct OpWork {
  Work forward, input_grad, weight_grad;
  double overlap_us = 0;  // of input and weight gradient in a backward that is not split

  Work backward() const {
    Work both = input_grad + weight_grad;
    both.gpu_us -= overlap_us;
    return both;
  }
  OpWork operator+(const OpWork& other) const {
    return {forward + other.forward, input_grad + other.input_grad, weight_grad + other.weight_grad,
            overlap_us + other.overlap_us};
  }
  OpWork operator*(double times) const {
    return {forward * times, input_grad * times, weight_grad * times, overlap_us * times};
  }
};

Work operator+(const Work& work, const Traffic& traffic) {
  return {work.gpu_us + traffic.us, work.kernels + traffic.collectives};
}

OpWork layer_work(const Model& model, const StagePlan& plan, const Rates& rates) {
  const int b = plan.microbatch;
  TensorTraffic traffic;
  if (plan.split.tensor > 1) traffic = layer_traffic(model, b, plan.split, *plan.tensor_link);
  OpWork layer{rates.work(layer_forward_kernels(model, b, plan.split)) + traffic.forward,
               rates.work(layer_input_grad_kernels(model, b, plan.split)) + traffic.input_grad,
               rates.work(layer_weight_grad_kernels(model, b, plan.split))};
  if (plan.split.context > 1) {
    const Traffic forward =
        ring_forward(model, b, plan.split, *plan.context_link,
                     rates.work(attention_core_forward_kernels(model, b, plan.split)).gpu_us);
    const Traffic backward =
        ring_backward(model, b, plan.split, *plan.context_link,
                      rates.work(attention_core_backward_kernels(model, b, plan.split)).gpu_us);
    layer.forward = layer.forward + forward;
    layer.input_grad = layer.input_grad + backward;
  }
  if (plan.split.expert > 1 && model.experts > 0) {
    const Traffic both = expert_traffic(model, b, plan.split, *plan.expert_link);
    layer.forward = layer.forward + both;
    layer.input_grad = layer.input_grad + both;
  }
  // The layers whose columns are split have about half of the weight gradients' time.
  if (plan.tensor_overlap)
    layer.overlap_us = std::min(traffic.beside_weight_grad_us, layer.weight_grad.gpu_us / 2);
  // Recompute comes before the input gradient; W then finds what it needs.
  switch (model.recompute) {
    case Recompute::kNone:
      break;
    case Recompute::kSelective:  // flash attention's backward computes its scores again anyway
      if (!model.flash) {
        layer.input_grad =
            layer.input_grad + rates.work(attention_core_forward_kernels(model, b, plan.split));
      }
      break;
    case Recompute::kFull:
      layer.input_grad = layer.input_grad + layer.forward;
      break;
  }
  return layer;
}

// How long an op takes: the GPU's time, or the host's to issue the kernels.
struct OpClock {
  double launch_us;
  std::size_t stage;

  Nanos time(const char* op, const Work& work) const {
    const double ns = 1e3 * std::max(work.gpu_us, work.kernels * launch_us);
    if (ns > static_cast<double>(kLongestOp.count())) {
      throw InputError(fmt::format(
          "model: {} of stage {} would take {:.3g} s; one op may take 2 h at most. Is the model or "
          "the micro-batch too large?",
          op, stage, ns / 1e9));
    }
    return rounded_nanos(ns);
  }
  bool host_bound(const Work& work) const { return work.kernels * launch_us > work.gpu_us; }
};

// The embedding, on the first stage. Its gradient goes with the input gradient.
OpWork embedding_work(const Model& model, const StagePlan& plan, const Rates& rates) {
  const int b = plan.microbatch;
  TensorTraffic traffic;
  if (plan.split.tensor > 1) traffic = embedding_traffic(model, b, plan.split, *plan.tensor_link);
  return {rates.work(embedding_forward_kernels(model, b, plan.split)) + traffic.forward,
          rates.work(embedding_backward_kernels(model, b, plan.split)) + traffic.input_grad,
          {}};
}

OpWork head_work(const Model& model, const StagePlan& plan, const Rates& rates) {
  const int b = plan.microbatch;
  TensorTraffic traffic;
  if (plan.split.tensor > 1) traffic = head_traffic(model, b, plan.split, *plan.tensor_link);
  OpWork head{rates.work(head_forward_kernels(model, b, plan.split)) + traffic.forward,
              rates.work(head_input_grad_kernels(model, b, plan.split)) + traffic.input_grad,
              rates.work(head_weight_grad_kernels(model, b, plan.split))};
  if (plan.tensor_overlap)
    head.overlap_us = std::min(traffic.beside_weight_grad_us, head.weight_grad.gpu_us);
  return head;
}

void check_plan(const Model& model, const StagePlan& plan) {
  STAGESIM_CHECK(!plan.layers.empty() && plan.microbatch >= 1);
  STAGESIM_CHECK(plan.split.tensor == 1 || plan.tensor_link != nullptr);
  STAGESIM_CHECK(plan.split.context == 1 || (plan.context_link != nullptr && model.flash));
  STAGESIM_CHECK(plan.split.expert == 1 || plan.expert_link != nullptr);
  Problems problems;
  std::int64_t sum = 0;
  for (std::size_t s = 0; s < plan.layers.size(); ++s) {
    if (plan.layers[s] < 0)
      problems.add("partition.layers: stage {} has {} layers", s, plan.layers[s]);
    sum += plan.layers[s];
  }
  if (problems.empty() && sum != model.layers) {
    problems.add("partition.layers: {} = {}, but the model has {} layers",
                 fmt::join(plan.layers, " + "), sum, model.layers);
  }
  problems.throw_if_any();
}

std::string tensor_text(const StagePlan& plan) {
  const bool sequence = plan.split.sequence_parallel;
  return fmt::format(
      "tensor split: {} GPUs per stage; {} of each layer forward and backward; sums of gradients "
      "{} in an unsplit backward{}; {}",
      plan.split.tensor, sequence ? "2 all-gathers and 2 reduce-scatters" : "2 all-reduces",
      plan.tensor_overlap ? "beside weight gradients" : "beside nothing",
      sequence ? ", the weight gradients' own all-gathers hidden (assumed)" : "",
      collective_text(*plan.tensor_link,
                      sequence ? CollectiveKind::kAllGather : CollectiveKind::kAllReduce,
                      plan.split.tensor));
}

std::string context_text(const StagePlan& plan) {
  return fmt::format(
      "context split: {} GPUs take a part of every sequence each; keys and values go round a ring "
      "beside the attention on the part before, their gradients too (16-bit, causal parts "
      "balanced; "
      "assumed); {}",
      plan.split.context,
      provenance_text(plan.context_link->from,
                      fmt::format("{}, {}", plan.context_link->name, plan.context_link->source),
                      plan.context_link->error));
}

std::string expert_text(const StagePlan& plan) {
  if (plan.split.expert == 1) return "experts: all of a layer on its rank, no all-to-all";
  return fmt::format(
      "expert split: {} GPUs hold a share of the experts each; two all-to-alls of the tokens' "
      "copies "
      "in the forward and two in the input gradient, beside nothing; {}",
      plan.split.expert,
      collective_text(*plan.expert_link, CollectiveKind::kAllToAll, plan.split.expert));
}

}  // namespace

StageEstimate transformer_stages(const Model& model, const GpuProfile& gpu, const StagePlan& plan,
                                 double launch_us) {
  check_plan(model, plan);
  const int b = plan.microbatch;
  std::set<std::array<double, 3>> shapes;
  const Rates rates{gpu, MatmulTable(gpu, model.dtype), &shapes};
  const OpWork dense_layer = layer_work(layer_model(model, 0), plan, rates);
  const OpWork layer = layer_work(layer_model(model, model.dense_layers), plan, rates);
  const OpWork embedding = embedding_work(model, plan, rates);
  const OpWork head = head_work(model, plan, rates);

  StageEstimate estimate;
  estimate.tensor = plan.split.tensor;
  estimate.layers = plan.layers;
  std::vector<std::size_t> host_bound;
  for (std::size_t s = 0; s < plan.layers.size(); ++s) {
    const LayerMix mix(model, plan, s);
    OpWork stage = dense_layer * mix.dense + layer * mix.rest;
    if (s == 0) stage = stage + embedding;
    if (s + 1 == plan.layers.size()) stage = stage + head;
    const Work backward = stage.backward();
    const OpClock clock{launch_us, s};
    estimate.costs.push_back({.forward = clock.time("forward", stage.forward),
                              .backward = clock.time("backward", backward),
                              .input_grad = clock.time("input gradient", stage.input_grad),
                              .weight_grad = clock.time("weight gradient", stage.weight_grad)});
    if (clock.host_bound(stage.forward) || clock.host_bound(backward)) host_bound.push_back(s);
    estimate.parameters.push_back(stage_parameters(model, plan, s));
    estimate.expert_parameters.push_back(stage_expert_parameters(model, plan, s));
    estimate.bytes.push_back(stage_bytes(model, plan, s, estimate.parameters.back()));
  }
  estimate.tokens_per_microbatch = static_cast<double>(b) * model.seq;
  estimate.flops_per_microbatch = 3 * model_forward_flops(model, b) / plan.split.gpus();
  estimate.assumptions = stage_assumptions(model, gpu, launch_us);
  if (const std::string measured = rates.table.text(shapes); !measured.empty())
    estimate.assumptions.push_back(measured);
  if (plan.split.tensor > 1) estimate.assumptions.push_back(tensor_text(plan));
  if (plan.split.context > 1) estimate.assumptions.push_back(context_text(plan));
  if (model.experts > 0) estimate.assumptions.push_back(expert_text(plan));
  if (!host_bound.empty()) {
    estimate.assumptions.push_back(
        fmt::format("host-bound: forward or backward of stage {} waits for the host",
                    fmt::join(host_bound, ", ")));
  }
  return estimate;
}

LinkClass link_costs(const LinkProfile& link, const std::vector<StageBytes>& stages) {
  LinkClass result{.name = link.name,
                   .latency = rounded_nanos(1e3 * link.latency_us.value),
                   .transfer_time = {},
                   .gb_per_s = link.large_message_gb_per_s(),
                   .exchange_gb_per_s = link.large_exchange_gb_per_s()};
  for (const StageBytes& stage : stages) {
    result.transfer_time.push_back(
        rounded_nanos(1e3 * link.microseconds(static_cast<double>(stage.message))));
  }
  return result;
}

}  // namespace stagesim
