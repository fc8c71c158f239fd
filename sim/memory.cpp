#include "sim/memory.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace stagesim {

std::string_view text(MemoryCategory category) {
  switch (category) {
    case MemoryCategory::kWeights:
      return "weights";
    case MemoryCategory::kGradients:
      return "gradients";
    case MemoryCategory::kOptimizer:
      return "optimizer";
    case MemoryCategory::kActivations:
      return "activations";
    case MemoryCategory::kReceiveBuffers:
      return "receive buffers";
    case MemoryCategory::kWorkspace:
      return "workspace";
  }
  return "?";
}

namespace {

struct Change {
  Nanos at{};
  std::int64_t bytes = 0;
  int activations = 0;
  bool receive_buffer = false;
};

using Bytes = std::array<std::int64_t, kMemoryCategories>;

std::int64_t& of(Bytes& bytes, MemoryCategory c) { return bytes[static_cast<std::size_t>(c)]; }

// The receive buffers of every rank, in task order.
std::vector<std::vector<Change>> receive_changes(const Timeline& timeline) {
  const Activities& what = *timeline.what;
  std::vector<std::vector<Change>> result(static_cast<std::size_t>(what.shape.ranks));
  for_each_transfer(what, [&](TaskId t, const Transfer& transfer) {
    if (transfer.bytes == 0) return;
    auto& changes = result[what.lane[transfer.consumer]];
    changes.push_back({timeline.start[t], transfer.bytes, 0, true});
    changes.push_back({timeline.end[transfer.consumer], -transfer.bytes, 0, true});
  });
  return result;
}

// What comes and goes on a rank in time order; at equal times frees come first.
std::vector<Change> changes_of(const Timeline& timeline, const MemoryInputs& inputs, int rank,
                               std::vector<Change> changes) {
  for (const TaskId t : order_of_rank(timeline, rank)) {
    const Op& op = timeline.what->op[t];
    if (!is_busy(op.kind) || op.kind == OpKind::kStep) continue;
    const StageBytes& bytes = inputs.stages[op.stage];
    if (op.kind == OpKind::kForward)
      changes.push_back({timeline.start[t], bytes.activation, 1, false});
    if (op.kind == OpKind::kBackward)
      changes.push_back({timeline.end[t], -bytes.activation, -1, false});
    if (op.kind == OpKind::kInputGrad) {
      changes.push_back({timeline.end[t], bytes.activation_after_i - bytes.activation, 0, false});
    }
    if (op.kind == OpKind::kWeightGrad)
      changes.push_back({timeline.end[t], -bytes.activation_after_i, -1, false});
  }
  const auto before = [](const Change& a, const Change& b) {
    return a.at != b.at ? a.at < b.at
                        : (a.bytes < 0 || a.activations < 0) > (b.bytes < 0 || b.activations < 0);
  };
  std::stable_sort(changes.begin(), changes.end(), before);
  return changes;
}

std::vector<Bytes> resting_bytes(const Shape& shape, const MemoryInputs& inputs) {
  std::vector<Bytes> result;
  const auto hosted = hosted_stages(shape);
  for (std::size_t r = 0; r < hosted.size(); ++r) {
    Bytes& bytes = result.emplace_back();
    bytes = {};
    for (const HostedStage& at : hosted[r]) {
      const StageBytes& s = inputs.stages[at.stage];
      const std::size_t replica = at.pipeline * inputs.stages.size() + at.stage;
      of(bytes, MemoryCategory::kWeights) += s.weights * inputs.weight_copies[replica];
      of(bytes, MemoryCategory::kGradients) += s.gradients;
      const bool owns =
          shape.optimizer != Optimizer::kOwner || shape.rank_of(0, at.stage) == static_cast<int>(r);
      if (owns) of(bytes, MemoryCategory::kOptimizer) += s.optimizer / inputs.optimizer_shards;
      of(bytes, MemoryCategory::kWorkspace) =
          std::max(of(bytes, MemoryCategory::kWorkspace), s.workspace);
    }
  }
  return result;
}

std::int64_t sum(const Bytes& bytes) {
  std::int64_t total = 0;
  for (const std::int64_t b : bytes) total += b;
  return total;
}

void check_inputs(const Timeline& timeline, const MemoryInputs& inputs) {
  const Shape& shape = timeline.shape();
  STAGESIM_CHECK(inputs.stages.size() == static_cast<std::size_t>(shape.stages));
  STAGESIM_CHECK(inputs.weight_copies.size() == shape.rank_of_stage.size() &&
                 inputs.optimizer_shards > 0);
}

}  // namespace

std::vector<RankMemory> memory(const Timeline& timeline, const MemoryInputs& inputs) {
  check_inputs(timeline, inputs);
  std::vector<RankMemory> result;
  auto received = receive_changes(timeline);
  const std::vector<Bytes> resting = resting_bytes(timeline.shape(), inputs);
  for (int r = 0; r < timeline.shape().ranks; ++r) {
    RankMemory& rank = result.emplace_back();
    Bytes now = resting[static_cast<std::size_t>(r)];
    rank.at_peak = now;
    rank.peak = rank.resting = sum(now);
    int activations = 0;
    for (const Change& c :
         changes_of(timeline, inputs, r, std::move(received[static_cast<std::size_t>(r)]))) {
      of(now, c.receive_buffer ? MemoryCategory::kReceiveBuffers : MemoryCategory::kActivations) +=
          c.bytes;
      activations += c.activations;
      rank.peak_activations = std::max(rank.peak_activations, activations);
      if (sum(now) > rank.peak) {
        rank.peak = sum(now);
        rank.peak_at = c.at;
        rank.at_peak = now;
      }
    }
  }
  return result;
}

std::vector<std::vector<MemorySample>> memory_over_time(const Timeline& timeline,
                                                        const MemoryInputs& inputs) {
  check_inputs(timeline, inputs);
  std::vector<std::vector<MemorySample>> result;
  auto received = receive_changes(timeline);
  const std::vector<Bytes> resting = resting_bytes(timeline.shape(), inputs);
  const Nanos begin = wall(timeline).start;
  for (int r = 0; r < timeline.shape().ranks; ++r) {
    std::int64_t bytes = sum(resting[static_cast<std::size_t>(r)]);
    std::vector<MemorySample>& samples = result.emplace_back();
    samples.push_back({begin, bytes});
    for (const Change& c :
         changes_of(timeline, inputs, r, std::move(received[static_cast<std::size_t>(r)]))) {
      bytes += c.bytes;
      if (samples.back().at == c.at) {
        samples.back().bytes = bytes;
      } else {
        samples.push_back({c.at, bytes});
      }
    }
  }
  return result;
}

}  // namespace stagesim
