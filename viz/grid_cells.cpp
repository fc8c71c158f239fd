#include "viz/grid_cells.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace stagesim {

GridCells grid_cells(const Timeline& timeline) {
  const Shape& shape = timeline.shape();
  const Span all = wall(timeline);
  GridCells cells;
  cells.start = all.start;
  cells.length = all.length();
  cells.pipelines = shape.pipelines;
  std::vector<int> stages_of_rank(static_cast<std::size_t>(shape.ranks));
  for (int stage = 0; stage < shape.stages; ++stage) {
    int& before = stages_of_rank[static_cast<std::size_t>(shape.rank_of(0, stage))];
    cells.nth_on_rank.push_back(before++);
    cells.stages_per_rank = std::max(cells.stages_per_rank, before);
  }

  for (int rank = 0; rank < shape.ranks; ++rank) {
    std::vector<GridCell>& row = cells.of_rank.emplace_back();
    for (const TaskId t : order_of_rank(timeline, rank)) {
      const Op& op = timeline.what->op[t];
      GridCell cell{timeline.start[t] - all.start, timeline.end[t] - all.start, op};
      const Nanos half = (cell.end - cell.start) / 2;
      if (op.pair == PairPart::kForward) cell.end = cell.start + half;
      if (op.pair == PairPart::kBackward) cell.start += half;
      cells.pairs = cells.pairs || op.pair != PairPart::kNone;
      if (cell.start == cell.end) {
        cells.without_length += is_update_part(op.kind) ? 0 : 1;
      } else if (is_update_part(op.kind) && !row.empty() && is_update_part(row.back().op.kind) &&
                 row.back().end == cell.start && row.back().op.microbatch == op.microbatch) {
        row.back().end = cell.end;
      } else {
        row.push_back(cell);
      }
    }
    cells.drawn += row.size();
  }
  return cells;
}

char letter(const GridCells& cells, const Op& op) {
  if (is_update_part(op.kind)) return 'U';
  const char upper = text(op.kind)[0];
  const int variant = cells.pipelines > 1 ? op.pipeline : cells.nth_on_rank[op.stage];
  return static_cast<char>(variant % 2 == 0 ? upper : upper - 'A' + 'a');
}

std::string label(const GridCells& cells, const Op& op, LabelStyle style) {
  if (style == LabelStyle::kLetter) return std::string(1, letter(cells, op));
  if (style == LabelStyle::kShort || is_update_part(op.kind)) {
    return fmt::format("{}{}", letter(cells, op), op.microbatch);
  }
  std::string full = fmt::format("{}{}", text(op.kind), op.microbatch);
  if (cells.stages_per_rank > 1) full = fmt::format("{}{}", op.stage, full);
  if (cells.pipelines > 1) full += fmt::format("@{}", op.pipeline);
  return full;
}

}  // namespace stagesim
