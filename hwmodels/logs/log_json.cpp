#include "hwmodels/logs/log_json.hpp"

#include <cmath>

#include "hwmodels/logs/log_text.hpp"
#include "sim/base/json_fields.hpp"

namespace stagesim {

Json parse_log_json(std::string_view text, LogReading& reading) {
  try {
    return parse_json(text, reading.file);
  } catch (const InputError& error) {
    reading.problems.add_text(error.what());
    return nullptr;
  }
}

const Json& member(const Json& value, const char* key) {
  static const Json none;
  if (!value.is_object()) return none;
  const auto at = value.find(key);
  return at == value.end() ? none : *at;
}

std::optional<double> number_of(const Json& value) {
  if (value.is_string()) return number_in(trimmed(value.get_ref<const std::string&>()));
  if (!value.is_number()) return {};
  const auto number = value.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::string string_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

}  // namespace stagesim
