#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/compare.hpp"

namespace stagesim {

inline constexpr int kResultSchemaVersion = 1;

// {"schema_version", "scenario", "assumptions", "schedules": [...]} as DESIGN section 5 names the
// fields.
nlohmann::json result_json(const nlohmann::json& scenario,
                           const std::vector<std::string>& assumptions,
                           const std::vector<ScheduleResult>& results);

}  // namespace stagesim
