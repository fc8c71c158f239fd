#include "sim/timeline_errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/versions.hpp"

namespace stagesim {
namespace {

double error_of(Nanos predicted, Nanos measured) {
  return static_cast<double>(predicted.count()) /
             static_cast<double>(std::max<Nanos::rep>(measured.count(), 1)) -
         1;
}

KindErrors errors_of_kind(OpKind kind, const Timeline& predicted, const Timeline& measured) {
  KindErrors result{.kind = kind};
  std::vector<double> errors, sizes;
  for (TaskId t = 0; t < predicted.what->size(); ++t) {
    const Op& op = predicted.what->op[t];
    if (op.kind != kind || predicted.duration(t).count() == 0) continue;
    errors.push_back(error_of(predicted.duration(t), measured.duration(t)));
    sizes.push_back(std::abs(errors.back()));
    if (result.ops++ == 0 || sizes.back() > std::abs(result.worst)) {
      result.worst = errors.back();
      result.worst_task = t;
    }
  }
  if (errors.empty()) return result;
  std::sort(errors.begin(), errors.end());
  std::sort(sizes.begin(), sizes.end());
  const std::size_t n = errors.size();
  result.median = (errors[(n - 1) / 2] + errors[n / 2]) / 2;
  result.p90 = sizes[static_cast<std::size_t>(std::ceil(0.9 * static_cast<double>(n))) - 1];
  return result;
}

void compare_orders(const Timeline& predicted, const Timeline& measured, TimelineErrors& result) {
  const Activities& what = *predicted.what;
  for (int r = 0; r < what.shape.ranks; ++r) {
    const std::vector<TaskId> one = order_of_rank(predicted, r), other = order_of_rank(measured, r);
    const auto [a, b] = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
    if (a == one.end() || b == other.end()) continue;
    result.differences.push_back(
        fmt::format("rank {}: op {} is {} in the prediction and {} in the measurement", r,
                    a - one.begin(), cell_text(what.op[*a], what.shape.pipelines),
                    cell_text(what.op[*b], what.shape.pipelines)));
  }
}

void compare_versions(const Timeline& predicted, const Timeline& measured, TimelineErrors& result) {
  const Activities& what = *predicted.what;
  const std::vector<std::int32_t> one = versions(predicted).version,
                                  other = versions(measured).version;
  std::size_t different = 0;
  TaskId first = 0;
  for (TaskId t = 0; t < what.size(); ++t) {
    if (one[t] != other[t] && different++ == 0) first = t;
  }
  if (different == 0) return;
  result.differences.push_back(fmt::format(
      "{} ops with another weight version, first {}: {} in the prediction and {} in the "
      "measurement",
      different, cell_text(what.op[first], what.shape.pipelines), one[first], other[first]));
}

}  // namespace

TimelineErrors timeline_errors(const Timeline& predicted, const Timeline& measured) {
  STAGESIM_CHECK(predicted.what == measured.what);
  TimelineErrors result;
  result.step = error_of(wall(predicted).length(), wall(measured).length());
  for (int k = 0; k < kOpKinds; ++k) {
    const KindErrors kind = errors_of_kind(static_cast<OpKind>(k), predicted, measured);
    if (kind.ops > 0) result.kinds.push_back(kind);
  }
  compare_orders(predicted, measured, result);
  compare_versions(predicted, measured, result);
  return result;
}

}  // namespace stagesim
