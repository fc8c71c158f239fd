#include <fmt/format.h>

#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"

namespace stagesim {
namespace {

// Which of the OSU tests a title names. Rates are MB/s of 1e6 bytes; latency is half a round trip,
// so one way (osu_bw.c and osu_latency.c).
enum class OsuTest { kNone, kLatency, kBandwidth, kBothWays, kOther };

OsuTest test_of(std::string_view title) {
  if (contains(title, "Bi-Directional Bandwidth")) return OsuTest::kBothWays;
  if (contains(title, "Bandwidth")) return OsuTest::kBandwidth;
  for (const char* name : {" Latency Test", " Multi Latency Test", " Multi-threaded Latency Test",
                           " Multi-process Latency Test"}) {
    // "OSU MPI-CUDA Allreduce Latency Test" is a collective.
    if (contains(title, name) && words_of(title.substr(0, title.find(name))).size() <= 3)
      return OsuTest::kLatency;
  }
  return OsuTest::kOther;
}

}  // namespace

LogReading read_osu(std::string_view text, const std::string& file) {
  LogReading reading{.file = file, .tool = "OSU micro-benchmarks"};
  OsuTest test = OsuTest::kNone;
  double pairs = 1;
  bool on_host = false;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (const auto title = after(line, "# OSU ")) {
      test = test_of(line);
      pairs = 1;
      const auto title_words = words_of(*title);
      if (!title_words.empty() && title_words.back().front() == 'v')
        reading.version = std::string(title_words.back().substr(0, 20));
      if (test == OsuTest::kOther) {
        reading.problems.add(
            "{}:{}: '{}' is no test of one link; feed osu_latency or osu_bw with device buffers "
            "(D D), and nccl-tests for collectives",
            file, number, std::string(trimmed(line).substr(0, 60)));
      }
    } else if (const auto counted = after(line, "[ pairs:")) {
      const auto pair_words = words_of(*counted);
      if (!pair_words.empty()) pairs = number_in(pair_words[0]).value_or(1);
    } else if (contains(line, "Buffer on HOST")) {
      on_host = true;
    } else if (words[0][0] == '#') {
      continue;  // column titles; "Send Buffer on DEVICE (D)"
    } else if (test != OsuTest::kNone && words.size() >= 2 && count_in(words[0]) &&
               number_in(words[1])) {
      const double bytes = static_cast<double>(*count_in(words[0])), value = *number_in(words[1]);
      ++reading.rows;
      if (bytes <= 0 || value <= 0 || pairs < 1 || test == OsuTest::kOther) continue;
      LogPoint point{.what = test == OsuTest::kBothWays ? Timed::kExchange : Timed::kSend,
                     .participants = 2,
                     .bytes = bytes,
                     .microseconds = value,
                     .streamed = test != OsuTest::kLatency};
      const double directions = test == OsuTest::kBothWays ? 2 : 1;
      if (point.streamed) point.microseconds = bytes / (value / pairs / directions);
      reading.points.push_back(point);
    } else {
      skip_line(reading, number, line);
    }
  }
  if (on_host) {
    reading.notes.push_back(
        "buffers in host memory: GPUs take other paths; run with D D for device buffers");
  }
  if (reading.rows == 0) reading.problems.add("{}: OSU output without a row", file);
  return reading;
}

}  // namespace stagesim
