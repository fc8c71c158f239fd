#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/model.hpp"
#include "hwmodels/profile.hpp"
#include "sim/costs.hpp"
#include "sim/schedule.hpp"

namespace stagesim {

struct StagePlan {
  std::vector<int> layers;  // per stage; the embedding is on the first stage, the head on the last
  int microbatch = 1;       // sequences
};

struct StageEstimate {
  std::vector<StageCosts> costs;  // forward, backward, input_grad, weight_grad; updates still zero
  std::vector<StageBytes> bytes;
  std::vector<std::int64_t> parameters;  // per stage
  double tokens_per_microbatch = 0;
  double flops_per_microbatch = 0;       // model FLOPs, 3 x forward (recompute not counted)
  std::vector<std::string> assumptions;  // one line each, with where the number comes from
};

// Time of each stage as a list of kernels, max(flops / matmul rate, bytes / memory rate) + constant
// each, or the host's time to issue them if that is longer. Throws InputError for layer lists that
// do not add up to the model's layers.
StageEstimate transformer_stages(const Model& model, const GpuProfile& gpu, const StagePlan& plan,
                                 double launch_us);

// Fills reduce, step and broadcast. A stage has `replicas` in the pipelines of one group (AMDP
// d/2), each on its own rank, and `data` copies of that group. Ring formulas at the link's
// large-message rate, plus its latency per hop: an all-reduce over n moves 2 (n - 1) / n of the
// gradients, a reduce to the owner or a broadcast from it moves them once. The step is
// Megatron-LM's passes over memory (clip, Adam, copy, clear: 50 bytes per parameter, 58 with fp16's
// unscaling).
void add_update_costs(StageEstimate& estimate, const Model& model, const GpuProfile& gpu,
                      const LinkProfile& link, int replicas, Optimizer optimizer, int data);

// Message times of every stage boundary on that link.
LinkClass link_costs(const LinkProfile& link, const std::vector<StageBytes>& stages);

// layers / stages each. Throws InputError with the arithmetic when that does not divide.
std::vector<int> even_layers(int layers, int stages);
// Minimises the slowest stage's forward + backward time, with the embedding and the head as they
// cost.
std::vector<int> balanced_layers(const Model& model, const GpuProfile& gpu, int stages,
                                 int microbatch, double launch_us);
// The same with the work beside the layers said in units of one layer.
std::vector<int> balanced_layers(int layers, int stages, double first_extra, double last_extra);

}  // namespace stagesim
