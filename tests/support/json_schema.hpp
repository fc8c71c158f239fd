#pragma once

#include <string>
#include <vector>

#include "sim/base/json_fields.hpp"

namespace stagesim::test {

// What of `value` breaks the schema, each with its path; the part of JSON Schema 2020-12 that the
// shipped schemas use. An unknown keyword is reported too, so that none is passed over.
std::vector<std::string> schema_problems(const Json& value, const Json& schema);

}  // namespace stagesim::test
