#include <cmath>
#include <random>

#include "hwmodels/fit/curve.hpp"
#include "hwmodels/fit/gemm.hpp"
#include "hwmodels/fit/segments.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

Curve line_of(double alpha_us, double gb_per_s, double from, double to) {
  Curve curve;
  for (double bytes = from; bytes <= to; bytes *= 2)
    curve.emplace_back(bytes, alpha_us + bytes / gb_per_s / 1e3);
  return curve;
}

TEST_CASE("meta-pytorch/autoparallel#425: a bigger message is never cheaper", "[hwmodels][fit]") {
  const CleanCurve clean =
      clean_curve({{524288, 300.0}, {1048576, 448.62}, {2097152, 444.79}, {4194304, 700.0}}, 0.005);
  CHECK(clean.raised == 1);
  CHECK(clean.worst_fall == Approx(1 - 444.79 / 448.62));
  CHECK(clean.falls ==
        std::vector<std::string>{"2097152 bytes took 444.79 us, less than the 448.62 "
                                 "us of 1048576 bytes; raised to that"});
  double before = 0;
  for (const double mib : {0.0, 1.0, 1.5, 2.0, 3.0, 8.0}) {
    const double us = curve_microseconds(clean.points, mib * 1048576);
    CHECK(us >= before);
    before = us;
  }
  CHECK(curve_microseconds(clean.points, 0) == 300);
  // Within the tolerance it is noise: raised all the same, but not worth a line.
  CHECK(clean_curve({{1, 10}, {2, 9.9}, {4, 20}}, 0.05).falls.empty());
}

TEST_CASE("a cleaned curve never falls and keeps every time it can", "[hwmodels][fit]") {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> noise(0.7, 1.3);
  for (int round = 0; round < 50; ++round) {
    Curve samples = line_of(5, 20, 8, 1 << 28);
    for (auto& [bytes, us] : samples) us *= noise(random);
    const CleanCurve clean = clean_curve(samples);
    for (std::size_t i = 1; i < clean.points.size(); ++i) {
      CHECK(clean.points[i].first > clean.points[i - 1].first);
      CHECK(clean.points[i].second >= clean.points[i - 1].second);
    }
    CHECK(clean.points.back().second > clean.points[clean.points.size() - 2].second);
    double largest = 0;
    for (const auto& [bytes, us] : samples) largest = std::max(largest, us);
    CHECK(clean.points.back().second == largest);
  }
}

TEST_CASE("repeats of a size count as their median", "[hwmodels][fit]") {
  const CleanCurve clean = clean_curve({{8, 3}, {8, 1}, {8, 2}, {16, 9}, {16, 5}});
  CHECK(clean.points == Curve{{8, 2}, {16, 7}});
}

TEST_CASE("scitix/sichek#52: one size or only tiny sizes give no bandwidth",
          "[hwmodels][fit][errors]") {
  CHECK(curve_defect({{8, 18}}).find("one size only (8 bytes in 18.00 us)") == 0);
  CHECK(curve_defect({{8, 18}, {64, 18.1}}).find("the largest message has 64 bytes") == 0);
  CHECK(curve_defect({}) == "no size was measured");
  CHECK(curve_defect(clean_curve({{8, 18}, {1 << 20, 18}}).points).find("same time") !=
        std::string::npos);
  CHECK(curve_defect(line_of(20, 25, 8, 1 << 26)).empty());
}

TEST_CASE("bands end at 16 KiB, 1 MiB and 64 MiB", "[hwmodels][fit]") {
  CHECK(band_of(16384) == 0);
  CHECK(band_of(16385) == 1);
  CHECK(band_of(1048576) == 1);
  CHECK(band_of(67108864) == 2);
  CHECK(band_of(67108865) == 3);
}

TEST_CASE("sizes left out are predicted from the others", "[hwmodels][fit]") {
  // A power law is straight in log-log, so every left-out size but an extrapolated one is exact.
  Curve power;
  for (double bytes = 1024; bytes <= (1 << 28); bytes *= 2)
    power.emplace_back(bytes, std::pow(bytes, 0.7));
  REQUIRE(power.size() % 2 == 1);
  const auto exact = held_out_error(power);
  REQUIRE(exact);
  CHECK(exact->all.worst < 1e-9);
  CHECK(exact->all.points == 9);
  // A bump of 50 % at one left-out size is an error of 1/3 there and of nothing elsewhere.
  power[5].second *= 1.5;
  const auto bumped = held_out_error(power);
  CHECK(bumped->all.worst == Approx(1.0 / 3));
  CHECK(bumped->bands[band_of(power[5].first)].worst == Approx(1.0 / 3));
  CHECK(bumped->all.median < 1e-9);
  CHECK_FALSE(held_out_error({{1, 1}, {2, 2}, {4, 3}}));
}

TEST_CASE("segments find the lines a curve is made of", "[hwmodels][fit]") {
  const SegmentFit one = fit_segments(line_of(20, 25, 8, 1 << 28), 1);
  REQUIRE(one.segments.size() == 1);
  CHECK(one.segments[0].alpha_us == Approx(20));
  CHECK(one.segments[0].gb_per_s == Approx(25));
  CHECK(one.worst_error < 1e-6);

  Curve two = line_of(5, 2, 8, 16384);
  for (const auto& point : line_of(12, 50, 32768, 1 << 28)) two.push_back(point);
  const SegmentFit both = fit_segments(two, 2);
  REQUIRE(both.segments.size() == 2);
  CHECK(both.segments[0].alpha_us == Approx(5));
  CHECK(both.segments[0].gb_per_s == Approx(2));
  CHECK(both.segments[1].from_bytes == 32768);
  CHECK(both.segments[1].gb_per_s == Approx(50));
  CHECK(segments_microseconds(both.segments, 1 << 20) == Approx(12 + (1 << 20) / 50e3));
}

// Slow second implementation: a grid of lines, and every pair of breakpoints tried.
double grid_squares(const Curve& points, std::size_t from, std::size_t to) {
  double least = 1e300;
  for (int a = 0; a <= 60; ++a) {
    for (int b = 0; b <= 60; ++b) {
      const double alpha = a == 0 ? 0 : 0.5 * std::pow(1.1, a),
                   beta = b == 0 ? 0 : 1e-6 * std::pow(1.2, b);
      double sum = 0;
      for (std::size_t i = from; i < to; ++i) {
        const double e = (alpha + beta * points[i].first) / points[i].second - 1;
        sum += e * e;
      }
      least = std::min(least, sum);
    }
  }
  return least;
}

TEST_CASE("no line of a grid and no breakpoint beats the segments found", "[hwmodels][fit]") {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> noise(0.6, 1.6);
  for (int round = 0; round < 10; ++round) {
    Curve points = line_of(9, 12, 64, 1 << 20);
    for (auto& [bytes, us] : points) us *= noise(random);
    double least = 1e300;
    for (std::size_t cut = 3; cut + 3 <= points.size(); ++cut) {
      least =
          std::min(least, grid_squares(points, 0, cut) + grid_squares(points, cut, points.size()));
    }
    const SegmentFit fit = fit_segments(points, 2);
    double squares = 0;
    for (const auto& [bytes, us] : points) {
      const double e = segments_microseconds(fit.segments, bytes) / us - 1;
      squares += e * e;
    }
    CHECK(squares <= least + 1e-9);
    CHECK(squares > 0.5 * least);  // the grid is not far: a fit that is much better would be wrong
    for (const Segment& segment : fit.segments) {
      CHECK(segment.alpha_us >= 0);
      CHECK(segment.gb_per_s > 0);
    }
  }
}

TEST_CASE("few points get as many segments as they bear", "[hwmodels][fit]") {
  CHECK(fit_segments({{1, 1}, {2, 2}}, 3).segments.size() == 1);
  CHECK(fit_segments(line_of(1, 1, 1, 32), 3).segments.size() == 2);
}

std::vector<GemmPoint> gemms_of(const GemmRoofline& truth, const GemmPeaks& peaks) {
  std::vector<GemmPoint> points;
  for (const double m : {16.0, 64.0, 256.0, 1024.0, 4096.0, 8192.0}) {
    for (const double n : {512.0, 2048.0, 8192.0}) {
      for (const double k : {512.0, 4096.0, 16384.0}) {
        GemmPoint p{.m = m, .n = n, .k = k};
        const double compute = 2 * m * n * k / (truth.efficiency * peaks.tflops * 1e6);
        const double memory =
            2 * (m * k + n * k + m * n) / (truth.memory_efficiency * peaks.gb_per_s * 1e3);
        p.microseconds = truth.offset_us + std::max(compute, memory);
        points.push_back(p);
      }
    }
  }
  return points;
}

TEST_CASE("a GEMM fit finds the roofline that made the times", "[hwmodels][fit]") {
  const GemmPeaks peaks{.tflops = 312, .gb_per_s = 2039};
  for (const GemmRoofline truth :
       {GemmRoofline{0.7, 0.82, 5}, GemmRoofline{0.9, 0.6, 0}, GemmRoofline{0.45, 0.95, 12}}) {
    const auto points = gemms_of(truth, peaks);
    const auto fit = fit_gemm(points, peaks);
    REQUIRE(fit);
    CHECK(fit->roofline.efficiency == Approx(truth.efficiency).epsilon(0.01));
    CHECK(fit->roofline.memory_efficiency == Approx(truth.memory_efficiency).epsilon(0.01));
    CHECK(fit->roofline.offset_us == Approx(truth.offset_us).margin(0.1));
    CHECK(fit->held_out.worst < 0.02);
    CHECK(fit->too_fast == 0);
    CHECK(roofline_microseconds(fit->roofline, points[0], peaks) ==
          Approx(points[0].microseconds).epsilon(0.02));
  }
  CHECK(fit_gemm(gemms_of({0.9, 0.9, 1}, peaks), {.tflops = 100, .gb_per_s = 2039})->too_fast >
        0.2);
  CHECK_FALSE(fit_gemm({}, peaks));
}

TEST_CASE("the exact table has each shape once, without batches", "[hwmodels][fit]") {
  const auto table = gemm_table({{.m = 2, .n = 1, .k = 1, .microseconds = 7},
                                 {.m = 1, .n = 1, .k = 1, .microseconds = 3},
                                 {.m = 1, .n = 1, .k = 1, .microseconds = 5},
                                 {.m = 1, .n = 1, .k = 1, .batch = 8, .microseconds = 9}});
  REQUIRE(table.size() == 2);
  CHECK(table[0].microseconds == 4);
  CHECK(table[1].m == 2);
  CHECK(short_dtype("bf16xbf16->bf16") == "bf16");
  CHECK(short_dtype("half") == "fp16");
  CHECK(short_dtype("f8e4m3fnxf8e4m3fn->bf16") == "f8e4m3fnxf8e4m3fn->bf16");
}

}  // namespace
}  // namespace stagesim
