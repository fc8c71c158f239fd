#include "tools/study/scenario_input.hpp"

#include <fmt/format.h>

#include <optional>

namespace stagesim {
namespace {

// "1", "1,2,1" and "[1,2]" are JSON or nearly so; what is not is a string ("four", "NaN", "1e400").
Json parse_value(const std::string& text) {
  const auto parsed = [](const std::string& candidate) -> std::optional<Json> {
    try {
      return parse_json(candidate, "");
    } catch (const InputError&) {
      return std::nullopt;
    }
  };
  if (const auto value = parsed(text)) return *value;
  if (text.find(',') != std::string::npos) {
    if (const auto value = parsed("[" + text + "]")) return *value;
  }
  return text;
}

// Sets json[a][b][c] for the path "a.b.c"; objects are made on the way.
void set_path(Json& json, const std::string& path, const Json& value, const std::string& typed) {
  Json* at = &json;
  std::size_t from = 0;
  while (true) {
    const std::size_t dot = path.find('.', from);
    const std::string key = path.substr(from, dot == std::string::npos ? dot : dot - from);
    if (key.empty()) throw InputError(fmt::format("{}: expected key.path=value", typed));
    if (at->is_string() && path.rfind("schedule.", 0) == 0) {  // "schedule": "amdp" gets parameters
      const ScheduleSpec spec = parse_schedule_spec(at->get<std::string>());
      *at = Json{{"name", spec.name}};
      for (const auto& [name, text] : spec.options) (*at)[name] = text;
    }
    if (!at->is_null() && !at->is_object()) {
      throw InputError(fmt::format("{}: '{}' is {} in the scenario, not an object with fields",
                                   typed, path.substr(0, from == 0 ? 0 : from - 1),
                                   short_text(*at)));
    }
    if (dot == std::string::npos) {
      // Another schedule does not take the parameters of the one before.
      if (path == "schedule.name" && at->contains("name") && (*at)["name"] != value)
        *at = Json::object();
      (*at)[key] = value;
      return;
    }
    at = &(*at)[key];
    from = dot + 1;
  }
}

}  // namespace

void ScenarioInput::set(const std::string& path, const std::string& value,
                        const std::string& origin, const std::string& typed) {
  set_path(json, path, parse_value(value), typed);
  origins[path] = origin;
}

}  // namespace stagesim
