#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stagesim {

enum class Provenance : std::uint8_t { kMeasured, kLog, kSpec, kAssumed };
std::string_view text(Provenance provenance);

// A number that says where it came from.
struct Quantity {
  double value = 0;
  Provenance from = Provenance::kAssumed;
  std::string source;
  std::optional<double> error;  // relative
};

// (bytes, microseconds), at least two: interpolated between in log size and log time, flat below
// the first, at the bytes per second of the last two beyond the last.
using Curve = std::vector<std::pair<double, double>>;
double curve_microseconds(const Curve& curve, double bytes);

enum class CollectiveKind : std::uint8_t {
  kAllReduce,
  kReduce,
  kBroadcast,
  kAllGather,
  kReduceScatter,
  kAllToAll
};
std::string_view text(CollectiveKind kind);  // "all_reduce", …

// A collective over one kind of link, measured with that many GPUs. Bytes as nccl-tests counts
// them: the larger of a rank's send and receive buffer.
struct CollectiveProfile {
  CollectiveKind kind = CollectiveKind::kAllReduce;
  int participants = 0;
  Curve curve{};
  Provenance from = Provenance::kAssumed;
  std::string source{};
  std::optional<double> error{};
};

// One direction between two GPUs: time of a message alone on it.
struct LinkProfile {
  std::string name{}, summary{};
  Curve curve{};
  Curve exchange{};  // as much both ways at once, per direction; empty when not measured
  std::vector<CollectiveProfile> collectives{};
  Provenance from = Provenance::kAssumed;
  std::string source{};
  std::optional<double> error{};
  Quantity latency_us{};  // the part of every message that does not occupy the link: the first time
  double microseconds(double bytes) const;  // never falls with bytes, at least latency_us
  double large_message_gb_per_s() const;    // of the last two points
  double large_exchange_gb_per_s() const;   // each way; 0: not measured
};

}  // namespace stagesim
