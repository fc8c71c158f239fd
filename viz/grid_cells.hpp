#pragma once

#include <string>
#include <vector>

#include "sim/timeline.hpp"

namespace stagesim {

// How a cell names its op. Where a rank runs two pipelines or two stages the letter's case tells
// which; with more of them only the full name does.
enum class LabelStyle {
  kFull,    // "3F12", "F12@1"
  kShort,   // "F12", "f12"
  kLetter,  // "F", "f"
};

// What one rank did without a break: an op, or the parts of an update that follow each other.
struct GridCell {
  Nanos start{}, end{};  // from the beginning of the timeline
  Op op;
};

struct GridCells {
  std::vector<std::vector<GridCell>> of_rank;  // in time order, none of zero length
  Nanos start{}, length{};                     // of the timeline
  std::size_t drawn = 0;                       // cells
  std::size_t without_length = 0;              // F, B, I and W that took no time
  bool pairs = false;  // some ops overlap in pairs: drawn as two halves of their time
  int pipelines = 1, stages_per_rank = 1;
  std::vector<int> nth_on_rank;  // [stage]: how many lower stages its rank has

  int variants() const { return pipelines > 1 ? pipelines : stages_per_rank; }
};

GridCells grid_cells(const Timeline& timeline);

// Lower case for the second, fourth … pipeline or stage of the rank; every update part is "U".
char letter(const GridCells& cells, const Op& op);
std::string label(const GridCells& cells, const Op& op, LabelStyle style);

}  // namespace stagesim
