#pragma once

#include <string>
#include <string_view>

#include "viz/grid_cells.hpp"
#include "viz/grid_scale.hpp"

namespace stagesim {

// The kinds a grid can show, upper case first.
inline constexpr std::string_view kGridLetters = "FBIWUfbiw";

// How one grid is drawn.
struct GridPlan {
  bool sampled = false;  // columns show what fills them; otherwise each op is drawn with its label
  LabelStyle style = LabelStyle::kShort;
  GridScale scale;
  std::size_t width = 0;    // of a line
  std::string_view margin;  // "rank 0 |"
};

// What a column stands for, how long the whole is, and what could not be shown.
std::string grid_header(const GridCells& cells, const GridPlan& plan);
// Round times above the columns where they are.
std::string grid_axis(const GridCells& cells, const GridPlan& plan);
std::string grid_legend(const GridCells& cells, const GridPlan& plan);

}  // namespace stagesim
