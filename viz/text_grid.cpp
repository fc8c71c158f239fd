#include "viz/text_grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "viz/grid_cells.hpp"
#include "viz/grid_scale.hpp"
#include "viz/grid_words.hpp"

namespace stagesim {
namespace {

// The most telling way to draw that fits.
GridPlan plan_grid(const GridCells& cells, std::size_t width, std::string_view margin) {
  GridPlan plan;
  plan.width = width;
  plan.margin = margin;
  const auto room = static_cast<std::int64_t>(width - margin.size());
  const bool case_tells = cells.pipelines * cells.stages_per_rank <= 2;
  for (const LabelStyle style : {LabelStyle::kFull, LabelStyle::kShort, LabelStyle::kLetter}) {
    if (style == LabelStyle::kFull && case_tells) continue;
    const auto scale = labelled_scale(cells, style, room);
    if (!scale) continue;
    plan.style = style;
    plan.scale = *scale;
    return plan;
  }
  plan.sampled = true;
  plan.style = LabelStyle::kLetter;
  plan.scale = sampling_scale(cells, room);
  return plan;
}

char fill(OpKind kind) {
  if (is_update_part(kind)) return '~';
  return is_gradient(kind) ? '=' : '-';
}

std::string labelled_row(const GridCells& cells, const GridPlan& plan,
                         const std::vector<GridCell>& ops) {
  std::string row(static_cast<std::size_t>(plan.scale.column(cells.length)), '.');
  for (const GridCell& cell : ops) {
    const auto from = static_cast<std::size_t>(plan.scale.column(cell.start));
    const auto to = static_cast<std::size_t>(plan.scale.column(cell.end));
    std::string text = label(cells, cell.op, plan.style);
    text.resize(to - from, fill(cell.op.kind));
    row.replace(from, to - from, text);
  }
  return row;
}

// A column shows the kind that takes most of its work, unless more than half of it is idle.
std::string sampled_row(const GridCells& cells, const GridPlan& plan,
                        const std::vector<GridCell>& ops) {
  const Nanos unit = plan.scale.unit;
  std::vector<std::array<Nanos, kGridLetters.size()>> columns(
      static_cast<std::size_t>((cells.length - Nanos(1)) / unit + 1));
  for (const GridCell& cell : ops) {
    const std::size_t kind = kGridLetters.find(letter(cells, cell.op));
    for (auto c = cell.start / unit; c * unit < cell.end; ++c) {
      columns[static_cast<std::size_t>(c)][kind] +=
          std::min(cell.end, (c + 1) * unit) - std::max(cell.start, c * unit);
    }
  }
  std::string row;
  Nanos start{};
  for (const auto& kinds : columns) {
    Nanos busy{};
    for (const Nanos t : kinds) busy += t;
    const auto most = std::max_element(kinds.begin(), kinds.end()) - kinds.begin();
    const Nanos length = std::min(unit, cells.length - start);  // the last column may be shorter
    row += 2 * busy < length ? '.' : kGridLetters[static_cast<std::size_t>(most)];
    start += unit;
  }
  return row;
}

}  // namespace

std::string text_grid(const Timeline& timeline, int width) {
  constexpr int kNarrowest = 40;
  const GridCells cells = grid_cells(timeline);
  if (cells.drawn == 0 && cells.without_length == 0) return "nothing to draw: no ops\n";
  if (cells.drawn == 0) {
    return fmt::format("nothing to draw: {} ops, all of zero length\n", cells.without_length);
  }
  const std::size_t digits = std::to_string(timeline.shape().ranks - 1).size();
  const std::string margin = fmt::format("rank {:{}} |", 0, digits);
  const GridPlan plan =
      plan_grid(cells, static_cast<std::size_t>(std::max(width, kNarrowest)), margin);

  std::string grid = grid_header(cells, plan) + grid_axis(cells, plan);
  for (std::size_t rank = 0; rank < cells.of_rank.size(); ++rank) {
    const std::vector<GridCell>& ops = cells.of_rank[rank];
    grid +=
        fmt::format("rank {:{}} |{}\n", rank, digits,
                    plan.sampled ? sampled_row(cells, plan, ops) : labelled_row(cells, plan, ops));
  }
  return grid + grid_legend(cells, plan);
}

}  // namespace stagesim
