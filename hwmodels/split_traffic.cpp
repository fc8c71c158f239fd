#include "hwmodels/split_traffic.hpp"

#include <algorithm>

#include "hwmodels/collectives.hpp"
#include "hwmodels/kernels.hpp"

namespace stagesim {
namespace {

struct Collectives {
  const LinkProfile& link;
  int gpus;
  double bytes;  // of one activation

  Traffic times(double count, CollectiveKind kind, double size) const {
    return {count * collective_microseconds(link, kind, gpus, size), count};
  }
  // Sums partial activations, or hands them out; together they are an all-reduce.
  Traffic scatter() const { return times(1, CollectiveKind::kReduceScatter, bytes); }
  Traffic gather() const { return times(1, CollectiveKind::kAllGather, bytes); }
  Traffic all_reduce() const { return times(1, CollectiveKind::kAllReduce, bytes); }
};

Traffic operator+(const Traffic& a, const Traffic& b) {
  return {a.us + b.us, a.collectives + b.collectives};
}

Collectives collectives(const Model& model, int b, const StageSplit& split,
                        const LinkProfile& link) {
  return {link, split.tensor, 2.0 * b * model.seq / split.context * model.hidden};
}

Traffic ring(const StageSplit& split, const LinkProfile& link, double bytes, double core_us) {
  const double steps = split.context - 1;
  return {steps * std::max(0.0, link.microseconds(bytes) - core_us / split.context), steps};
}

}  // namespace

TensorTraffic layer_traffic(const Model& model, int b, const StageSplit& split,
                            const LinkProfile& link) {
  if (split.tensor == 1) return {};
  const Collectives over = collectives(model, b, split, link);
  const Traffic one = split.sequence_parallel ? over.gather() + over.scatter() : over.all_reduce();
  const Traffic sum = split.sequence_parallel ? over.scatter() : over.all_reduce();
  return {one + one, one + one, 2 * sum.us};
}

TensorTraffic embedding_traffic(const Model& model, int b, const StageSplit& split,
                                const LinkProfile& link) {
  if (split.tensor == 1) return {};
  const Collectives over = collectives(model, b, split, link);
  if (split.sequence_parallel) return {over.scatter(), over.gather(), 0};
  return {over.all_reduce(), {}, 0};
}

TensorTraffic head_traffic(const Model& model, int b, const StageSplit& split,
                           const LinkProfile& link) {
  if (split.tensor == 1) return {};
  const Collectives over = collectives(model, b, split, link);
  const Traffic loss =
      over.times(3, CollectiveKind::kAllReduce, 4.0 * b * model.seq / split.context);
  if (split.sequence_parallel) return {over.gather() + loss, over.scatter(), over.scatter().us};
  return {loss, over.all_reduce(), over.all_reduce().us};
}

Traffic ring_forward(const Model& model, int b, const StageSplit& split, const LinkProfile& link,
                     double core_us) {
  if (split.context == 1) return {};
  return ring(split, link, key_value_bytes(model, b, split), core_us);
}

Traffic ring_backward(const Model& model, int b, const StageSplit& split, const LinkProfile& link,
                      double core_us) {
  if (split.context == 1) return {};
  return ring(split, link, 2 * key_value_bytes(model, b, split), core_us);
}

Traffic expert_traffic(const Model& model, int b, const StageSplit& split,
                       const LinkProfile& link) {
  if (split.expert == 1 || model.experts == 0) return {};
  const double copies =
      1.0 * b * model.seq / split.context * model.experts_per_token / split.sequence();
  const double each = collective_microseconds(link, CollectiveKind::kAllToAll, split.expert,
                                              2 * copies * model.hidden);
  return {2 * each, 2};
}

}  // namespace stagesim
