#pragma once

#include <ostream>

#include "hwmodels/profile_sheet.hpp"

namespace stagesim {

// For people: numbers as aligned rows, tables below them with the rate of each row.
void print_sheet(std::ostream& out, const Sheet& sheet);

// {"schema_version": 1, "shown": [{"kind", "name", "summary", "names": [{"key", "value"}],
// "numbers": [{"name", "value", "unit", "from", "source", "error"}], "tables": [{"name", "columns",
// "rows", "from", "source", "error"}]}]}; a number without a fit error has no "error".
void print_sheets_json(std::ostream& out, const std::vector<Sheet>& sheets);

}  // namespace stagesim
