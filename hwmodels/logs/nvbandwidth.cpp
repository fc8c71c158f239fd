#include <fmt/format.h>

#include "hwmodels/logs/copy_matrix.hpp"
#include "hwmodels/logs/log_json.hpp"
#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"
#include "sim/base/json_fields.hpp"

namespace stagesim {
namespace {

void skip_test(LogReading& reading, const std::string& test, std::string_view why) {
  ++reading.skipped;
  if (reading.quotes.size() < 3) reading.quotes.push_back(fmt::format("{}: {}", test, why));
}

void add_test(LogReading& reading, CopyMatrix& matrix) {
  LogRate rate;
  if (matrix.cells.empty()) return;
  if (!describe_test(matrix.test, rate)) {
    skip_test(reading, rate.test, "says nothing about one link");
    reading.rows += static_cast<int>(matrix.cells.size());
  } else {
    // Latency tests print nanoseconds; "Bidirectional" of device_to_device_* sums both ways only in
    // the _total matrix, and nvbandwidth labels each way itself (_read1, _read2).
    add_matrix(reading, matrix, rate, false);
    LogRate* added = reading.rates.empty() ? nullptr : &reading.rates.back();
    if (added != nullptr && added->test == rate.test && added->latency) {
      for (double* ns : {&added->value, &added->lowest, &added->highest}) *ns /= 1e3;
    }
  }
  matrix = {};
}

// A row is an id and values: "0   369.36   N/A". Older versions have no leading blank; several
// nodes label rows by process.
bool is_row(const std::vector<std::string_view>& words) {
  if (words.size() < 2 || !count_in(words[0])) return false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] != "N/A" && !number_in(words[i])) return false;
  }
  return true;
}

// The line of column ids under a title: 0 1 2 …
bool is_column_line(const std::vector<std::string_view>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto id = count_in(words[i]);
    if (!id || *id != static_cast<long long>(i)) return false;
  }
  return !words.empty();
}

std::string device_name(std::string_view text) {
  return std::string(trimmed(text.substr(0, text.find('('))));
}

}  // namespace

LogReading read_nvbandwidth_text(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "nvbandwidth"};
  CopyMatrix matrix;
  std::string test;
  bool columns_seen = false;
  int waived = 0;  // tests that this machine cannot run
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (const auto version = after(line, "nvbandwidth Version:")) {
      reading.version = std::string(*version);
    } else if (words[0] == "Device" && words.size() > 2 && words[1].back() == ':') {
      add_device(reading, device_name(line.substr(std::min(line.find(':') + 1, line.size()))));
    } else if (words[0] == "Running" && words.size() >= 2) {
      add_test(reading, matrix);
      test = std::string(words[1]);
      if (!test.empty() && test.back() == '.') test.pop_back();
      columns_seen = false;
    } else if (words[0] == "SUM" || words[0] == "MIN" || words[0] == "MAX" || words[0] == "AVG" ||
               words[0] == "COEFFICIENT_OF_VARIATION" || words[0] == "&&&&") {
      add_test(reading, matrix);
      columns_seen = false;  // a bidirectional test prints several matrices
    } else if (!test.empty() && !columns_seen && is_column_line(words)) {
      columns_seen = true;
    } else if (!test.empty() && columns_seen && is_row(words)) {
      matrix.test = test;
      matrix.cells.emplace_back(words.begin() + 1, words.end());
    } else if (contains(line, "Waived:")) {
      ++waived;
    } else if (!contains(line, "(GB/s)") && !contains(line, "(ns)") &&
               !contains(lower_case(line), "version") && !contains(line, "NOTE:") &&
               !contains(line, "Performance can vary")) {
      skip_line(reading, number, line);
    }
  }
  add_test(reading, matrix);
  if (waived > 0)
    reading.notes.push_back(fmt::format("{} tests waived: this machine cannot run them", waived));
  if (reading.rows == 0) reading.problems.add("{}: nvbandwidth output without a matrix", file);
  return reading;
}

LogReading read_nvbandwidth_json(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "nvbandwidth"};
  const Json parsed = parse_log_json(text, reading);
  if (!reading.problems.empty()) return reading;
  const Json& top = member(parsed, "nvbandwidth");
  reading.version = string_of(member(top, "version"));
  for (const Json& device : member(top, "GPU Device list")) {
    const std::string line = string_of(device);
    add_device(
        reading,
        device_name(std::string_view(line).substr(std::min(line.find(':') + 1, line.size()))));
  }
  std::size_t position = 0;
  const Json& tests = member(top, "testcases");
  for (const Json& test : tests.is_array() ? tests : Json::array()) {
    ++position;
    const std::string status = string_of(member(test, "status"));
    CopyMatrix matrix{.test = string_of(member(test, "name")), .cells = {}};
    const Json& rows = member(test, "bandwidth_matrix");
    if (status != "Passed" || !rows.is_array()) {
      skip_line(reading, position, fmt::format("testcases: {} {}", matrix.test, status));
      continue;
    }
    for (const Json& row : rows) {
      auto& cells = matrix.cells.emplace_back();
      for (const Json& cell : row)
        cells.push_back(cell.is_number() ? fmt::format("{}", cell.get<double>()) : string_of(cell));
    }
    add_test(reading, matrix);
  }
  if (reading.rows == 0) reading.problems.add("{}: nvbandwidth.testcases holds no matrix", file);
  return reading;
}

}  // namespace stagesim
