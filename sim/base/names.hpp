#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stagesim {

// The known name with the smallest edit distance to `name` (case ignored), or "" when none is near
// enough to be what the user meant.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// "unknown schedule '1f1c' (did you mean '1f1b'?); known: gpipe, 1f1b"
std::string unknown_name(std::string_view what, std::string_view name,
                         const std::vector<std::string>& known);

}  // namespace stagesim
