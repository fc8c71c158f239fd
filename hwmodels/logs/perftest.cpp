#include <fmt/format.h>

#include <map>

#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"

namespace stagesim {
namespace {

struct Columns {
  bool latency = false;
  double gb_per_s = 0;  // of one printed unit
};

// Older builds label 2^20 bytes "MB/sec", newer ones "MiB/sec".
std::optional<Columns> read_columns(std::string_view line) {
  if (!contains(line, "#bytes") || !contains(line, "#iterations")) return {};
  Columns columns;
  columns.latency = contains(line, "t_typical");
  if (contains(line, "Gb/sec")) {
    columns.gb_per_s = 1.0 / 8;
  } else if (contains(line, "MiB/sec") || contains(line, "MB/sec")) {
    columns.gb_per_s = 1048576.0 / 1e9;
  }
  if (!columns.latency && columns.gb_per_s == 0) return {};
  return columns;
}

// The address of a side: the LID of InfiniBand (0 on Ethernet) or the GID.
std::string address_in(std::string_view line) {
  if (const auto lid = after(line, "LID ")) {
    const auto words = words_of(*lid);
    const bool ethernet = words.empty() || words[0] == "0000" || words[0] == "0x0000";
    return ethernet ? "" : "LID " + std::string(words[0]);
  }
  if (const auto gid = after(line, "GID: ")) return "GID " + std::string(*gid);
  return "";
}

}  // namespace

LogReading read_perftest(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "perftest"};
  std::optional<Columns> columns;
  std::string side, local, remote;
  bool banner = false;  // between lines of dashes
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (const auto next = read_columns(line)) {
      columns = next;
      banner = false;
      continue;
    }
    if (contains(line, "-----------")) {
      banner = true;
      continue;
    }
    if (contains(line, "local address:")) side = "local";
    if (contains(line, "remote address:")) side = "remote";
    const std::string address = address_in(line);
    if (!address.empty() && !side.empty()) (side == "local" ? local : remote) = address;
    const std::size_t column = columns && columns->latency ? 4 : 3;  // typical time, average rate
    if (columns && words.size() > column && count_in(words[0]) && count_in(words[1]) &&
        number_in(words[column])) {
      const double bytes = static_cast<double>(*count_in(words[0]));
      const double value = *number_in(words[column]);
      ++reading.rows;
      if (bytes <= 0 || value <= 0) continue;
      reading.points.push_back(
          {.what = Timed::kSend,
           .participants = 2,
           .bytes = bytes,
           .microseconds = columns->latency ? value : bytes / (value * columns->gb_per_s * 1e3),
           .streamed = !columns->latency});
    } else if (!banner || columns) {
      skip_line(reading, number, line);
    }
  }
  if (!local.empty() && local == remote) {
    reading.problems.add(
        "{}: loopback: local and remote side are the same port ({}), so the messages never left "
        "this host; run the server on another node",
        file, local);
  }
  reading.notes.push_back(
      "perftest moves host memory unless run with --use_cuda, and a GPU far from the card is "
      "slower "
      "than either");
  if (reading.rows == 0) reading.problems.add("{}: perftest output without a row", file);
  return reading;
}

}  // namespace stagesim
