#pragma once

#include <algorithm>

#include "sim/bubble.hpp"
#include "sim/memory.hpp"
#include "tests/support/runs.hpp"

// Equal stages with a split backward: F = I = W = 1 and B = 2 unless said.

namespace stagesim::test {

inline Costs split_costs(int stages, double f, double i, double w, double latency = 0) {
  Costs costs = unit_costs(stages, f, i + w, latency);
  for (StageCosts& stage : costs.stages) {
    stage.input_grad = units(i);
    stage.weight_grad = units(w);
  }
  return costs;
}

inline Timeline run_split(const Wanted& wanted, double f = 1, double i = 1, double w = 1,
                          double latency = 0) {
  const Schedule s = make(wanted);
  return replay(lower(s, split_costs(s.shape.stages, f, i, w, latency)));
}

inline double wall_of(const Wanted& wanted, double latency = 0) {
  return in_units(wall(run_split(wanted, 1, 1, 1, latency)).length());
}
inline double span_of(const Wanted& wanted) {
  return in_units(longest_rank_span(run_split(wanted)));
}

inline std::vector<int> peaks_of(const Wanted& wanted) {
  const Timeline t = run_split(wanted);
  MemoryInputs inputs;
  inputs.stages.resize(std::size_t(t.shape().stages));
  inputs.weight_copies.assign(t.shape().rank_of_stage.size(), 1);
  std::vector<int> peaks;
  for (const RankMemory& rank : memory(t, inputs)) peaks.push_back(rank.peak_activations);
  return peaks;
}

inline std::vector<int> forwards_first(const Schedule& s) {
  std::vector<int> counts;
  for (const auto& ops : s.ops_of_rank) {
    const auto end = std::find_if(ops.begin(), ops.end(),
                                  [](const Op& op) { return op.kind != OpKind::kForward; });
    counts.push_back(static_cast<int>(end - ops.begin()));
  }
  return counts;
}

using Options = std::map<std::string, std::string>;
using Ints = std::vector<int>;

}  // namespace stagesim::test
