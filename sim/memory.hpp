#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/costs.hpp"
#include "sim/timeline.hpp"

namespace stagesim {

enum class MemoryCategory : std::uint8_t {
  kWeights,
  kGradients,
  kOptimizer,
  kActivations,
  kReceiveBuffers,
  kWorkspace,
};
inline constexpr std::size_t kMemoryCategories = 6;
std::string_view text(MemoryCategory category);

// Which part of the backward computes the activations again from the checkpoint that F left.
enum class RecomputeIn : std::uint8_t {
  kNone,
  kInputGrad,  // B or I; what I brought back stays until W
  kBoth,       // I and W each for itself
};

struct MemoryInputs {
  std::vector<StageBytes> stages{};
  std::vector<int> weight_copies{};  // [pipeline * stages + stage]
  RecomputeIn recompute = RecomputeIn::kNone;
  std::vector<double> microbatch_scale{};  // of the bytes, as in Costs
};

inline double gib(std::int64_t bytes) {
  return static_cast<double>(bytes) / (1024.0 * 1024 * 1024);
}

struct RankMemory {
  std::int64_t peak = 0;  // bytes
  Nanos peak_at{};
  std::array<std::int64_t, kMemoryCategories> at_peak{};
  std::int64_t resting =
      0;  // weights x copies, gradients, optimizer, workspace: there all the time
  int peak_activations = 0;  // most micro-batches held at once, in units of one stage
};

struct MemorySample {
  Nanos at{};
  std::int64_t bytes = 0;
};

// An activation lives from the start of F to the end of B, or partly to the end of I and W (forward
// only: to the end of F); under recompute, the checkpoint lives that long and the rest from the
// start of the op that computes it again. A receive buffer lives from transfer start to consumer
// end; at equal times frees come first.
std::vector<RankMemory> memory(const Timeline& timeline, const MemoryInputs& inputs);

// [rank]: every change in time order, one sample per instant; starts with the resting bytes.
std::vector<std::vector<MemorySample>> memory_over_time(const Timeline& timeline,
                                                        const MemoryInputs& inputs);

}  // namespace stagesim
