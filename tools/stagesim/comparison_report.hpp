#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>

#include "tools/study/comparison.hpp"

namespace stagesim {

// Step time, wall, bubble, durations per kind, what differs, and where the largest error is.
void print_comparison(std::ostream& out, const Comparison& comparison, const Timeline& predicted);
// The same as fields of an object.
nlohmann::json comparison_json(const Comparison& comparison, const Timeline& predicted);

}  // namespace stagesim
