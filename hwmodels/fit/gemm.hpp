#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hwmodels/logs/reading.hpp"

namespace stagesim {

// What bounds a GEMM of a device: peak rates from its data sheet.
struct GemmPeaks {
  double tflops = 0;    // dense, of the data type measured
  double gb_per_s = 0;  // memory
  double element_bytes = 2;
};

// t = offset_us + max(flop / (efficiency * peak), bytes / (memory_efficiency * bandwidth)).
struct GemmRoofline {
  double efficiency = 0, memory_efficiency = 0, offset_us = 0;
};

struct GemmError {
  int shapes = 0;
  double median = 0, p90 = 0, worst = 0;  // relative
};

struct GemmFit {
  GemmRoofline roofline{};
  GemmError held_out{};     // of the half not fitted
  GemmError large{};        // of those above 100 GFLOP, the size of real layers
  double memory_bound = 0;  // share of the shapes that memory bounds: few say little of it
  double too_fast = 0;      // share of the shapes that ran faster than the peak allows
};

inline constexpr double kLargeGemmFlop = 100e9;
inline constexpr double kEnoughMemoryBound = 0.05;

double gemm_flop(const GemmPoint& p);
double gemm_bytes(const GemmPoint& p, double element_bytes);  // both inputs and the output, once
double roofline_microseconds(const GemmRoofline& r, const GemmPoint& p, const GemmPeaks& peaks);

// Fits every second shape (ordered by flop, repeats of one together) by least mean relative error
// and tries the other half.
// Nothing when there are fewer than eight shapes.
std::optional<GemmFit> fit_gemm(const std::vector<GemmPoint>& points, const GemmPeaks& peaks);

// The exact table: one row per (m, n, k) with batch 1, median of repeats, in rising order.
std::vector<GemmPoint> gemm_table(const std::vector<GemmPoint>& points);

// "bf16" for "bf16xbf16->bf16", "fp16", "half", "float16" and "bfloat16" by their short names; the
// text itself for others.
std::string short_dtype(const std::string& dtype);

}  // namespace stagesim
