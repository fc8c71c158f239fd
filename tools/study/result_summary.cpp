#include "tools/study/result_summary.hpp"

#include <algorithm>

namespace stagesim {

ResultSummary summary_of(const ScheduleResult& r) {
  ResultSummary sum;
  int activations = 0;
  for (std::size_t i = 0; i < r.memory.size(); ++i) {
    if (r.memory[i].peak > r.memory[sum.worst_rank].peak) sum.worst_rank = i;
    activations = std::max(activations, r.memory[i].peak_activations);
  }
  const auto in_shares = [&](int stages) {
    return static_cast<double>(stages) * r.shape.ranks / r.shape.stages;
  };
  sum.peak_memory_gib = gib(r.memory.at(sum.worst_rank).peak);
  sum.peak_activations = in_shares(activations);
  sum.weight_copies = in_shares(
      *std::max_element(r.versions.copies_of_rank.begin(), r.versions.copies_of_rank.end()));
  for (const StageVersions& s : r.versions.stages) {
    sum.max_mismatch = further_from_zero(sum.max_mismatch, s.max_mismatch);
    sum.max_delay = further_from_zero(sum.max_delay, s.max_delay);
    sum.mismatched_share += s.mismatched_share;
  }
  sum.mismatched_share /= static_cast<double>(std::max<std::size_t>(1, r.versions.stages.size()));
  return sum;
}

}  // namespace stagesim
