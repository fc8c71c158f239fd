#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hwmodels/kernel_kind.hpp"

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

// One direction between two GPUs: time of a message alone on it.
struct LinkProfile {
  std::string name, summary;
  // (bytes, microseconds): interpolated between in log size and log time, flat below the first, at
  // the bytes per second of the last two beyond the last.
  std::vector<std::pair<double, double>> curve;
  Provenance from = Provenance::kAssumed;
  std::string source;
  std::optional<double> error;
  Quantity latency_us;  // the part of every message that does not occupy the link: the first time
  double microseconds(double bytes) const;  // never falls with bytes, at least latency_us
  double large_message_gb_per_s() const;    // of the last two points
};

struct GpuProfile {
  std::string name, summary;
  Quantity memory_gib;
  Quantity peak_tflops;        // dense 16-bit, for MFU
  Quantity matmul_efficiency;  // of the peak, large shapes
  Quantity memory_gb_per_s;    // peak
  Quantity memory_efficiency;  // of the peak
  // By KernelKind: of the memory rate, or of the peak FLOPs (see there). Where there is none,
  // memory_efficiency and matmul_efficiency.
  std::array<std::optional<Quantity>, kKernelKinds> kernel_efficiency;
  Quantity kernel_us;  // constant time per kernel on the device (queue gap and ramp)
  Quantity launch_us;  // host time to issue one kernel
  std::vector<LinkProfile> links;
};

// What a kernel of that kind reaches: FLOPs and bytes per microsecond.
double flops_per_us(const GpuProfile& gpu, KernelKind kind);
double bytes_per_us(const GpuProfile& gpu, KernelKind kind);

struct ProfileLine {
  std::string name, kind, summary;  // kind: "gpu" or "link"
};
std::vector<ProfileLine> list_profiles();

// Throws InputError with the nearest name.
const GpuProfile& gpu_profile(std::string_view name);
// A link of that GPU, else a stand-alone link profile (a network between nodes).
const LinkProfile& link_profile(const GpuProfile& gpu, std::string_view name);

// Reads profile text (embedded files and, later, users' files). Throws InputError with every
// problem:
// "<file>: gpu: unknown field 'memory_gb_s' (did you mean 'memory_gb_per_s'?)".
GpuProfile parse_gpu_profile(std::string_view json, const std::string& file);
LinkProfile parse_link_profile(std::string_view json, const std::string& file);

}  // namespace stagesim
