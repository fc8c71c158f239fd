#include "hwmodels/fit/gemm.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include "hwmodels/logs/log_text.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kFewestShapes = 8;

struct Shape {
  double compute_us = 0, memory_us = 0;  // at the peaks
  double us = 0;
};

double predicted(const Shape& s, const GemmRoofline& r) {
  return r.offset_us + std::max(s.compute_us / r.efficiency, s.memory_us / r.memory_efficiency);
}

double mean_error(const std::vector<Shape>& shapes, const GemmRoofline& r) {
  double sum = 0;
  for (const Shape& s : shapes) sum += std::abs(predicted(s, r) / s.us - 1);
  return sum / static_cast<double>(shapes.size());
}

GemmError error_of(const std::vector<Shape>& shapes, const GemmRoofline& r) {
  std::vector<double> errors;
  for (const Shape& s : shapes) errors.push_back(std::abs(predicted(s, r) / s.us - 1));
  if (errors.empty()) return {};
  std::sort(errors.begin(), errors.end());
  return {.shapes = static_cast<int>(errors.size()),
          .median = median_of(errors),
          .p90 = errors[(errors.size() - 1) * 9 / 10],
          .worst = errors.back()};
}

// Tries a step up and down in each parameter and halves the steps when none helps. Three smooth
// parameters and a start from each corner: no more is needed.
GemmRoofline descend(const std::vector<Shape>& shapes, GemmRoofline at) {
  double best = mean_error(shapes, at);
  double step = 0.2;
  while (step > 1e-4) {
    bool better = false;
    for (int parameter = 0; parameter < 3; ++parameter) {
      for (const double direction : {1.0, -1.0}) {
        GemmRoofline next = at;
        const double factor = 1 + direction * step;
        if (parameter == 0) next.efficiency = std::min(at.efficiency * factor, 1.0);
        if (parameter == 1) next.memory_efficiency = std::min(at.memory_efficiency * factor, 1.0);
        if (parameter == 2) next.offset_us = std::max(at.offset_us + direction * step * 5, 0.0);
        const double error = mean_error(shapes, next);
        if (error < best) {
          best = error;
          at = next;
          better = true;
        }
      }
    }
    if (!better) step /= 2;
  }
  return at;
}

}  // namespace

double gemm_flop(const GemmPoint& p) { return 2 * p.m * p.n * p.k * p.batch; }

double gemm_bytes(const GemmPoint& p, double element_bytes) {
  return element_bytes * p.batch * (p.m * p.k + p.k * p.n + p.m * p.n);
}

double roofline_microseconds(const GemmRoofline& r, const GemmPoint& p, const GemmPeaks& peaks) {
  return r.offset_us + std::max(gemm_flop(p) / (r.efficiency * peaks.tflops * 1e6),
                                gemm_bytes(p, peaks.element_bytes) /
                                    (r.memory_efficiency * peaks.gb_per_s * 1e3));
}

std::optional<GemmFit> fit_gemm(const std::vector<GemmPoint>& points, const GemmPeaks& peaks) {
  if (points.size() < kFewestShapes || peaks.tflops <= 0 || peaks.gb_per_s <= 0) return {};
  // Repeats of a shape stay together, or the held-out half would hold shapes that were fitted.
  using Key = std::tuple<double, double, double, double, double>;
  std::map<Key, std::vector<GemmPoint>> by_shape;
  for (const GemmPoint& p : points) by_shape[{gemm_flop(p), p.m, p.n, p.k, p.batch}].push_back(p);
  std::vector<Shape> train, test, large;
  double too_fast = 0;
  bool keep = true;
  for (const auto& [key, repeats] : by_shape) {
    for (const GemmPoint& p : repeats) {
      const Shape shape{.compute_us = gemm_flop(p) / (peaks.tflops * 1e6),
                        .memory_us = gemm_bytes(p, peaks.element_bytes) / (peaks.gb_per_s * 1e3),
                        .us = p.microseconds};
      (keep ? train : test).push_back(shape);
      if (!keep && gemm_flop(p) > kLargeGemmFlop) large.push_back(shape);
      if (shape.compute_us > shape.us * 1.02) too_fast += 1;
    }
    keep = !keep;
  }
  GemmFit fit;
  double best = std::numeric_limits<double>::infinity();
  for (const double efficiency : {0.5, 0.9}) {
    for (const double memory : {0.4, 0.9}) {
      const GemmRoofline found = descend(train, {efficiency, memory, 5});
      const double error = mean_error(train, found);
      if (error < best) {
        best = error;
        fit.roofline = found;
      }
    }
  }
  fit.held_out = error_of(test, fit.roofline);
  fit.large = error_of(large, fit.roofline);
  for (const std::vector<Shape>* half : {&train, &test}) {
    for (const Shape& s : *half) {
      if (s.memory_us / fit.roofline.memory_efficiency > s.compute_us / fit.roofline.efficiency)
        fit.memory_bound += 1 / static_cast<double>(points.size());
    }
  }
  fit.too_fast = too_fast / static_cast<double>(points.size());
  return fit;
}

std::vector<GemmPoint> gemm_table(const std::vector<GemmPoint>& points) {
  std::map<std::array<double, 3>, std::vector<double>> times;
  for (const GemmPoint& p : points) {
    if (p.batch == 1) times[{p.m, p.n, p.k}].push_back(p.microseconds);
  }
  std::vector<GemmPoint> table;
  for (const auto& [shape, us] : times) {
    table.push_back({.device = {},
                     .dtype = points.front().dtype,
                     .m = shape[0],
                     .n = shape[1],
                     .k = shape[2],
                     .microseconds = median_of(us)});
  }
  return table;
}

std::string short_dtype(const std::string& dtype) {
  const std::string first = dtype.substr(0, dtype.find_first_of("x-"));
  if (first == "half" || first == "float16" || first == "f16") return "fp16";
  if (first == "bfloat16") return "bf16";
  if (first == "bf16" && dtype == "bf16xbf16->bf16") return "bf16";
  return dtype;
}

}  // namespace stagesim
