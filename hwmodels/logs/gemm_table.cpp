#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"
#include "sim/base/names.hpp"

namespace stagesim {
namespace {

enum class Column { kM, kN, kK, kBatch, kDtype, kDevice, kTime, kRate, kIgnored };
struct ColumnName {
  std::string_view name;
  Column column;
  double scale = 1;  // to us, or to flop per us
};
constexpr ColumnName kColumns[] = {{"m", Column::kM},
                                   {"m_tokens", Column::kM},
                                   {"n", Column::kN},
                                   {"k", Column::kK},
                                   {"b", Column::kBatch},
                                   {"batch", Column::kBatch},
                                   {"dtype", Column::kDtype},
                                   {"device", Column::kDevice},
                                   {"time_us", Column::kTime, 1},
                                   {"us", Column::kTime, 1},
                                   {"median_us", Column::kTime, 1},
                                   {"median_time_us", Column::kTime, 1},
                                   {"time_ms", Column::kTime, 1e3},
                                   {"ms", Column::kTime, 1e3},
                                   {"median_ms", Column::kTime, 1e3},
                                   {"median_time_ms", Column::kTime, 1e3},
                                   {"time_s", Column::kTime, 1e6},
                                   {"s", Column::kTime, 1e6},
                                   {"median_time_s", Column::kTime, 1e6},
                                   {"tflops", Column::kRate, 1e6},
                                   {"flops_per_s", Column::kRate, 1e-6},
                                   {"transa", Column::kIgnored},
                                   {"transb", Column::kIgnored}};
constexpr int kMostExamples = 3;

std::vector<ColumnName> read_header(LogReading& reading, std::string_view line) {
  std::vector<std::string> known;
  for (const ColumnName& column : kColumns) known.emplace_back(column.name);
  std::vector<ColumnName> columns;
  bool measured = false;
  for (const std::string_view cell : cells_of(line)) {
    const std::string name = lower_case(cell);
    const auto* at = std::find_if(std::begin(kColumns), std::end(kColumns),
                                  [&](const ColumnName& column) { return column.name == name; });
    if (at == std::end(kColumns)) {
      reading.problems.add("{}:1: {}", reading.file,
                           unknown_name("column", name.substr(0, 40), known));
      columns.push_back({"", Column::kIgnored});
      continue;
    }
    const bool twice = at->column != Column::kIgnored &&
                       std::any_of(columns.begin(), columns.end(), [&](const ColumnName& before) {
                         return before.column == at->column;
                       });
    if (twice)
      reading.problems.add("{}:1: column '{}' says the same as one before it", reading.file, name);
    measured = measured || at->column == Column::kTime || at->column == Column::kRate;
    columns.push_back(*at);
  }
  for (const auto& [column, name] :
       {std::pair(Column::kM, "m"), std::pair(Column::kN, "n"), std::pair(Column::kK, "k")}) {
    const Column wanted = column;
    const bool there = std::any_of(columns.begin(), columns.end(),
                                   [&](const ColumnName& c) { return c.column == wanted; });
    if (!there) reading.problems.add("{}:1: no column named {}", reading.file, name);
  }
  if (!measured) {
    reading.problems.add(
        "{}:1: no time and no rate; a column named time_us, time_ms, time_s or tflops gives it "
        "with "
        "its unit",
        reading.file);
  }
  return columns;
}

struct Row {
  GemmPoint point;
  double rate = 0, rate_rounding = 0, time_rounding = 0;  // flop per us; us
  std::string bad;                                        // column that is no number above 0
};

Row read_row(const std::vector<ColumnName>& columns, const std::vector<std::string_view>& cells) {
  Row row;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const ColumnName& column = columns[i];
    if (column.column == Column::kIgnored) continue;
    if (column.column == Column::kDtype || column.column == Column::kDevice) {
      (column.column == Column::kDtype ? row.point.dtype : row.point.device) = printable(cells[i]);
      continue;
    }
    const auto value = number_in(cells[i]);
    if (!value || *value <= 0 || *value > 1e18) {
      row.bad = std::string(column.name);
      continue;
    }
    if (column.column == Column::kM) row.point.m = *value;
    if (column.column == Column::kN) row.point.n = *value;
    if (column.column == Column::kK) row.point.k = *value;
    if (column.column == Column::kBatch) row.point.batch = *value;
    if (column.column == Column::kTime) {
      row.point.microseconds = *value * column.scale;
      row.time_rounding = rounding_of(cells[i]) * column.scale;
    }
    if (column.column == Column::kRate) {
      row.rate = *value * column.scale;
      row.rate_rounding = rounding_of(cells[i]) * column.scale;
    }
  }
  return row;
}

}  // namespace

LogReading read_gemm_table(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "GEMM table"};
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
    Row row;
    if (cells.size() == columns.size()) row = read_row(columns, cells);
    if (cells.size() != columns.size() || !row.bad.empty()) {
      if (++bad > kMostExamples) continue;
      if (row.bad.empty()) {
        reading.problems.add("{}:{}: expected {} cells as in the header, got {}", file, number,
                             columns.size(), cells.size());
      } else {
        reading.problems.add("{}:{}: {}: expected a number above 0", file, number, row.bad);
      }
      continue;
    }
    GemmPoint& p = row.point;
    const double flop = 2 * p.m * p.n * p.k * p.batch;
    ++reading.rows;
    if (p.microseconds == 0) {
      p.microseconds = flop / row.rate;
    } else if (row.rate > 0) {
      const double said = flop / p.microseconds;
      const double allowed =
          row.rate_rounding + said * row.time_rounding / p.microseconds + 1e-3 * said;
      if (std::abs(said - row.rate) > allowed && ++bad <= kMostExamples) {
        reading.problems.add(
            "{}:{}: 2mnk = {:.6g} flop in {:.6g} us are {:.4g} TFLOP/s, but the rate column says "
            "{:.4g}",
            file, number, flop, p.microseconds, said / 1e6, row.rate / 1e6);
      }
    }
    add_device(reading, p.device);
    reading.gemms.push_back(std::move(p));
  }
  if (bad > kMostExamples)
    reading.problems.add("{}: {} more rows like these", file, bad - kMostExamples);
  if (reading.rows == 0 && bad == 0) reading.problems.add("{}: a header and no rows", file);
  return reading;
}

}  // namespace stagesim
