#include "hwmodels/profile_fields.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace stagesim {
namespace {

constexpr double kLongestMessageUs = 1e9;

}  // namespace

Provenance read_provenance(JsonFields& fields) {
  constexpr Provenance kAll[] = {Provenance::kMeasured, Provenance::kLog, Provenance::kSpec,
                                 Provenance::kAssumed};
  std::vector<std::string> names;
  for (const Provenance p : kAll) names.emplace_back(text(p));
  const std::string name = fields.one_of("from", names);
  return kAll[std::find(names.begin(), names.end(), name) - names.begin()];
}

std::string read_source(JsonFields& fields) {
  const std::string source = fields.string("source");
  if (source.empty() && fields.any("source").is_string()) {
    fields.wrong("source", "where the number comes from");
  }
  return source;
}

std::optional<double> read_error(JsonFields& fields) {
  if (!fields.has("error")) return {};
  return fields.number("error", 0, 10);
}

Quantity read_quantity(JsonFields& parent, const std::string& key, double low, double high) {
  Quantity result;
  if (!parent.has(key)) {
    parent.missing(key);
    return result;
  }
  if (!parent.any(key).is_object()) {
    parent.wrong(key, "an object with value, from and source");
    return result;
  }
  JsonFields fields = parent.child(key);
  result.value = fields.number("value", low, high);
  result.from = read_provenance(fields);
  result.source = read_source(fields);
  result.error = read_error(fields);
  fields.finish();
  return result;
}

Curve read_curve(JsonFields& fields, const std::string& key) {
  Curve curve;
  if (!fields.has(key)) {
    fields.missing(key);
    return curve;
  }
  const Json& points = fields.any(key);
  if (!points.is_array() || points.size() < 2) {
    fields.wrong(key, "a list of at least two [bytes, microseconds]");
    return curve;
  }
  const auto positive = [](const Json& n, double high) {
    return n.is_number() && n.get<double>() > 0 && n.get<double>() <= high;
  };
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Json& point = points[i];
    const bool good = point.is_array() && point.size() == 2 && positive(point[0], 1e15) &&
                      positive(point[1], kLongestMessageUs);
    if (!good) {
      fields.problem(key, "point {}: expected [bytes, microseconds], both above 0, got {}", i,
                     point.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60));
      return {};
    }
    curve.emplace_back(point[0].get<double>(), point[1].get<double>());
  }
  for (std::size_t i = 1; i < curve.size(); ++i) {
    const auto& [bytes, us] = curve[i];
    const auto& [bytes_before, us_before] = curve[i - 1];
    if (bytes <= bytes_before) {
      fields.problem(key, "sizes must rise, but {} follows {}", bytes, bytes_before);
    } else if (us < us_before) {
      fields.problem(key, "times must not fall, but {} bytes take {} us after {} us for {} bytes",
                     bytes, us, us_before, bytes_before);
    }
  }
  if (curve.back().second == curve[curve.size() - 2].second) {
    fields.problem(key, "the last two times are equal ({} us), so larger messages have no rate",
                   curve.back().second);
  }
  return curve;
}

}  // namespace stagesim
