#include "tools/study/json_differences.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace stagesim {
namespace {

using Json = nlohmann::json;

std::string shown(const Json& value) { return value.is_null() ? "nothing" : value.dump(); }

void add(const Json& a, const Json& b, const std::string& path,
         std::vector<JsonDifference>& found) {
  if (a == b) return;
  if (!a.is_object() || !b.is_object()) {
    found.push_back({path, shown(a), shown(b)});
    return;
  }
  const auto inside = [&](const std::string& key) {
    return path + (path.empty() ? "" : ".") + key;
  };
  static const Json none;
  for (const auto& [key, value] : a.items())
    add(value, b.contains(key) ? b[key] : none, inside(key), found);
  for (const auto& [key, value] : b.items())
    if (!a.contains(key)) add(none, value, inside(key), found);
}

}  // namespace

std::string JsonDifference::text() const { return fmt::format("{}: {} and {}", path, a, b); }

std::vector<JsonDifference> json_differences(const Json& a, const Json& b) {
  std::vector<JsonDifference> found;
  add(a, b, "", found);
  return found;
}

}  // namespace stagesim
