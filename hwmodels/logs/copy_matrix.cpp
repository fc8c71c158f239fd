#include "hwmodels/logs/copy_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/logs/log_text.hpp"

namespace stagesim {

bool describe_test(std::string_view name, LogRate& rate) {
  rate.test = std::string(name.substr(0, 80));
  rate.latency = contains(name, "latency");
  rate.what = contains(name, "bidirectional") ? Timed::kExchange : Timed::kSend;
  const bool between = name.rfind("device_to_device", 0) == 0;
  rate.between_gpus = between;
  const bool host = name.rfind("host_to_device", 0) == 0 || name.rfind("device_to_host", 0) == 0 ||
                    name.rfind("host_device_latency", 0) == 0;
  return between || host;
}

void add_matrix(LogReading& reading, const CopyMatrix& matrix, LogRate rate, bool halve) {
  std::vector<double> values;
  const bool square = !matrix.cells.empty() && matrix.cells.size() == matrix.cells[0].size();
  for (std::size_t row = 0; row < matrix.cells.size(); ++row) {
    for (std::size_t column = 0; column < matrix.cells[row].size(); ++column) {
      if (rate.between_gpus && square && row == column) continue;
      const auto value = number_in(matrix.cells[row][column]);
      if (value && *value > 0) values.push_back(halve ? *value / 2 : *value);
    }
  }
  reading.rows += static_cast<int>(matrix.cells.size());
  if (values.empty()) {
    reading.notes.push_back(fmt::format("{}: no pair measured", rate.test));
    return;
  }
  rate.pairs = static_cast<int>(values.size());
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  rate.lowest = *lowest;
  rate.highest = *highest;
  rate.value = median_of(std::move(values));
  reading.rates.push_back(std::move(rate));
}

}  // namespace stagesim
