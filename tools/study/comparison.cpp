#include "tools/study/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

void compare_activations(Comparison& c) {
  for (std::size_t r = 0; r < c.predicted.memory.size(); ++r) {
    const int predicted = c.predicted.memory[r].peak_activations;
    const int measured = c.measured.memory[r].peak_activations;
    if (predicted == measured) continue;
    c.differences.push_back(
        fmt::format("rank {}: holds {} activations at most in the prediction and {} in the "
                    "measurement",
                    r, predicted, measured));
  }
}

void find_largest_part(Comparison& c, const Timeline& predicted, const Timeline& measured) {
  const Activities& what = *measured.what;
  std::map<std::pair<OpKind, int>, double> parts;
  for (const TaskId t : critical_path(measured).tasks)
    parts[{what.op[t].kind, what.lanes[what.lane[t]].from_rank}] +=
        to_ms(predicted.duration(t)) - to_ms(measured.duration(t));
  for (const auto& [part, ms] : parts) {
    if (std::abs(ms) <= std::abs(c.largest_part_ms)) continue;
    c.largest_part_ms = ms;
    c.largest_part = fmt::format("{} of rank {}", text(part.first), part.second);
  }
}

}  // namespace

double relative_error(double predicted, double measured) {
  return measured == 0 ? 0 : predicted / measured - 1;
}

std::string place_text(const Timeline& timeline, TaskId t) {
  const Activities& what = *timeline.what;
  const Lane& lane = what.lanes[what.lane[t]];
  const std::string cell = cell_text(what.op[t], what.shape.pipelines);
  if (lane.from_rank == lane.to_rank) return fmt::format("{} on rank {}", cell, lane.from_rank);
  return fmt::format("{} from rank {} to {}", cell, lane.from_rank, lane.to_rank);
}

Comparison compare_timelines(const Timeline& predicted, const Timeline& measured,
                             const RunInputs& inputs) {
  Comparison c{.predicted = summarise(predicted, inputs),
               .measured = summarise(measured, inputs),
               .errors = timeline_errors(predicted, measured)};
  c.differences = c.errors.differences;
  compare_activations(c);
  find_largest_part(c, predicted, measured);
  return c;
}

Ranking rank_schedules(const std::vector<std::string>& names, const std::vector<double>& predicted,
                       const std::vector<double>& measured) {
  STAGESIM_CHECK(names.size() == predicted.size() && names.size() == measured.size());
  Ranking result;
  const std::size_t n = names.size();
  double agree = 0, pairs = 0;
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = a + 1; b < n; ++b) {
      const double product = (predicted[a] - predicted[b]) * (measured[a] - measured[b]);
      agree += product > 0 ? 1 : product < 0 ? -1 : 0;
      ++pairs;
    }
  }
  if (pairs > 0) result.correlation = agree / pairs;
  const auto order = [&](const std::vector<double>& times) {
    std::vector<std::size_t> index(n);
    std::iota(index.begin(), index.end(), std::size_t{0});
    std::stable_sort(index.begin(), index.end(),
                     [&](std::size_t a, std::size_t b) { return times[a] < times[b]; });
    return index;
  };
  const auto words = [&](const std::vector<std::size_t>& index) {
    std::vector<std::string> sorted;
    for (const std::size_t i : index) sorted.push_back(names[i]);
    return fmt::format("{}", fmt::join(sorted, " > "));
  };
  const std::vector<std::size_t> one = order(predicted), other = order(measured);
  if (one != other)
    result.difference =
        fmt::format("order differs: predicted {}, measured {}", words(one), words(other));
  return result;
}

}  // namespace stagesim
