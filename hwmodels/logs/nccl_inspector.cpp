#include <fmt/format.h>

#include <cmath>
#include <map>

#include "hwmodels/logs/log_json.hpp"
#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"
#include "sim/base/json_fields.hpp"

namespace stagesim {
namespace {

// Cuts text into its top-level JSON objects. The last piece may be an object without its end.
std::vector<std::string_view> objects_in(std::string_view text) {
  std::vector<std::string_view> objects;
  std::size_t start = 0;
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' && depth++ == 0) {
      start = i;
    } else if (c == '}' && depth > 0 && --depth == 0) {
      objects.push_back(text.substr(start, i - start + 1));
    }
  }
  if (depth > 0) objects.push_back(text.substr(start));
  return objects;
}

// Size as nccl-tests counts it. The plugin's README shows 17179869184 bytes of all-reduce at
// 277 GB/s in 61974 us (size / time), but 2147483648 bytes of reduce-scatter at 418 GB/s in 41057
// us on 8 ranks: 8 times size / time, so its size there is one rank's part.
std::optional<double> whole_bytes(double size, double us, double algbw, double ranks) {
  const double times = algbw * 1e3 * us / size;
  for (const double factor : {1.0, ranks}) {
    if (std::abs(times / factor - 1) < 0.02) return size * factor;
  }
  return {};
}

using Call = std::pair<std::string, double>;  // communicator and sequence number

void add_call(LogReading& reading, std::size_t position, const Json& object,
              std::map<Call, LogPoint>& fastest) {
  const Json &header = member(object, "header"), &perf = member(object, "coll_perf");
  const auto size = number_of(member(perf, "coll_msg_size_bytes"));
  const auto us = number_of(member(perf, "coll_exec_time_us"));
  const auto algbw = number_of(member(perf, "coll_algobw_gbs"));
  const auto ranks = number_of(member(header, "n_ranks"));
  const auto what = timed_from(string_of(member(perf, "coll")));
  if (!size || !us || !algbw || !ranks || !what || *size <= 0 || *us <= 0 || *ranks < 1 ||
      *ranks > 1e6) {
    skip_line(reading, position, "an object without coll, n_ranks, size, time and rate");
    return;
  }
  ++reading.rows;
  const auto bytes = whole_bytes(*size, *us, *algbw, *ranks);
  if (!bytes) {
    skip_line(reading, position,
              fmt::format("{} bytes in {} us are not {} GB/s", *size, *us, *algbw));
    return;
  }
  LogPoint point{.what = *what,
                 .participants = static_cast<int>(*ranks),
                 .bytes = *bytes,
                 .microseconds = *us};
  Call call{string_of(member(header, "id")), number_of(member(perf, "coll_sn")).value_or(0)};
  const auto [at, fresh] = fastest.try_emplace(std::move(call), point);
  if (!fresh && *us < at->second.microseconds) at->second = point;
}

}  // namespace

LogReading read_nccl_inspector(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "NCCL Inspector"};
  std::map<Call, LogPoint> fastest;
  std::size_t position = 0;
  for (const std::string_view piece : objects_in(text)) {
    ++position;
    LogReading attempt{.file = fmt::format("{}: object {}", file, position)};
    const Json object = parse_log_json(piece, attempt);
    if (!attempt.problems.empty()) {
      skip_line(reading, position, piece);  // the job may have ended while it was written
      continue;
    }
    const std::string version =
        string_of(member(member(object, "metadata"), "inspector_output_format_version"));
    if (!version.empty()) reading.version = version.substr(0, 20);
    add_call(reading, position, object, fastest);
  }
  for (const auto& [call, point] : fastest) reading.points.push_back(point);
  reading.notes.push_back(
      "times from a running job hold the wait for the slowest rank; of the ranks in this file the "
      "fastest of each call counts, so feed a file with all ranks of a node (cat DIR/*.log)");
  if (reading.points.empty()) reading.problems.add("{}: no collective with size and time", file);
  return reading;
}

}  // namespace stagesim
