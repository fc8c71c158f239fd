#pragma once

#include <limits>
#include <vector>

#include "hwmodels/fit/curve.hpp"

namespace stagesim {

// From from_bytes on, up to the next segment: alpha_us + bytes / rate, the latency-bandwidth line
// of that range. The compact form of a curve, for people to read; costs use the curve.
struct Segment {
  double from_bytes = 0;
  double alpha_us = 0;                                        // never below 0
  double gb_per_s = std::numeric_limits<double>::infinity();  // infinite: flat
};

struct SegmentFit {
  std::vector<Segment> segments{};
  double median_error = 0, worst_error = 0;  // relative, over the points fitted
};

// `count` segments by least squares of the RELATIVE errors, alpha and 1/rate not negative, over
// every choice of breakpoints that leaves three points a segment. Absolute least squares would give
// the small messages to the noise of the large. With too few points: as many segments as they bear.
// Expects rising sizes and times above 0.
SegmentFit fit_segments(const Curve& points, int count);

double segments_microseconds(const std::vector<Segment>& segments, double bytes);

}  // namespace stagesim
