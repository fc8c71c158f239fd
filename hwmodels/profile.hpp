#pragma once

#include <array>
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
};

// GEMMs as measured, [m, n, k, microseconds] each.
struct MeasuredMatmuls {
  std::string dtype{};
  std::vector<std::array<double, 4>> m_n_k_us{};
  Provenance from = Provenance::kAssumed;
  std::string source{};
};

struct GpuProfile {
  std::string name, summary;
  Quantity memory_gib;
  Quantity peak_tflops;               // dense 16-bit, for MFU
  Quantity matmul_efficiency;         // of the peak, large shapes
  Quantity memory_gb_per_s;           // peak
  Quantity memory_efficiency;         // of the peak
  Quantity kernel_us;                 // constant time per kernel on the device (queue gap and ramp)
  Quantity launch_us;                 // host time to issue one kernel
  std::optional<Quantity> matmul_us;  // constant time per GEMM, of the fit that gave the efficiency
  std::vector<MeasuredMatmuls> measured_matmuls;
  std::vector<LinkProfile> links;
};

struct ProfileLine {
  std::string name{}, kind{}, summary{};  // kind: "gpu" or "link"
};
std::vector<ProfileLine> list_profiles();

// A name of the list, or a path that ends in ".json" of a profile that `stagesim calibrate` wrote.
// Throws InputError with the nearest name.
const GpuProfile& gpu_profile(std::string_view name);
// A link of that GPU, else a stand-alone link profile (a network between nodes) or a path to one.
const LinkProfile& link_profile(const GpuProfile& gpu, std::string_view name);

// Reads profile text (embedded files and, later, users' files). Throws InputError with every
// problem:
// "<file>: gpu: unknown field 'memory_gb_s' (did you mean 'memory_gb_per_s'?)".
GpuProfile parse_gpu_profile(std::string_view json, const std::string& file);
LinkProfile parse_link_profile(std::string_view json, const std::string& file);

}  // namespace stagesim
