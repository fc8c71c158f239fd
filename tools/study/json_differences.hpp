#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace stagesim {

// A leaf that is not the same in two JSON values.
struct JsonDifference {
  std::string path{};        // "batch.global"
  std::string a{}, b{};      // as JSON; "nothing" where it is not there
  std::string text() const;  // "batch.global: 32 and 64"
};
std::vector<JsonDifference> json_differences(const nlohmann::json& a, const nlohmann::json& b);

}  // namespace stagesim
