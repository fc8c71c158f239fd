#include <fmt/format.h>

#include "hwmodels/assumptions.hpp"
#include "hwmodels/stage_costs.hpp"
#include "sim/base/error.hpp"

namespace stagesim {
namespace {

// Adam in mixed precision reads the fp32 gradient, master and both moments (16), writes master,
// both moments and the 16-bit weight (14).
constexpr double kOptimizerBytes = 30;

// Microseconds on one link for each rank of a ring of n.
struct Ring {
  double latency_us, bytes_per_us;

  double all_reduce(double bytes, int n) const {
    return n < 2 ? 0 : 2.0 * (n - 1) * (latency_us + bytes / n / bytes_per_us);
  }
  // Reduce to one rank, or broadcast from it: a pipelined chain.
  double chain(double bytes, int n) const {
    return n < 2 ? 0 : (n - 1) * latency_us + bytes / bytes_per_us;
  }
};

Nanos update_nanos(const char* what, std::size_t stage, double us) {
  if (us * 1e3 > static_cast<double>(kLongestOp.count())) {
    throw InputError(
        fmt::format("model: {} of stage {} would take {:.3g} s; one op may take 2 h at most", what,
                    stage, us / 1e6));
  }
  return rounded_nanos(us * 1e3);
}

}  // namespace

void add_update_costs(StageEstimate& estimate, const GpuProfile& gpu, const LinkProfile& link,
                      int replicas, Optimizer optimizer, int data) {
  STAGESIM_CHECK(replicas >= 1 && data >= 1);
  const Ring ring{link.latency_us.value, link.large_message_gb_per_s() * 1e3};
  const double memory_bytes_per_us = gpu.memory_gb_per_s.value * gpu.memory_efficiency.value * 1e3;
  const bool owner = optimizer == Optimizer::kOwner;
  for (std::size_t s = 0; s < estimate.costs.size(); ++s) {
    const auto gradients = static_cast<double>(estimate.bytes[s].gradients);
    const auto weights = static_cast<double>(estimate.bytes[s].weights);
    const double reduce = owner ? ring.chain(gradients, replicas) + ring.all_reduce(gradients, data)
                                : ring.all_reduce(gradients, replicas * data);
    const double step =
        kOptimizerBytes * static_cast<double>(estimate.parameters[s]) / memory_bytes_per_us +
        gpu.kernel_us.value;
    StageCosts& costs = estimate.costs[s];
    costs.reduce = update_nanos("the gradient reduction", s, reduce);
    costs.step = update_nanos("the optimizer step", s, step);
    costs.broadcast =
        update_nanos("the weight broadcast", s, owner ? ring.chain(weights, replicas) : 0);
  }
  estimate.assumptions.push_back(fmt::format(
      "optimizer: {} bytes per parameter at the memory rate (assumed)", kOptimizerBytes));
  if (replicas * data < 2) return;
  std::string how = fmt::format("ring all-reduce over {}", replicas * data);
  if (owner) {
    how = fmt::format("reduced over {} replicas to the owner of a stage, weights broadcast back",
                      replicas);
    if (data > 1) how += fmt::format(", all-reduced over {} data-parallel owners", data);
  }
  estimate.assumptions.push_back(fmt::format("gradients: fp32, {}, at {:.3g} GB/s of {} ({})", how,
                                             ring.bytes_per_us / 1e3, link.name,
                                             provenance_text(link.from, link.source, link.error)));
}

}  // namespace stagesim
