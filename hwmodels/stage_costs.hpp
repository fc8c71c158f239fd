#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/model.hpp"
#include "hwmodels/profile.hpp"
#include "sim/costs.hpp"
#include "sim/schedule.hpp"

namespace stagesim {

struct StagePlan {
  std::vector<int> layers;  // per stage; the embedding is on the first stage, the head on the last
  int microbatch = 1;       // sequences
  StageSplit split = {};
  // What joins the GPUs of a split; only where it has several.
  const LinkProfile *tensor_link = nullptr, *context_link = nullptr, *expert_link = nullptr;
  // In a backward that is not split, sums of input gradients run beside weight gradients
  // (Megatron-LM since 2.6, unless --no-async-tensor-model-parallel-allreduce).
  bool tensor_overlap = true;
};

struct StageEstimate {
  std::vector<StageCosts> costs;  // forward, backward, input_grad, weight_grad; updates still zero
  std::vector<StageBytes> bytes;
  std::vector<std::int64_t> parameters;         // per stage, of one GPU
  std::vector<int> layers;                      // per stage, as planned; empty: not a transformer
  std::vector<std::int64_t> expert_parameters;  // those of them that are experts'
  int tensor = 1;                               // GPUs that share the columns of a stage
  // Of a stage's parameters; 0 where there are no counts.
  double expert_share(std::size_t stage) const;
  double tokens_per_microbatch = 0;
  // Model FLOPs, 3 x forward (recompute not counted), of one GPU of each stage.
  double flops_per_microbatch = 0;
  std::vector<std::string> assumptions;  // one line each, with where the number comes from
};

// Time of each stage as a list of kernels, max(flops / matmul rate, bytes / memory rate) + constant
// each, and the collectives of a tensor split, one after the other; or the host's time to issue
// them if that is longer. Times and bytes are those of one GPU. Throws InputError for layer lists
// that do not add up to the model's layers.
StageEstimate transformer_stages(const Model& model, const GpuProfile& gpu, const StagePlan& plan,
                                 double launch_us);

// Who takes part in the update of a stage.
struct UpdatePlan {
  int replicas = 1;  // in the pipelines of one group (AMDP d/2), each on its own rank
  Optimizer optimizer = Optimizer::kReplicated;
  int data = 1;        // GPUs with the same weights in copies of that group, or in a context split
  bool shard = false;  // ZeRO-1, Megatron-LM's distributed optimizer (arXiv 1910.02054 section 5.1)
  int expert = 1;      // GPUs among those that share the experts

  bool owned() const { return optimizer == Optimizer::kOwner && replicas > 1; }
  // GPUs that reduce a stage's gradients among each other, and with shards share its optimizer
  // state: the owners in all copies, or all replicas.
  int copies() const { return owned() ? data : replicas * data; }
  // Of the optimizer state that one GPU keeps, where that share of its parameters are experts'.
  double own_share(double experts) const {
    if (!shard) return 1;
    return (1 - experts) / copies() + experts * expert / copies();
  }
};

// Fills reduce, step and broadcast. Collectives as collective_microseconds has them: an all-reduce
// over n moves 2 (n - 1) / n of the gradients, a reduce to the owner or a broadcast from it moves
// them once; with shards a reduce-scatter of gradients and an all-gather of weights, both counted
// as `reduce`. The step is Megatron-LM's passes over memory (clip, Adam, copy, clear: 50 bytes per
// parameter, 58 with fp16's unscaling), all but the clearing on a rank's own shard.
void add_update_costs(StageEstimate& estimate, const Model& model, const GpuProfile& gpu,
                      const LinkProfile& link, const UpdatePlan& plan);

// Takes the optimizer states to what one GPU keeps of them.
void shard_optimizer(StageEstimate& estimate, const UpdatePlan& plan);

// Message times of every stage boundary on that link.
LinkClass link_costs(const LinkProfile& link, const std::vector<StageBytes>& stages);

// layers / stages each. Throws InputError with the arithmetic when that does not divide.
std::vector<int> even_layers(int layers, int stages);
// Minimises the slowest stage's forward + backward time, with the embedding and the head as they
// cost.
// plan.layers is not read.
std::vector<int> balanced_layers(const Model& model, const GpuProfile& gpu, int stages,
                                 const StagePlan& plan, double launch_us);
// The same for layers of those times, in any unit; and for equal layers, with the work beside them
// in units of one layer.
std::vector<int> balanced_layers(const std::vector<double>& times, int stages, double first_extra,
                                 double last_extra);
std::vector<int> balanced_layers(int layers, int stages, double first_extra, double last_extra);

}  // namespace stagesim
