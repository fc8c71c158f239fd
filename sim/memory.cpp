#include "sim/memory.hpp"

#include <algorithm>
#include <cmath>

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

// Bytes of one micro-batch of a stage, by what has run of it.
struct Held {
  std::int64_t after_f = 0, during_b = 0, after_i = 0, during_w = 0;
};

Held held_by(const Op& op, const MemoryInputs& inputs) {
  const StageBytes& b = inputs.stages[op.stage];
  Held held{b.activation, b.activation, b.activation_after_i, b.activation_after_i};
  if (inputs.recompute != RecomputeIn::kNone) held.after_f = b.checkpoint;
  if (inputs.recompute == RecomputeIn::kBoth) held.after_i = b.checkpoint;
  if (inputs.microbatch_scale.empty()) return held;
  const double scale = scale_of(inputs.microbatch_scale, op.microbatch);
  for (std::int64_t* bytes : {&held.after_f, &held.during_b, &held.after_i, &held.during_w})
    *bytes = std::llround(scale * static_cast<double>(*bytes));
  return held;
}

// What comes and goes on a rank in time order; at equal times frees come first.
std::vector<Change> changes_of(const Timeline& timeline, const MemoryInputs& inputs, int rank,
                               std::vector<Change> changes) {
  const bool forward_only = timeline.shape().forward_only;
  for (const TaskId t : order_of_rank(timeline, rank)) {
    const Op& op = timeline.what->op[t];
    if (!is_busy(op.kind) || op.kind == OpKind::kStep) continue;
    const Held held = held_by(op, inputs);
    const auto change = [&](Nanos at, std::int64_t bytes, int activations) {
      changes.push_back({at, bytes, activations, false});
    };
    switch (op.kind) {
      case OpKind::kForward:
        change(timeline.start[t], held.after_f, 1);
        if (forward_only) change(timeline.end[t], -held.after_f, -1);
        break;
      case OpKind::kBackward:
        if (held.during_b != held.after_f)
          change(timeline.start[t], held.during_b - held.after_f, 0);
        change(timeline.end[t], -held.during_b, -1);
        break;
      case OpKind::kInputGrad:
        if (held.during_b != held.after_f)
          change(timeline.start[t], held.during_b - held.after_f, 0);
        change(timeline.end[t], held.after_i - held.during_b, 0);
        break;
      default:  // W
        if (held.during_w != held.after_i)
          change(timeline.start[t], held.during_w - held.after_i, 0);
        change(timeline.end[t], -held.during_w, -1);
    }
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
      if (owns) of(bytes, MemoryCategory::kOptimizer) += s.optimizer;
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
  STAGESIM_CHECK(inputs.weight_copies.size() == shape.rank_of_stage.size());
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
