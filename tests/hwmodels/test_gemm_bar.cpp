// The aim for matrix products: a median error of at most 6 % above 100 GFLOP, on shapes that were
// not fitted, on A100, H100 and V100. The shapes are a part of public tables
// (tests/recorded/gemm_*).

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "hwmodels/fit/calibration.hpp"
#include "hwmodels/logs/log_text.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

constexpr double kBar = 0.06;

struct Table {
  const char *file, *profile;
};
constexpr Table kTables[] = {{"gemm_a100.csv", "a100-sxm-80gb"},
                             {"gemm_h100.csv", "h100-sxm-80gb"},
                             {"gemm_v100.csv", "v100-sxm-32gb"}};

std::vector<LogReading> read_table(const std::string& name) {
  std::ifstream file(std::string(STAGESIM_RECORDED) + "/" + name, std::ios::binary);
  INFO(name);
  REQUIRE(file);
  std::string origin;
  std::getline(file, origin);
  CHECK(contains(origin, "License"));
  return {read_log(std::string(std::istreambuf_iterator<char>(file), {}), name)};
}

GemmPeaks peaks_of(const GpuProfile& gpu) {
  return {.tflops = gpu.peak_tflops.value, .gb_per_s = gpu.memory_gb_per_s.value};
}

TEST_CASE("a roofline with an offset predicts large GEMMs it was not fitted to",
          "[hwmodels][gemm]") {
  for (const Table& table : kTables) {
    const GemmPeaks peaks = peaks_of(gpu_profile(table.profile));
    Problems problems;
    const auto gemms = measured_gemms(read_table(table.file), {}, peaks, problems);
    CHECK(problems.empty());
    REQUIRE(gemms);
    INFO(fmt::format("{}: {:.1f} % of {} shapes", table.file, 100 * gemms->fit.large.median,
                     gemms->fit.large.shapes));
    CHECK(gemms->fit.large.shapes >= 10);
    CHECK(gemms->fit.large.median <= kBar);
    CHECK(gemms->fit.too_fast == 0);
  }
}

// As stage times take it: the slower of FLOPs and bytes, and the constant time of a kernel.
double shipped_us(const GpuProfile& gpu, const GemmPoint& p) {
  return gpu.kernel_us.value + std::max(gemm_flop(p) / flops_per_us(gpu, KernelKind::kPlain),
                                        gemm_bytes(p, 2) / bytes_per_us(gpu, KernelKind::kPlain));
}

TEST_CASE("the shipped profiles predict large GEMMs", "[hwmodels][gemm]") {
  for (const Table& table : kTables) {
    const GpuProfile& gpu = gpu_profile(table.profile);
    std::vector<double> errors;
    const std::vector<LogReading> readings = read_table(table.file);
    for (const GemmPoint& p : readings[0].gemms) {
      if (gemm_flop(p) > kLargeGemmFlop)
        errors.push_back(std::abs(shipped_us(gpu, p) / p.microseconds - 1));
    }
    CHECK(errors.size() >= 20);
    const double median = median_of(errors);
    INFO(fmt::format("{}: {:.1f} % of {} shapes", table.profile, 100 * median, errors.size()));
    CHECK(median <= kBar);
  }
}

TEST_CASE("repeats of a shape stay on one side of the held-out split", "[hwmodels][gemm]") {
  // Each shape takes a time of its own, far from the law. Were repeats split, half of a shape would
  // be fitted and the other half asked for; the rows on each side tell.
  std::vector<GemmPoint> points;
  for (int shape = 1; shape <= 10; ++shape) {
    for (int repeat = 0; repeat < (shape % 2 == 1 ? 3 : 1); ++repeat) {
      points.push_back(
          {.m = 1024.0 * shape, .n = 4096, .k = 4096, .microseconds = 100.0 * shape + repeat});
    }
  }
  const auto fit = fit_gemm(points, {.tflops = 1000, .gb_per_s = 3000});
  REQUIRE(fit);
  CHECK(fit->held_out.shapes == 5);  // every second shape, once each
}

}  // namespace
}  // namespace stagesim
