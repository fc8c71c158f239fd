#include "tools/stagesim/calibrate_report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <cmath>

namespace stagesim {
namespace {

std::string error_text(const BandError& e) {
  return e.points == 0 ? "-" : fmt::format("{:.1f}/{:.0f}", 100 * e.median, 100 * e.worst);
}

std::string segment_text(const Segment& s) {
  const std::string rate =
      std::isfinite(s.gb_per_s) ? fmt::format(" + size / {:.4g} GB/s", s.gb_per_s) : ", flat";
  return fmt::format("from {:.0f} B: {:.4g} us{}", s.from_bytes, s.alpha_us, rate);
}

}  // namespace

void print_readings(std::ostream& out, const std::vector<LogReading>& readings) {
  fmt::print(out, "read\n");
  for (const LogReading& r : readings) {
    fmt::print(out, "  {}: {}{}{}; {} rows, {} lines skipped\n", r.file, r.tool,
               r.version.empty() ? "" : " " + r.version,
               r.devices.empty() ? "" : fmt::format(", {}", fmt::join(r.devices, ", ")), r.rows,
               r.skipped);
    for (const std::string& quote : r.quotes) fmt::print(out, "    skipped {}\n", quote);
    for (const std::string& note : r.notes) fmt::print(out, "    note: {}\n", note);
    for (const std::string& line : r.incomplete.lines()) fmt::print(out, "    {}\n", line);
  }
}

void print_curves(std::ostream& out, const std::vector<MeasuredCurve>& curves) {
  if (curves.empty()) return;
  fmt::print(out,
             "\ncurves: error in % (median/worst) at every second size, predicted from the others\n"
             "  {:<26}{:>6}",
             "", "sizes");
  for (const char* band : kBandNames) fmt::print(out, "{:>11}", band);
  fmt::print(out, "{:>11}\n", "all");
  for (const MeasuredCurve& c : curves) {
    fmt::print(out, "  {:<26}{:>6}", c.name(), c.from_rates ? 2 : c.clean.points.size());
    const CurveError error = c.held_out.value_or(CurveError{});
    for (const BandError& band : error.bands) fmt::print(out, "{:>11}", error_text(band));
    fmt::print(out, "{:>11}\n", error_text(error.all));
    std::string compact;
    for (const Segment& s : c.compact.segments)
      compact += (compact.empty() ? "" : "; ") + segment_text(s);
    fmt::print(out, "    compact form: {} (in-sample {:.1f} %)\n", compact,
               100 * c.compact.median_error);
    for (const std::string& note : c.notes) fmt::print(out, "    note: {}\n", note);
    if (c.halves > 0)
      fmt::print(out, "    in-place and out-of-place times differ by {:.1f} % (median): noise\n",
                 100 * c.halves);
    if (c.clean.raised > 0) {
      fmt::print(out,
                 "    warning: {} sizes took less time than a smaller one, by up to {:.1f} %\n",
                 c.clean.raised, 100 * c.clean.worst_fall);
    }
    for (const std::string& fall : c.clean.falls) fmt::print(out, "    warning: {}\n", fall);
  }
}

void print_gemms(std::ostream& out, const MeasuredGemms& g) {
  const GemmRoofline& r = g.fit.roofline;
  fmt::print(out,
             "\nGEMMs: {} shapes of {}\n  {:.2f} us + max(flop at {:.3f} of the peak, bytes at "
             "{:.3f} of the memory bandwidth)\n"
             "  held-out half: error {:.1f} % median, {:.0f} % of the 90th percentile, {:.0f} % "
             "worst; above 100 GFLOP ({} of them): {:.1f} % median\n",
             g.table.size(), g.dtype.empty() ? "a type the log does not name" : g.dtype,
             r.offset_us, r.efficiency, r.memory_efficiency, 100 * g.fit.held_out.median,
             100 * g.fit.held_out.p90, 100 * g.fit.held_out.worst, g.fit.large.shapes,
             100 * g.fit.large.median);
  if (g.fit.memory_bound < kEnoughMemoryBound)
    fmt::print(out,
               "  {:.0f} % of the shapes are bound by memory: too few, so its efficiency stays "
               "the base profile's\n",
               100 * g.fit.memory_bound);
  if (g.fit.too_fast > 0)
    fmt::print(out,
               "  warning: {:.0f} % of the shapes ran faster than the peak allows; is it the "
               "peak of this type?\n",
               100 * g.fit.too_fast);
}

void print_memory(std::ostream& out, const GpuProfile& gpu) {
  fmt::print(out, "\nmemory-bound kernels\n");
  const auto row = [&](const char* name, const Quantity& q) {
    fmt::print(out, "  {}: {:.3f} of {:g} GB/s ({})\n", name, q.value, gpu.memory_gb_per_s.value,
               q.source);
  };
  row("in general", gpu.memory_efficiency);
  const auto& adam = gpu.kernel_efficiency[static_cast<std::size_t>(KernelKind::kAdam)];
  if (adam) row("optimizer", *adam);
}

}  // namespace stagesim
