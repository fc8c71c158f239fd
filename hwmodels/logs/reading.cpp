#include "hwmodels/logs/reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include "hwmodels/logs/log_text.hpp"
#include "hwmodels/logs/readers.hpp"

namespace stagesim {
namespace {

using Reader = LogReading (*)(std::string_view text, const std::string& file);
struct GrammarLine {
  LogGrammar grammar;
  std::string_view name;
  Reader read;
};
constexpr GrammarLine kGrammars[] = {
    {LogGrammar::kNcclTestsText, "nccl-tests text", read_nccl_tests_text},
    {LogGrammar::kNcclTestsJson, "nccl-tests JSON", read_nccl_tests_json},
    {LogGrammar::kNvbandwidthText, "nvbandwidth text", read_nvbandwidth_text},
    {LogGrammar::kNvbandwidthJson, "nvbandwidth JSON", read_nvbandwidth_json},
    {LogGrammar::kP2pBandwidth, "p2pBandwidthLatencyTest", read_p2p_bandwidth},
    {LogGrammar::kOsu, "OSU micro-benchmark", read_osu},
    {LogGrammar::kPerftest, "perftest", read_perftest},
    {LogGrammar::kGemmTable, "GEMM table (CSV)", read_gemm_table},
    {LogGrammar::kMessageTable, "message table (CSV)", read_message_table},
    {LogGrammar::kNcclInspector, "NCCL Inspector JSON", read_nccl_inspector},
    {LogGrammar::kProbe, "stagesim-probe JSON", read_probe},
};

// "AllReduce", "all_reduce_perf" and "all-reduce" are the same word.
std::string plain(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0)
      result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const std::string_view tail = "perf";
  if (result.size() > tail.size() && result.ends_with(tail))
    result.resize(result.size() - tail.size());
  return result;
}

// Whether the first line of a CSV has a column of one of these names.
bool has_column(std::string_view header, std::initializer_list<std::string_view> names) {
  const auto cells = cells_of(header);
  return std::any_of(cells.begin(), cells.end(), [&](std::string_view cell) {
    return std::find(names.begin(), names.end(), lower_case(cell)) != names.end();
  });
}

}  // namespace

std::string_view text(Timed what) {
  switch (what) {
    case Timed::kSend:
      return "send";
    case Timed::kExchange:
      return "exchange";
    case Timed::kAllReduce:
      return "all_reduce";
    case Timed::kReduce:
      return "reduce";
    case Timed::kBroadcast:
      return "broadcast";
    case Timed::kAllGather:
      return "all_gather";
    case Timed::kReduceScatter:
      return "reduce_scatter";
    case Timed::kAllToAll:
      return "all_to_all";
    case Timed::kGather:
      return "gather";
    case Timed::kScatter:
      return "scatter";
    case Timed::kUnknown:
      break;
  }
  return "unknown";
}

std::optional<Timed> timed_from(std::string_view name) {
  const std::string word = plain(name);
  if (word == "sendrecv") return Timed::kExchange;
  if (word == "bcast") return Timed::kBroadcast;
  for (int i = 0; i < static_cast<int>(Timed::kUnknown); ++i) {
    const auto what = static_cast<Timed>(i);
    if (plain(text(what)) == word) return what;
  }
  return {};
}

std::string_view text(LogGrammar grammar) {
  for (const GrammarLine& line : kGrammars) {
    if (line.grammar == grammar) return line.name;
  }
  return "";
}

std::optional<LogGrammar> detect(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  const std::string_view start = text.substr(first);
  if (start[0] == '{' || start[0] == '[') {
    if (contains(text, "\"stagesim-probe\"")) return LogGrammar::kProbe;
    if (contains(text, "\"coll_perf\"")) return LogGrammar::kNcclInspector;
    if (contains(text, "\"nvbandwidth\"")) return LogGrammar::kNvbandwidthJson;
    if (contains(text, "\"nccl_version\"") || contains(text, "\"average_bus_bandwidth\""))
      return LogGrammar::kNcclTestsJson;
    if (start[0] == '{') return {};  // a log may start with a tag in brackets
  }
  if (contains(text, "algbw") && contains(text, "busbw")) return LogGrammar::kNcclTestsText;
  if (contains(text, "P2P (Peer-to-Peer) GPU Bandwidth Latency Test") ||
      (contains(text, "Unidirectional P2P=") && contains(text, "Matrix (GB/s)")))
    return LogGrammar::kP2pBandwidth;
  if (contains(text, "nvbandwidth Version:")) return LogGrammar::kNvbandwidthText;
  if (contains(text, "# OSU ")) return LogGrammar::kOsu;
  if (contains(text, "#bytes") && contains(text, "#iterations")) return LogGrammar::kPerftest;
  const std::string_view header = start.substr(0, start.find('\n'));
  if (has_column(header, {"m", "m_tokens"}) && has_column(header, {"n"}) &&
      has_column(header, {"k"}))
    return LogGrammar::kGemmTable;
  if (has_column(header, {"bytes"}) && contains(header, ",")) return LogGrammar::kMessageTable;
  return {};
}

LogReading read_log(std::string_view text, const std::string& file) {
  if (text.substr(0, 2) == "\x1f\x8b")
    throw InputError(
        fmt::format("{}: compressed with gzip; unpack it first: gunzip -k {}", file, file));
  if (const auto grammar = detect(text)) {
    for (const GrammarLine& line : kGrammars) {
      if (line.grammar != *grammar) continue;
      LogReading reading = line.read(text, file);
      reading.version = printable(reading.version);
      return reading;
    }
  }
  std::string names;
  for (const GrammarLine& line : kGrammars)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", line.name);
  throw InputError(fmt::format("{}: not a log that calibrate knows; it reads: {}", file, names));
}

}  // namespace stagesim
