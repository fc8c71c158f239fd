#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"
#include "sim/base/names.hpp"

namespace stagesim {
namespace {

enum class Column { kBytes, kTime, kKind, kParticipants };
struct ColumnName {
  std::string_view name;
  Column column;
  double to_us = 1;
};
constexpr ColumnName kColumns[] = {{"bytes", Column::kBytes},
                                   {"us", Column::kTime, 1},
                                   {"time_us", Column::kTime, 1},
                                   {"ms", Column::kTime, 1e3},
                                   {"time_ms", Column::kTime, 1e3},
                                   {"s", Column::kTime, 1e6},
                                   {"time_s", Column::kTime, 1e6},
                                   {"kind", Column::kKind},
                                   {"participants", Column::kParticipants}};
constexpr int kMostExamples = 3;

std::vector<ColumnName> read_header(LogReading& reading, std::string_view line) {
  std::vector<std::string> known;
  for (const ColumnName& column : kColumns) known.emplace_back(column.name);
  std::vector<ColumnName> columns;
  int bytes = 0, times = 0;
  for (const std::string_view cell : cells_of(line)) {
    const std::string name = lower_case(cell);
    const auto* at = std::find_if(std::begin(kColumns), std::end(kColumns),
                                  [&](const ColumnName& column) { return column.name == name; });
    if (at == std::end(kColumns)) {
      reading.problems.add("{}:1: {}", reading.file,
                           unknown_name("column", printable(name), known));
      continue;
    }
    bytes += at->column == Column::kBytes ? 1 : 0;
    times += at->column == Column::kTime ? 1 : 0;
    columns.push_back(*at);
  }
  if (bytes != 1 || times != 1)
    reading.problems.add(
        "{}:1: expected one column bytes and one time (time_us, time_ms or time_s), got {} and {}",
        reading.file, bytes, times);
  return columns;
}

// Nothing, or the column that is wrong.
std::string read_row(LogPoint& point, const std::vector<ColumnName>& columns,
                     const std::vector<std::string_view>& cells) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const ColumnName& column = columns[i];
    if (column.column == Column::kKind) {
      const auto what = timed_from(cells[i]);
      if (!what)
        return fmt::format("kind: expected a name such as send or all_reduce, got '{}'",
                           printable(cells[i]));
      point.what = *what;
      continue;
    }
    const auto value = number_in(cells[i]);
    const bool count = column.column == Column::kParticipants;
    if (!value || *value <= 0 || *value > 1e18 ||
        (count && (*value < 2 || *value > 1e6 || *value != std::floor(*value)))) {
      return fmt::format("{}: expected a {}, got '{}'", column.name,
                         count ? "whole number from 2" : "number above 0", printable(cells[i]));
    }
    if (column.column == Column::kBytes) point.bytes = *value;
    if (column.column == Column::kTime) point.microseconds = *value * column.to_us;
    if (count) point.participants = static_cast<int>(*value);
  }
  return "";
}

}  // namespace

LogReading read_message_table(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "message table"};
  std::vector<ColumnName> columns;
  int bad = 0;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (trimmed(line).empty()) continue;
    if (columns.empty()) {
      columns = read_header(reading, line);
      if (!reading.problems.empty()) return reading;
      continue;
    }
    const auto cells = cells_of(line);
    LogPoint point;
    const std::string wrong = cells.size() == columns.size()
                                  ? read_row(point, columns, cells)
                                  : fmt::format("expected {} cells as in the header, got {}",
                                                columns.size(), cells.size());
    if (wrong.empty()) {
      ++reading.rows;
      if (point.what == Timed::kSend || point.what == Timed::kExchange) point.participants = 2;
      reading.points.push_back(point);
    } else if (++bad <= kMostExamples) {
      reading.problems.add("{}:{}: {}", file, number, wrong);
    }
  }
  if (bad > kMostExamples)
    reading.problems.add("{}: {} more rows like these", file, bad - kMostExamples);
  for (int what = 0; what < static_cast<int>(Timed::kUnknown); ++what)
    reading.could_be.push_back(static_cast<Timed>(what));
  if (reading.rows == 0 && bad == 0) reading.problems.add("{}: a header and no rows", file);
  return reading;
}

}  // namespace stagesim
