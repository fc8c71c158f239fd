#include "tests/support/json_schema.hpp"

#include <algorithm>
#include <cmath>

namespace stagesim::test {
namespace {

using Lines = std::vector<std::string>;

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "integer")
    return value.is_number() && value.get<double>() == std::floor(value.get<double>());
  return type == "number" && value.is_number();
}

class Checker {
 public:
  explicit Checker(const Json& root) : root_(root) {}

  Lines check(const Json& value, const Json& schema, const std::string& path) const {
    Lines lines;
    for (const auto& [keyword, rule] : schema.items()) {
      if (!holds(keyword, rule, value, schema, path, lines))
        lines.push_back(path + ": " + keyword + " " + rule.dump() + ", got " +
                        value.dump().substr(0, 60));
    }
    return lines;
  }

 private:
  // False when the keyword itself is broken; what is broken inside goes to `lines`.
  bool holds(const std::string& keyword, const Json& rule, const Json& value, const Json& schema,
             const std::string& path, Lines& lines) const {
    const auto into = [&](const Json& part, const Json& its_schema, const std::string& name) {
      const Lines more = check(part, its_schema, path + "/" + name);
      lines.insert(lines.end(), more.begin(), more.end());
    };
    const auto count_valid = [&](const Json& schemas) {
      return std::count_if(schemas.begin(), schemas.end(),
                           [&](const Json& s) { return check(value, s, path).empty(); });
    };
    for (const char* about : {"$schema", "title", "description", "default", "$defs", "examples"}) {
      if (keyword == about) return true;
    }
    if (keyword == "$ref") {
      into(value, root_.at(Json::json_pointer(rule.get<std::string>().substr(1))), "");
    } else if (keyword == "type") {
      return has_type(value, rule.get<std::string>());
    } else if (keyword == "enum") {
      return std::find(rule.begin(), rule.end(), value) != rule.end();
    } else if (keyword == "allOf") {
      return count_valid(rule) == static_cast<std::ptrdiff_t>(rule.size());
    } else if (keyword == "anyOf") {
      return count_valid(rule) >= 1;
    } else if (keyword == "oneOf") {
      return count_valid(rule) == 1;
    } else if (keyword == "not") {
      return !check(value, rule, path).empty();
    } else if (keyword == "required") {
      return !value.is_object() || std::all_of(rule.begin(), rule.end(), [&](const Json& key) {
        return value.contains(key.get<std::string>());
      });
    } else if (keyword == "properties") {
      for (const auto& [key, its_schema] : rule.items())
        if (value.is_object() && value.contains(key)) into(value.at(key), its_schema, key);
    } else if (keyword == "additionalProperties") {
      if (!value.is_object()) return true;
      for (const auto& [key, member] : value.items()) {
        if (schema.contains("properties") && schema.at("properties").contains(key)) continue;
        if (rule == false) return false;
        if (rule.is_object()) into(member, rule, key);
      }
    } else if (keyword == "propertyNames") {
      if (!value.is_object()) return true;
      for (const auto& [key, member] : value.items()) into(Json(key), rule, key);
    } else if (keyword == "items") {
      for (std::size_t i = 0; value.is_array() && i < value.size(); ++i)
        into(value[i], rule, std::to_string(i));
    } else if (keyword == "minItems" || keyword == "maxItems") {
      const bool least = keyword == "minItems";
      const auto limit = rule.get<std::size_t>();
      return !value.is_array() || (least ? value.size() >= limit : value.size() <= limit);
    } else if (keyword == "minLength") {
      return !value.is_string() || value.get<std::string>().size() >= rule.get<std::size_t>();
    } else if (keyword == "minimum") {
      return !value.is_number() || value.get<double>() >= rule.get<double>();
    } else if (keyword == "maximum") {
      return !value.is_number() || value.get<double>() <= rule.get<double>();
    } else if (keyword == "exclusiveMinimum") {
      return !value.is_number() || value.get<double>() > rule.get<double>();
    } else {
      lines.push_back(path + ": unknown keyword '" + keyword + "' in the schema");
    }
    return true;
  }

  const Json& root_;
};

}  // namespace

std::vector<std::string> schema_problems(const Json& value, const Json& schema) {
  return Checker(schema).check(value, schema, "");
}

}  // namespace stagesim::test
