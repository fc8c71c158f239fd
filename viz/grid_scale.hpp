#pragma once

#include <cstdint>
#include <optional>

#include "viz/grid_cells.hpp"

namespace stagesim {

// How time becomes columns: `columns` of them stand for `unit`.
struct GridScale {
  Nanos unit{1};
  std::int64_t columns = 1;
  bool exact = true;  // every start and end falls between two columns

  // The nearest border between two columns.
  std::int64_t column(Nanos t) const {
    return t / unit * columns + ((t % unit).count() * columns + unit.count() / 2) / unit.count();
  }
};

// A scale at which every cell can hold its label, if possible with a fill character after it. Exact
// if that fits `width` columns, else with rounded borders.
std::optional<GridScale> labelled_scale(const GridCells& cells, LabelStyle style,
                                        std::int64_t width);

// The columns that labelled_scale needs at least.
std::int64_t columns_needed(const GridCells& cells, LabelStyle style);

// Columns of a round length, at most `width` of them, however short the cells.
GridScale sampling_scale(const GridCells& cells, std::int64_t width);

}  // namespace stagesim
