#include "hwmodels/fit/segments.hpp"

#include <algorithm>
#include <cmath>

#include "hwmodels/logs/log_text.hpp"
#include "sim/base/error.hpp"

namespace stagesim {
namespace {

constexpr std::size_t kFewest = 3;        // points of a segment
constexpr std::size_t kMostPoints = 200;  // breakpoints are searched over pairs of points

struct Line {
  double alpha = 0, beta = 0;  // us, us per byte
  double squares = 0;          // of the relative errors
};

// Running sums over points, so that the best line of any range is a formula.
struct Sums {
  double n = 0, w = 0, ws = 0, wss = 0, v = 0, vs = 0;  // w = 1/t^2, v = 1/t
  void add(double s, double t) {
    n += 1;
    w += 1 / (t * t);
    ws += s / (t * t);
    wss += s * s / (t * t);
    v += 1 / t;
    vs += s / t;
  }
  Sums minus(const Sums& o) const {
    return {n - o.n, w - o.w, ws - o.ws, wss - o.wss, v - o.v, vs - o.vs};
  }
  double squares(double alpha, double beta) const {
    return alpha * alpha * w + 2 * alpha * beta * ws + beta * beta * wss - 2 * alpha * v -
           2 * beta * vs + n;
  }
};

// Least squares of (alpha + beta s) / t - 1 with alpha, beta >= 0: the free optimum, or else the
// better of the two edges.
Line best_line(const Sums& x) {
  Line best{.alpha = x.v / x.w, .beta = 0, .squares = 0};
  best.squares = x.squares(best.alpha, 0);
  const auto consider = [&](double alpha, double beta) {
    if (!(alpha >= 0 && beta >= 0)) return;
    const double squares = x.squares(alpha, beta);
    if (squares < best.squares) best = {alpha, beta, squares};
  };
  consider(0, x.vs / x.wss);
  const double determinant = x.w * x.wss - x.ws * x.ws;
  if (determinant > 0) {
    consider((x.v * x.wss - x.vs * x.ws) / determinant, (x.w * x.vs - x.ws * x.v) / determinant);
  }
  return best;
}

Curve thinned(const Curve& points) {
  if (points.size() <= kMostPoints) return points;
  Curve few;
  for (std::size_t i = 0; i < kMostPoints; ++i)
    few.push_back(points[i * (points.size() - 1) / (kMostPoints - 1)]);
  return few;
}

}  // namespace

double segments_microseconds(const std::vector<Segment>& segments, double bytes) {
  const Segment* in = &segments.front();
  for (const Segment& segment : segments) {
    if (bytes >= segment.from_bytes) in = &segment;
  }
  return in->alpha_us + bytes / in->gb_per_s / 1e3;
}

SegmentFit fit_segments(const Curve& all_points, int count) {
  STAGESIM_CHECK(all_points.size() >= 2 && count >= 1);
  const Curve points = thinned(all_points);
  const std::size_t n = points.size();
  std::vector<Sums> upto(n + 1);
  for (std::size_t i = 0; i < n; ++i) {
    upto[i + 1] = upto[i];
    upto[i + 1].add(points[i].first, points[i].second);
  }
  const std::size_t most = std::max<std::size_t>(n / kFewest, 1);
  const std::size_t k = std::min(static_cast<std::size_t>(count), most);
  // least[j][e]: least squares of the first e points in j + 1 segments; from[j][e]: where the last
  // of these starts.
  const double infinite = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> least(k, std::vector<double>(n + 1, infinite));
  std::vector<std::vector<std::size_t>> from(k, std::vector<std::size_t>(n + 1, 0));
  const std::size_t fewest = std::min(kFewest, n);
  for (std::size_t j = 0; j < k; ++j) {
    for (std::size_t end = fewest * (j + 1); end <= n; ++end) {
      const std::size_t last = j == 0 ? 0 : end - fewest;
      for (std::size_t start = j == 0 ? 0 : fewest * j; start <= last; ++start) {
        const double before = j == 0 ? 0 : least[j - 1][start];
        const double squares = before + best_line(upto[end].minus(upto[start])).squares;
        if (squares < least[j][end]) {
          least[j][end] = squares;
          from[j][end] = start;
        }
      }
    }
  }
  SegmentFit fit;
  std::size_t end = n;
  for (std::size_t j = k; j-- > 0;) {
    const std::size_t start = from[j][end];
    const Line line = best_line(upto[end].minus(upto[start]));
    fit.segments.insert(fit.segments.begin(),
                        {.from_bytes = points[start].first,
                         .alpha_us = line.alpha,
                         .gb_per_s = line.beta > 0 ? 1e-3 / line.beta : infinite});
    end = start;
  }
  std::vector<double> errors;
  for (const auto& [bytes, us] : all_points)
    errors.push_back(std::abs(segments_microseconds(fit.segments, bytes) / us - 1));
  fit.worst_error = *std::max_element(errors.begin(), errors.end());
  fit.median_error = median_of(std::move(errors));
  return fit;
}

}  // namespace stagesim
