#include "hwmodels/fit/curve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "hwmodels/logs/log_text.hpp"

namespace stagesim {
namespace {

// Below this the time is all latency on every link we know of (NCCL leaves its low-latency protocol
// between 16 KiB and 512 KiB), so a rate read from it would be noise.
constexpr double kSmallestLargest = 256 * 1024;

std::map<double, std::vector<double>> by_size(const Curve& samples) {
  std::map<double, std::vector<double>> result;
  for (const auto& [bytes, us] : samples) result[bytes].push_back(us);
  return result;
}

BandError error_of(const std::vector<double>& errors) {
  if (errors.empty()) return {};
  return {.points = static_cast<int>(errors.size()),
          .median = median_of(errors),
          .worst = *std::max_element(errors.begin(), errors.end())};
}

}  // namespace

std::size_t band_of(double bytes) {
  if (bytes <= 16.0 * 1024) return 0;
  if (bytes <= 1024.0 * 1024) return 1;
  return bytes <= 64.0 * 1024 * 1024 ? 2 : 3;
}

CleanCurve clean_curve(Curve samples, double tolerance) {
  CleanCurve clean;
  for (const auto& [bytes, times] : by_size(samples)) {
    double us = median_of(times);
    if (!clean.points.empty() && us < clean.points.back().second) {
      const auto [bytes_before, us_before] = clean.points.back();
      const double fall = 1 - us / us_before;
      ++clean.raised;
      clean.worst_fall = std::max(clean.worst_fall, fall);
      if (fall > tolerance) {
        clean.falls.push_back(
            fmt::format("{:.0f} bytes took {:.2f} us, less than the {:.2f} us of {:.0f} bytes; "
                        "raised to that",
                        bytes, us, us_before, bytes_before));
      }
      us = us_before;
    }
    clean.points.emplace_back(bytes, us);
  }
  // Beyond the last point the rate of the last two counts, so they must differ.
  while (clean.points.size() > 2 &&
         clean.points.back().second <= clean.points[clean.points.size() - 2].second) {
    clean.points.erase(clean.points.end() - 2);
  }
  return clean;
}

std::string curve_defect(const Curve& curve) {
  if (curve.empty()) return "no size was measured";
  if (curve.size() == 1) {
    return fmt::format(
        "one size only ({:.0f} bytes in {:.2f} us): one point gives a latency but no bandwidth; "
        "measure a sweep, such as -b 8 -e 1G -f 2",
        curve[0].first, curve[0].second);
  }
  if (curve.back().first < kSmallestLargest) {
    return fmt::format(
        "the largest message has {:.0f} bytes: that small, time is all latency and the bandwidth "
        "stays unknown; measure up to 64 MiB or more (-e 1G)",
        curve.back().first);
  }
  if (curve.back().second <= curve[curve.size() - 2].second)
    return "all sizes took the same time, so the bandwidth stays unknown; measure larger messages";
  return "";
}

std::optional<CurveError> held_out_error(const Curve& samples) {
  Curve train, test;
  bool keep = true;
  for (const auto& [bytes, times] : by_size(samples)) {
    (keep ? train : test).emplace_back(bytes, median_of(times));
    keep = !keep;
  }
  if (train.size() < 2 || test.size() < 2) return {};
  const Curve curve = clean_curve(train).points;
  if (curve.back().second <= curve[curve.size() - 2].second) return {};
  std::array<std::vector<double>, 4> errors;
  std::vector<double> all;
  for (const auto& [bytes, us] : test) {
    const double error = std::abs(curve_microseconds(curve, bytes) / us - 1);
    errors[band_of(bytes)].push_back(error);
    all.push_back(error);
  }
  CurveError result;
  for (std::size_t band = 0; band < errors.size(); ++band)
    result.bands[band] = error_of(errors[band]);
  result.all = error_of(all);
  return result;
}

}  // namespace stagesim
