#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "hwmodels/logs/reading.hpp"

// What the JSON readers share. Tools add keys with every version, so unknown ones are passed over.
namespace stagesim {

// Null, with a problem in the reading, when the text is no JSON.
nlohmann::json parse_log_json(std::string_view text, LogReading& reading);

// The member, or null when the value is no object or has no such member.
const nlohmann::json& member(const nlohmann::json& value, const char* key);
// A finite number, also one written as a string ("395.08").
std::optional<double> number_of(const nlohmann::json& value);
std::string string_of(const nlohmann::json& value);  // "" for anything but a string

}  // namespace stagesim
