#include <fmt/format.h>

#include <cmath>

#include "hwmodels/collectives.hpp"
#include "hwmodels/stage_costs.hpp"
#include "hwmodels/stage_kernels.hpp"
#include "sim/base/error.hpp"

namespace stagesim {
namespace {

// Bytes per parameter of the passes that Megatron-LM's mixed precision step makes over memory, each
// a kernel of its own: fp32 gradient g, master p and moments m, v, 16-bit weight w.
constexpr double kUnscaleBytes = 8;  // fp16 only: divides g by the loss scale, looks for overflow
constexpr double kNormBytes = 4;     // gradient norm for clipping
constexpr double kClipBytes = 8;     // scales g by it
constexpr double kAdamBytes = 28;    // reads g, p, m, v, writes p, m, v
constexpr double kCopyBytes = 6;     // p to w
constexpr double kZeroBytes = 4;     // clears g for the next window

Nanos update_nanos(const char* what, std::size_t stage, double us) {
  if (us * 1e3 > static_cast<double>(kLongestOp.count())) {
    throw InputError(
        fmt::format("model: {} of stage {} would take {:.3g} s; one op may take 2 h at most", what,
                    stage, us / 1e6));
  }
  return rounded_nanos(us * 1e3);
}

}  // namespace

Kernels step_kernels(const Model& model, double parameters, double own, bool owner) {
  Kernels kernels;
  if (model.dtype == "fp16") kernels.push_back(stream(kUnscaleBytes * own));
  append(kernels, {stream(kNormBytes * own), stream(kClipBytes * own),
                   stream(kAdamBytes * own, KernelKind::kAdam), stream(kCopyBytes * own)});
  // With an owner every replica clears its gradients after the broadcast.
  if (!owner) kernels.push_back(stream(kZeroBytes * parameters));
  return kernels;
}

void add_update_costs(StageEstimate& estimate, const Model& model, const GpuProfile& gpu,
                      const LinkProfile& link, const UpdatePlan& plan) {
  const int replicas = plan.replicas, data = plan.data, expert = plan.expert;
  STAGESIM_CHECK(replicas >= 1 && data >= 1 && data % expert == 0);
  const auto over = [&](CollectiveKind kind, double bytes, int n) {
    return collective_microseconds(link, kind, n, bytes);
  };
  const bool owner = plan.owned();
  const int others = plan.copies();
  const bool fp16 = model.dtype == "fp16";
  const double stream_bytes = (fp16 ? kUnscaleBytes : 0) + kNormBytes + kClipBytes + kCopyBytes;
  const auto passes_us = [&](const Kernels& kernels) {
    double us = 0;
    for (const Kernel& k : kernels) us += k.bytes / bytes_per_us(gpu, k.kind) + gpu.kernel_us.value;
    return us;
  };
  const std::size_t last = estimate.costs.size() - 1;
  // Both ends hold the tied embedding and add up their gradients.
  const bool tied = model.tied && last > 0;
  const double embedding = 4.0 * model.vocab * model.hidden / estimate.tensor;
  for (std::size_t s = 0; s < estimate.costs.size(); ++s) {
    const auto gradients = static_cast<double>(estimate.bytes[s].gradients);
    const auto weights = static_cast<double>(estimate.bytes[s].weights);
    const auto parameters = static_cast<double>(estimate.parameters[s]);
    // The experts of a GPU have fewer copies than the rest.
    const double experts = estimate.expert_share(s);
    const auto among_copies = [&](CollectiveKind kind, double bytes) {
      if (experts == 0 || expert == 1) return over(kind, bytes, others);
      return over(kind, bytes * (1 - experts), others) +
             over(kind, bytes * experts, others / expert);
    };
    double reduce = owner ? over(CollectiveKind::kReduce, gradients, replicas) : 0;
    reduce += plan.shard ? among_copies(CollectiveKind::kReduceScatter, gradients) +
                               among_copies(CollectiveKind::kAllGather, weights)
                         : among_copies(CollectiveKind::kAllReduce, gradients);
    if (tied && (s == 0 || s == last)) reduce += over(CollectiveKind::kAllReduce, embedding, 2);
    const double zero = passes_us({stream(kZeroBytes * parameters)});
    const double own = parameters * plan.own_share(experts);
    StageCosts& costs = estimate.costs[s];
    costs.reduce = update_nanos("the gradient reduction", s, reduce);
    costs.step = update_nanos("the optimizer step", s,
                              passes_us(step_kernels(model, parameters, own, owner)));
    costs.broadcast =
        update_nanos("the weight broadcast", s,
                     owner ? over(CollectiveKind::kBroadcast, weights, replicas) + zero : 0);
  }
  estimate.assumptions.push_back(fmt::format(
      "optimizer: {} bytes per parameter in separate passes, {} of them Adam's (assumed: {}clip, "
      "Adam, copy to 16 bits, clear)",
      stream_bytes + kAdamBytes + kZeroBytes, kAdamBytes, fp16 ? "unscale, " : ""));
  if (tied) {
    estimate.assumptions.push_back(
        fmt::format("tied embedding: its gradient ({:.0f} MB) is added up between the first and "
                    "the last stage in every reduction, without the wait for the other end",
                    embedding / 1e6));
  }
  if (replicas * data < 2) return;
  const std::string who =
      expert > 1 ? fmt::format("{} (those of experts over {})", others, others / expert)
                 : fmt::format("{}", others);
  const std::string among =
      plan.shard ? fmt::format(
                       "reduce-scattered over {}, weights all-gathered after the step (ZeRO-1: "
                       "each keeps its share of the optimizer state)",
                       who)
                 : fmt::format("all-reduced over {}", who);
  CollectiveKind kind = plan.shard ? CollectiveKind::kReduceScatter : CollectiveKind::kAllReduce;
  std::string how = among;
  if (owner) {
    kind = CollectiveKind::kReduce;
    how = fmt::format("reduced over {} replicas to the owner of a stage, weights broadcast back",
                      replicas);
    if (data > 1) how += fmt::format("; {}, the data-parallel owners", among);
  }
  estimate.assumptions.push_back(fmt::format(
      "gradients: fp32, {}; {}", how, collective_text(link, kind, owner ? replicas : others)));
}

double StageEstimate::expert_share(std::size_t stage) const {
  if (expert_parameters.empty() || parameters[stage] == 0) return 0;  // a stage without layers
  return static_cast<double>(expert_parameters[stage]) / static_cast<double>(parameters[stage]);
}

void shard_optimizer(StageEstimate& estimate, const UpdatePlan& plan) {
  for (std::size_t s = 0; s < estimate.bytes.size(); ++s) {
    std::int64_t& bytes = estimate.bytes[s].optimizer;
    bytes = std::llround(static_cast<double>(bytes) * plan.own_share(estimate.expert_share(s)));
  }
}

}  // namespace stagesim
