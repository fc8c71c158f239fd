#pragma once

#include <string>

#include "sim/timeline.hpp"

namespace stagesim {

// The timeline as text, one line per rank, at most `width` columns (40 at least), ASCII only, so
// that it can be pasted into an issue. Says how much time one column stands for. Works for any
// Timeline.
std::string text_grid(const Timeline& timeline, int width = 100);

}  // namespace stagesim
