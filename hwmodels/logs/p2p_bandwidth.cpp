#include <fmt/format.h>

#include "hwmodels/logs/copy_matrix.hpp"
#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"

namespace stagesim {
namespace {

// The title of a matrix says what it holds; old samples leave out "(P2P Writes)".
struct Title {
  LogRate rate;
  bool halve = false;  // a bidirectional matrix counts both directions
};

std::optional<Title> read_title(std::string_view line) {
  if (!contains(line, "Matrix") || !contains(line, "P2P=")) return {};
  Title title;
  title.rate.test = std::string(trimmed(line).substr(0, 80));
  title.rate.peer_to_peer = contains(line, "P2P=Enabled");
  title.rate.latency = contains(line, "Latency");
  title.halve = contains(line, "Bidirectional");
  title.rate.what = title.halve ? Timed::kExchange : Timed::kSend;
  return title;
}

}  // namespace

LogReading read_p2p_bandwidth(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "p2pBandwidthLatencyTest"};
  std::optional<Title> title;
  CopyMatrix matrix;
  bool host_half = false;  // the CPU sub-matrix below a latency: time of the call, not of the copy
  int cannot = 0;
  const auto flush = [&] {
    if (title && !matrix.cells.empty() && !host_half)
      add_matrix(reading, matrix, title->rate, title->halve);
    matrix = {};
  };
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (const auto device = after(line, "Device: ")) {
      const std::size_t comma = device->find(',');
      const std::string_view rest = device->substr(std::min(comma + 1, device->size()));
      add_device(reading, rest.substr(0, rest.find(',')));
    } else if (contains(line, "Access Peer Device=")) {
      if (contains(line, "CANNOT")) ++cannot;
    } else if (contains(line, "P2P Connectivity Matrix")) {
      flush();
      title.reset();
    } else if (const auto next = read_title(line)) {
      flush();
      title = next;
      host_half = false;
    } else if (words[0] == "D\\D" || words[0] == "GPU" || words[0] == "CPU") {
      flush();
      host_half = words[0] == "CPU";
    } else if (count_in(words[0]) && words.size() >= 2 && number_in(words[1])) {
      matrix.cells.emplace_back(words.begin() + 1, words.end());
    } else if (!contains(line, "P2P (Peer-to-Peer)") && !contains(line, "NOTE") &&
               !contains(line, "lesser Bandwidth")) {
      skip_line(reading, number, line);
    }
  }
  flush();
  if (cannot > 0) {
    reading.notes.push_back(
        fmt::format("{} pairs of GPUs CANNOT access each other: their copies go through host "
                    "memory",
                    cannot));
  }
  bool enabled = false;
  for (LogRate& rate : reading.rates) {
    if (cannot > 0) rate.peer_to_peer = false;  // "Enabled" then falls back without a word
    enabled = enabled || rate.peer_to_peer;
  }
  if (reading.rates.empty()) {
    reading.problems.add("{}: no matrix with a pair of GPUs; it takes a machine with two", file);
  } else if (!enabled) {
    reading.problems.add(
        "{}: peer-to-peer is disabled between these GPUs, so the copies are staged through host "
        "memory and say nothing about a link; enable it (nvidia-smi topo -p2p r shows why not) or "
        "measure what NCCL really does with nccl-tests",
        file);
  }
  return reading;
}

}  // namespace stagesim
