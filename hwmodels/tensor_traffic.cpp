#include "hwmodels/tensor_traffic.hpp"

#include "hwmodels/collectives.hpp"

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

Collectives collectives(const Model& model, int b, const TensorSplit& split,
                        const LinkProfile& link) {
  return {link, split.tensor, 2.0 * b * model.seq * model.hidden};
}

}  // namespace

TensorTraffic layer_traffic(const Model& model, int b, const TensorSplit& split,
                            const LinkProfile& link) {
  if (split.tensor == 1) return {};
  const Collectives over = collectives(model, b, split, link);
  const Traffic one = split.sequence_parallel ? over.gather() + over.scatter() : over.all_reduce();
  const Traffic sum = split.sequence_parallel ? over.scatter() : over.all_reduce();
  return {one + one, one + one, 2 * sum.us};
}

TensorTraffic embedding_traffic(const Model& model, int b, const TensorSplit& split,
                                const LinkProfile& link) {
  if (split.tensor == 1) return {};
  const Collectives over = collectives(model, b, split, link);
  if (split.sequence_parallel) return {over.scatter(), over.gather(), 0};
  return {over.all_reduce(), {}, 0};
}

TensorTraffic head_traffic(const Model& model, int b, const TensorSplit& split,
                           const LinkProfile& link) {
  if (split.tensor == 1) return {};
  const Collectives over = collectives(model, b, split, link);
  const Traffic loss = over.times(3, CollectiveKind::kAllReduce, 4.0 * b * model.seq);
  if (split.sequence_parallel) return {over.gather() + loss, over.scatter(), over.scatter().us};
  return {loss, over.all_reduce(), over.all_reduce().us};
}

}  // namespace stagesim
