#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"

namespace stagesim {

// What a row of a log timed. A send goes one way; an exchange moves as much both ways at once
// (sendrecv_perf is a ring of those), so neither stands for the other.
enum class Timed : std::uint8_t {
  kSend,
  kExchange,
  kAllReduce,
  kReduce,
  kBroadcast,
  kAllGather,
  kReduceScatter,
  kAllToAll,
  kGather,
  kScatter,
  kUnknown
};
std::string_view text(Timed what);  // "send", "all_reduce", …
// Takes the names of text() and those of the tools: "allreduce", "all_reduce_perf", "AllReduce".
std::optional<Timed> timed_from(std::string_view name);

struct LogPoint {
  Timed what = Timed::kUnknown;
  int participants = 0;  // 0: the log does not say
  // As nccl-tests counts: the larger of a rank's send and receive buffer, so for all-gather,
  // reduce-scatter and all-to-all what all ranks hold together.
  double bytes = 0;
  double microseconds = 0;
  bool streamed = false;  // bytes over rate with many messages in flight: latency is not in it
  bool in_place = false;
};

// A rate or a latency without a message size of its own: one matrix of a copy benchmark.
struct LogRate {
  std::string test{};
  Timed what = Timed::kSend;
  double value = 0;  // median over the pairs: GB/s (1e9) in one direction, or us
  double lowest = 0, highest = 0;
  bool latency = false;
  int pairs = 0;
  bool between_gpus = true;  // else host and GPU
  bool peer_to_peer = true;  // false: staged through host memory
};

struct GemmPoint {
  std::string device{}, dtype{};  // as the log names them, "" when it does not
  double m = 0, n = 0, k = 0, batch = 1;
  double microseconds = 0;
};

// A kernel whose time is the bytes it moves: "add", "softmax", "adam".
struct KernelPoint {
  std::string kernel{};
  double bytes = 0, microseconds = 0;
  double spread = 0;  // relative, of repeats
};

struct LogReading {
  std::string file{}, tool{}, version{};
  std::vector<std::string> devices{};  // different names, in the order found
  std::vector<LogPoint> points{};
  std::vector<LogRate> rates{};
  std::vector<GemmPoint> gemms{};
  std::vector<KernelPoint> kernels{};
  std::optional<double> launch_us{};  // host time to issue a kernel
  std::vector<Timed> could_be{};      // of kUnknown points: what rows and columns allow
  int rows = 0;                       // rows with a measurement, size-0 rows too
  int skipped = 0;                    // lines that hold nothing we know
  std::vector<std::string> quotes{};  // the first of them, with their line numbers
  bool own_probe = false;             // stagesim-probe: measured, not somebody's log
  std::vector<std::string> notes{};   // what a user should know about the numbers
  Problems problems{};                // why this file cannot be used at all
  Problems incomplete{};              // rows that do not add up to what the tool printed below them
};

enum class LogGrammar : std::uint8_t {
  kNcclTestsText,
  kNcclTestsJson,
  kNvbandwidthText,
  kNvbandwidthJson,
  kP2pBandwidth,
  kOsu,
  kPerftest,
  kGemmTable,
  kMessageTable,
  kNcclInspector,
  kProbe
};
std::string_view text(LogGrammar grammar);

// By what the text holds, never by the file's name.
std::optional<LogGrammar> detect(std::string_view text);

// Detects and reads. InputError when no grammar fits or the text is compressed.
LogReading read_log(std::string_view text, const std::string& file);

}  // namespace stagesim
