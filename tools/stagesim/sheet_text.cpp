#include "tools/stagesim/sheet_text.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace stagesim {
namespace {

constexpr std::size_t kColumnsOfRows = 4;  // table rows side by side

// Whole numbers in full (bytes, parameters), others as profiles keep them, with six digits.
std::string value_text(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? fmt::format("{:.0f}", value) : fmt::format("{:.6g}", value);
}

std::string error_text(const std::optional<double>& error) {
  return error ? fmt::format("{:.2g} %", 100 * *error) : "-";
}

void print_numbers(std::ostream& out, const std::vector<SheetNumber>& numbers) {
  std::size_t name = 6, value = 5, unit = 4, from = 4;
  for (const SheetNumber& n : numbers) {
    name = std::max(name, n.name.size());
    value = std::max(value, value_text(n.value).size());
    unit = std::max(unit, n.unit.size());
    from = std::max(from, n.from.size());
  }
  const auto row = [&](std::string_view a, std::string_view b, std::string_view c,
                       std::string_view d, std::string_view e, std::string_view f) {
    fmt::print(out, "  {:<{}}  {:>{}}  {:<{}}  {:<{}}  {:>6}  {}\n", a, name, b, value, c, unit, d,
               from, e, f);
  };
  row("number", "value", "unit", "kind", "error", "source");
  const std::string* before = nullptr;
  for (const SheetNumber& n : numbers) {
    const bool same = before != nullptr && *before == n.source;
    row(n.name, value_text(n.value), n.unit, n.from, error_text(n.error),
        same ? "(same)" : n.source);
    before = &n.source;
  }
}

// A message's rate tells more than its time.
std::string row_text(const std::vector<double>& row, bool rate) {
  std::string text;
  for (std::size_t i = 0; i < row.size(); ++i)
    text += fmt::format("{}{:>{}}", i == 0 ? "" : " ", value_text(row[i]), i == 0 ? 11 : 9);
  return rate ? text + fmt::format(" {:>8}", fmt::format("{:.4g}", row[0] / row[1] / 1e3)) : text;
}

void print_table(std::ostream& out, const SheetTable& table) {
  fmt::print(out, "\n  {} ({} rows; {}: {}{})\n", table.name, table.rows.size(), table.from,
             table.source, table.error ? "; error " + error_text(table.error) : "");
  const bool rate = table.columns == std::vector<std::string>{"bytes", "us"};
  std::string head;
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    head += fmt::format("{}{:>{}}", i == 0 ? "" : " ", table.columns[i], i == 0 ? 11 : 9);
  if (rate) head += fmt::format(" {:>8}", "GB/s");
  const std::size_t n = table.rows.size();
  const std::size_t columns = std::min(kColumnsOfRows, std::max<std::size_t>(n, 1));
  const std::size_t lines = (n + columns - 1) / columns;
  std::string heads;
  for (std::size_t c = 0; c < columns && c * lines < n; ++c) heads += head + "  ";
  fmt::print(out, "  {}\n", heads.substr(0, heads.find_last_not_of(' ') + 1));
  for (std::size_t line = 0; line < lines; ++line) {  // down the first column, then the next
    std::string text;
    for (std::size_t at = line; at < n; at += lines)
      text += (at == line ? "" : "  ") + row_text(table.rows[at], rate);
    fmt::print(out, "  {}\n", text);
  }
}

using Ordered = nlohmann::ordered_json;

// Whole numbers as such: 8, not 8.0.
Ordered json_number(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? Ordered(static_cast<std::int64_t>(value)) : Ordered(value);
}

template <typename Row>
void add_origin(Ordered& json, const Row& row) {
  json["from"] = row.from;
  json["source"] = row.source;
  if (row.error) json["error"] = *row.error;
}

Ordered sheet_json(const Sheet& sheet) {
  Ordered json{{"kind", sheet.kind}, {"name", sheet.name}, {"summary", sheet.summary}};
  for (const char* list : {"names", "numbers", "tables"}) json[list] = Ordered::array();
  for (const SheetName& name : sheet.names)
    json["names"].push_back({{"key", name.key}, {"value", name.value}});
  for (const SheetNumber& n : sheet.numbers) {
    Ordered entry{{"name", n.name}, {"value", json_number(n.value)}, {"unit", n.unit}};
    add_origin(entry, n);
    json["numbers"].push_back(std::move(entry));
  }
  for (const SheetTable& table : sheet.tables) {
    Ordered entry{{"name", table.name}, {"columns", table.columns}, {"rows", Ordered::array()}};
    for (const std::vector<double>& row : table.rows) {
      Ordered cells = Ordered::array();
      for (const double cell : row) cells.push_back(json_number(cell));
      entry["rows"].push_back(std::move(cells));
    }
    add_origin(entry, table);
    json["tables"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace

void print_sheet(std::ostream& out, const Sheet& sheet) {
  fmt::print(out, "{} ({}){}{}\n", sheet.name, sheet.kind, sheet.summary.empty() ? "" : ": ",
             sheet.summary);
  for (const SheetName& name : sheet.names) fmt::print(out, "  {}: {}\n", name.key, name.value);
  if (!sheet.numbers.empty()) {
    fmt::print(out, "\n");
    print_numbers(out, sheet.numbers);
  }
  for (const SheetTable& table : sheet.tables) print_table(out, table);
}

void print_sheets_json(std::ostream& out, const std::vector<Sheet>& sheets) {
  Ordered json{{"schema_version", 1}, {"shown", Ordered::array()}};
  for (const Sheet& sheet : sheets) json["shown"].push_back(sheet_json(sheet));
  out << json.dump(2, ' ', false, Ordered::error_handler_t::replace) << '\n';
}

}  // namespace stagesim
