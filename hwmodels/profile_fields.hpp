#pragma once

#include <optional>
#include <string>

#include "hwmodels/link_profile.hpp"
#include "sim/base/json_fields.hpp"

// What the readers of GPU and link profiles share. Problems are collected in the fields.
namespace stagesim {

Provenance read_provenance(JsonFields& fields);
std::string read_source(JsonFields& fields);
std::optional<double> read_error(JsonFields& fields);

// {"value": .., "from": .., "source": .., "error": ..} within [low, high].
Quantity read_quantity(JsonFields& parent, const std::string& key, double low, double high);

// [[bytes, microseconds], ...]: sizes rise, times never fall and rise at the end.
Curve read_curve(JsonFields& fields, const std::string& key = "curve_bytes_us");

}  // namespace stagesim
