#include "viz/grid_scale.hpp"

#include <algorithm>
#include <numeric>

namespace stagesim {
namespace {

// The longest time that divides every start and end.
Nanos common_step(const GridCells& cells) {
  std::int64_t step = cells.length.count();
  for (const auto& row : cells.of_rank) {
    for (const GridCell& cell : row) {
      if (step == 1) return Nanos(1);
      step = std::gcd(std::gcd(step, cell.start.count()), cell.end.count());
    }
  }
  return Nanos(step);
}

std::int64_t divided_up(Nanos a, Nanos b) { return (a - Nanos(1)) / b + 1; }

// Two digits are enough for a time that a person reads.
Nanos last_digit_kept(Nanos t) {
  Nanos power(1);
  while (t / power >= 100) power *= 10;
  return power;
}

// What the tightest cell asks for: columns per step (exact), or time per column (rounded borders).
struct Tightest {
  std::int64_t columns_per_step = 1;
  Nanos per_column = Nanos::max();
};

Tightest tightest(const GridCells& cells, LabelStyle style, std::size_t spare, Nanos step) {
  Tightest result;
  for (const auto& row : cells.of_rank) {
    for (const GridCell& cell : row) {
      const auto need = static_cast<std::int64_t>(label(cells, cell.op, style).size() + spare);
      const Nanos length = cell.end - cell.start;
      const std::int64_t steps = length / step;
      result.columns_per_step = std::max(result.columns_per_step, (need + steps - 1) / steps);
      result.per_column = std::min(result.per_column, length / need);
    }
  }
  result.per_column -= result.per_column % last_digit_kept(result.per_column);
  return result;
}

}  // namespace

std::optional<GridScale> labelled_scale(const GridCells& cells, LabelStyle style,
                                        std::int64_t width) {
  for (const auto& row : cells.of_rank) {
    if (static_cast<std::int64_t>(row.size()) > width) return {};  // spares long runs the search
  }
  const Nanos step = common_step(cells);
  // A lone letter is told apart well enough by the fill characters of longer cells.
  const std::size_t spare = style == LabelStyle::kLetter ? 0 : 1;
  const Tightest roomy = tightest(cells, style, spare, step);
  const Tightest tight = tightest(cells, style, 0, step);
  for (const Tightest& t : {roomy, tight}) {
    if (cells.length / step <= width / t.columns_per_step)
      return {{step, t.columns_per_step, true}};
  }
  for (const Tightest& t : {roomy, tight}) {
    if (t.per_column > Nanos(0) && divided_up(cells.length, t.per_column) <= width) {
      return {{t.per_column, 1, false}};
    }
  }
  return {};
}

std::int64_t columns_needed(const GridCells& cells, LabelStyle style) {
  const Nanos step = common_step(cells);
  const Tightest tight = tightest(cells, style, 0, step);
  const std::int64_t exact = cells.length / step * tight.columns_per_step;
  if (tight.per_column == Nanos(0)) return exact;
  return std::min(exact, divided_up(cells.length, tight.per_column));
}

GridScale sampling_scale(const GridCells& cells, std::int64_t width) {
  const Nanos least((cells.length.count() - 1) / width + 1);
  const Nanos digit = last_digit_kept(least);
  return {divided_up(least, digit) * digit, 1, false};
}

}  // namespace stagesim
