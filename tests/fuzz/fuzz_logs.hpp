#pragma once

#include <cmath>

#include "hwmodels/fit/calibration.hpp"
#include "hwmodels/profile_writer.hpp"
#include "tests/fuzz/fuzz_support.hpp"

namespace stagesim::fuzz {

// Whatever a reader makes of the bytes must be usable: finite, above 0, and a profile made from it
// reads back.
inline void use_reading(const LogReading& reading) {
  require(reading.skipped >= 0 && reading.rows >= 0, "counts are counts");
  require(reading.quotes.size() <= 3, "few quotes");
  for (const LogPoint& p : reading.points) {
    require(std::isfinite(p.bytes) && p.bytes > 0, "sizes are above 0");
    require(std::isfinite(p.microseconds) && p.microseconds > 0, "times are above 0");
    require(p.participants >= 0, "participants are a count");
  }
  for (const LogRate& r : reading.rates) require(r.value > 0, "rates are above 0");
  for (const GemmPoint& g : reading.gemms)
    require(g.m > 0 && g.n > 0 && g.k > 0 && g.microseconds > 0, "GEMMs are above 0");

  std::vector<LogReading> readings{reading};
  Problems problems;
  settle(readings, {.collective = Timed::kAllReduce, .participants = 4, .edited = true}, problems);
  const auto curves = measured_curves(readings, problems);
  LinkProfile link{.name = "fuzz", .curve = {{1, 1}, {2, 2}}, .source = "s"};
  if (problems.empty()) update_link(link, curves, {}, problems);
  const GemmPeaks peaks{.tflops = 300, .gb_per_s = 2000};
  const auto gemms =
      reading.gemms.empty() ? std::nullopt : measured_gemms(readings, {}, peaks, problems);
  if (!problems.empty()) return;
  refuse_or_run([&] { parse_link_profile(profile_json(link), "fuzz.json"); });
  if (!gemms) return;
  require(std::isfinite(gemms->fit.roofline.offset_us), "a fit is a number");
  require(gemms->fit.roofline.efficiency > 0 && gemms->fit.roofline.efficiency <= 1,
          "an efficiency is a share");
  GpuProfile gpu = gpu_profile("a100-sxm-80gb");
  update_gpu(gpu, *gemms);
  refuse_or_run([&] { parse_gpu_profile(profile_json(gpu), "fuzz.json"); });
}

}  // namespace stagesim::fuzz
