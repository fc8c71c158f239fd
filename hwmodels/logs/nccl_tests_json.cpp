#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "hwmodels/logs/log_json.hpp"
#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/nccl_run.hpp"
#include "hwmodels/logs/readers.hpp"
#include "sim/base/json_fields.hpp"

namespace stagesim {
namespace {

// Written with all digits, so that only the arithmetic of the tool itself rounds.
constexpr double kRelativeRounding = 1e-5;

std::optional<NcclCell> read_cell(const Json& cell) {
  auto us = number_of(member(cell, "time"));
  if (!us) us = number_of(member(cell, "cpu_time"));
  const auto algbw = number_of(member(cell, "alg_bw")), busbw = number_of(member(cell, "bus_bw"));
  if (!us || !algbw || !busbw || *us <= 0 || *algbw < 0 || *busbw < 0) return {};
  return NcclCell{.us = *us,
                  .algbw = *algbw,
                  .busbw = *busbw,
                  .us_rounding = kRelativeRounding * *us,
                  .algbw_rounding = kRelativeRounding * *algbw,
                  .busbw_rounding = kRelativeRounding * *busbw};
}

void read_devices(LogReading& reading, NcclRun& run, const Json& devices) {
  std::set<double> ranks;
  std::size_t lines = 0;
  for (const Json& device : devices) {
    if (const auto rank = number_of(member(device, "rank"))) {
      ranks.insert(*rank);
      ++lines;
    }
    add_device(reading, string_of(member(device, "device_info")));
  }
  run.participants = static_cast<int>(std::min<std::size_t>(ranks.size(), 1u << 30));
  if (ranks.size() < lines) {
    reading.problems.add(
        "{}: config.devices lists {} devices but only {} different ranks: several runs of one file",
        reading.file, lines, ranks.size());
  }
}

}  // namespace

LogReading read_nccl_tests_json(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "nccl-tests"};
  const Json top = parse_log_json(text, reading);
  if (!reading.problems.empty()) return reading;
  NcclRun run;
  const Json& args = member(top, "args");
  if (args.is_array() && !args.empty()) {
    const std::string program = string_of(args[0]);
    run.program = program.substr(program.rfind('/') + 1);
  }
  if (const auto version = number_of(member(top, "nccl_version")))
    reading.version = "NCCL " + nccl_version(*version);
  const Json& devices = member(member(top, "config"), "devices");
  if (devices.is_array()) read_devices(reading, run, devices);
  const Json& results = member(top, "results");
  if (!results.is_array() || results.empty())
    reading.problems.add("{}: results: expected a list of rows, got {}", file, short_text(results));
  std::size_t position = 0;
  for (const Json& result : results.is_array() ? results : Json::array()) {
    ++position;
    NcclRow row{.line = position,
                .bytes = number_of(member(result, "size")).value_or(-1),
                .count = number_of(member(result, "count")).value_or(0),
                .type = string_of(member(result, "type")),
                .redop = string_of(member(result, "redop")),
                .root = {},
                .out_of_place = read_cell(member(result, "out_of_place")),
                .in_place = read_cell(member(result, "in_place"))};
    if (const auto root = number_of(member(result, "root")))
      row.root = static_cast<long long>(std::clamp(*root, -1.0, 1e9));
    if (row.bytes < 0 || (!row.out_of_place && !row.in_place)) {
      skip_line(reading, position, "results: a row without size and time");
      continue;
    }
    run.rows.push_back(std::move(row));
  }
  run.redop_column = true;
  run.average = number_of(member(member(top, "average_bus_bandwidth"), "bandwidth"));
  run.average_rounding = 1e-4 * run.average.value_or(0);
  if (reading.problems.empty()) add_run(reading, run);
  return reading;
}

}  // namespace stagesim
