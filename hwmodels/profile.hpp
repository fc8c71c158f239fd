#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/kernel_kind.hpp"
#include "hwmodels/link_profile.hpp"

namespace stagesim {

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
  Quantity peak_tflops;        // dense 16-bit, for MFU
  Quantity matmul_efficiency;  // of the peak, large shapes
  Quantity memory_gb_per_s;    // peak
  Quantity memory_efficiency;  // of the peak
  // By KernelKind: of the memory rate, or of the peak FLOPs (see there). Where there is none,
  // memory_efficiency and matmul_efficiency.
  std::array<std::optional<Quantity>, kKernelKinds> kernel_efficiency;
  Quantity kernel_us;                 // constant time per kernel on the device (queue gap and ramp)
  Quantity launch_us;                 // host time to issue one kernel
  std::optional<Quantity> matmul_us;  // constant time per GEMM, of the fit that gave the efficiency
  std::vector<MeasuredMatmuls> measured_matmuls;
  std::vector<LinkProfile> links;
};

// What a kernel of that kind reaches: FLOPs and bytes per microsecond.
double flops_per_us(const GpuProfile& gpu, KernelKind kind);
double bytes_per_us(const GpuProfile& gpu, KernelKind kind);

struct ProfileLine {
  std::string name{}, kind{}, summary{};  // kind: "gpu" or "link"
};
std::vector<ProfileLine> list_profiles();

// A name of the list, or a path that ends in ".json" of a profile that `stagesim calibrate` wrote.
// Throws InputError with the nearest name.
const GpuProfile& gpu_profile(std::string_view name);
// A link of that GPU, else a stand-alone link profile (a network between nodes) or a path to one.
const LinkProfile& link_profile(const GpuProfile& gpu, std::string_view name);

// The text of the profile that one of the two names.
std::string profile_text(std::string_view name);

// Reads profile text (embedded files and, later, users' files). Throws InputError with every
// problem:
// "<file>: gpu: unknown field 'memory_gb_s' (did you mean 'memory_gb_per_s'?)".
GpuProfile parse_gpu_profile(std::string_view json, const std::string& file);
LinkProfile parse_link_profile(std::string_view json, const std::string& file);

}  // namespace stagesim
