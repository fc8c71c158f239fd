#include "hwmodels/profile.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace stagesim {

std::string_view text(Provenance provenance) {
  switch (provenance) {
    case Provenance::kMeasured:
      return "measured";
    case Provenance::kLog:
      return "log";
    case Provenance::kSpec:
      return "spec";
    case Provenance::kAssumed:
      break;
  }
  return "assumed";
}

double flops_per_us(const GpuProfile& gpu, KernelKind kind) {
  const auto& own = gpu.kernel_efficiency[static_cast<std::size_t>(kind)];
  const double efficiency = of_flops(kind) && own ? own->value : gpu.matmul_efficiency.value;
  return gpu.peak_tflops.value * efficiency * 1e6;
}

double bytes_per_us(const GpuProfile& gpu, KernelKind kind) {
  const auto& own = gpu.kernel_efficiency[static_cast<std::size_t>(kind)];
  const double efficiency = own && !of_flops(kind) ? own->value : gpu.memory_efficiency.value;
  return gpu.memory_gb_per_s.value * efficiency * 1e3;
}

std::string_view text(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::kAllReduce:
      return "all_reduce";
    case CollectiveKind::kReduce:
      return "reduce";
    case CollectiveKind::kBroadcast:
      return "broadcast";
    case CollectiveKind::kAllGather:
      return "all_gather";
    case CollectiveKind::kReduceScatter:
      return "reduce_scatter";
    case CollectiveKind::kAllToAll:
      break;
  }
  return "all_to_all";
}

namespace {

double last_rate_gb_per_s(const Curve& curve) {
  STAGESIM_CHECK(curve.size() >= 2);
  const auto& [bytes, us] = curve.back();
  const auto& [bytes_before, us_before] = curve[curve.size() - 2];
  return (bytes - bytes_before) / (us - us_before) / 1e3;
}

}  // namespace

double LinkProfile::large_message_gb_per_s() const { return last_rate_gb_per_s(curve); }

double LinkProfile::large_exchange_gb_per_s() const {
  return exchange.empty() ? 0 : last_rate_gb_per_s(exchange);
}

double LinkProfile::microseconds(double bytes) const { return curve_microseconds(curve, bytes); }

double curve_microseconds(const Curve& curve, double bytes) {
  STAGESIM_CHECK(curve.size() >= 2);
  if (bytes <= curve.front().first) return curve.front().second;
  const auto& [last_bytes, last_us] = curve.back();
  if (bytes >= last_bytes) {
    const auto& [bytes_before, us_before] = curve[curve.size() - 2];
    return last_us + (bytes - last_bytes) / (last_bytes - bytes_before) * (last_us - us_before);
  }
  const auto above = std::upper_bound(curve.begin(), curve.end(), bytes,
                                      [](double b, const auto& point) { return b < point.first; });
  const auto below = above - 1;
  const double share = std::log(bytes / below->first) / std::log(above->first / below->first);
  return below->second * std::pow(above->second / below->second, share);
}

}  // namespace stagesim
