#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "hwmodels/fit/calibration.hpp"

namespace stagesim {

std::optional<MeasuredGemms> measured_gemms(const std::vector<LogReading>& readings,
                                            const CalibrationOptions& options,
                                            const GemmPeaks& peaks, Problems& problems) {
  std::set<std::string> devices, dtypes, sources;
  std::vector<GemmPoint> chosen;
  for (const LogReading& reading : readings) {
    for (const GemmPoint& p : reading.gemms) {
      const std::string dtype = short_dtype(p.dtype);
      const bool half = dtype.empty() || dtype == "fp16" || dtype == "bf16";
      if (!options.device.empty() && p.device != options.device) continue;
      if (options.dtype.empty() ? !half : dtype != options.dtype && p.dtype != options.dtype)
        continue;
      devices.insert(p.device);
      dtypes.insert(dtype);
      sources.insert(source_of(reading));
      chosen.push_back(p);
    }
  }
  const auto several = [&](const std::set<std::string>& names, const char* what,
                           const char* option) {
    if (names.size() > 1) {
      problems.add("GEMMs of several {}: {}; choose one with {}", what, fmt::join(names, ", "),
                   option);
    }
    return names.size() > 1;
  };
  if (several(devices, "devices", "--device") || several(dtypes, "data types", "--dtype"))
    return {};
  const auto fit = fit_gemm(chosen, peaks);
  if (!fit) {
    problems.add(
        "{} GEMMs{}{}: a fit of three parameters takes at least eight shapes (16-bit types unless "
        "--dtype says otherwise)",
        chosen.size(), options.device.empty() ? "" : " of device " + options.device,
        options.dtype.empty() ? "" : " of type " + options.dtype);
    return {};
  }
  return MeasuredGemms{.dtype = *dtypes.begin(),
                       .source = fmt::format("{}", fmt::join(sources, "; ")),
                       .from = provenance_of(readings),
                       .fit = *fit,
                       .table = gemm_table(chosen)};
}

void update_gpu(GpuProfile& gpu, const MeasuredGemms& gemms) {
  const std::string source = "roofline fit to " + gemms.source;
  const double error = gemms.fit.held_out.median;
  const auto fitted = [&](double value) {
    return Quantity{.value = value, .from = gemms.from, .source = source, .error = error};
  };
  gpu.matmul_efficiency = fitted(gemms.fit.roofline.efficiency);
  gpu.matmul_us = fitted(gemms.fit.roofline.offset_us);
  if (gemms.fit.memory_bound >= kEnoughMemoryBound)
    gpu.memory_efficiency = fitted(gemms.fit.roofline.memory_efficiency);
  const std::string dtype = gemms.dtype.empty() ? "16-bit" : gemms.dtype;
  MeasuredMatmuls table{.dtype = dtype, .m_n_k_us = {}, .from = gemms.from, .source = gemms.source};
  for (const GemmPoint& p : gemms.table) table.m_n_k_us.push_back({p.m, p.n, p.k, p.microseconds});
  auto& tables = gpu.measured_matmuls;
  tables.erase(std::remove_if(tables.begin(), tables.end(),
                              [&](const MeasuredMatmuls& t) { return t.dtype == dtype; }),
               tables.end());
  if (!table.m_n_k_us.empty()) tables.push_back(std::move(table));
}

}  // namespace stagesim
