#include "tools/stagesim/comparison_report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <nlohmann/json.hpp>

namespace stagesim {

void print_comparison(std::ostream& out, const Comparison& c, const Timeline& timeline) {
  fmt::print(out, "{:<12} {:>12} {:>12} {:>10}\n", "", "predicted", "measured", "error");
  const auto row = [&](const char* name, double predicted, double measured) {
    fmt::print(out, "{:<12} {:>12.3f} {:>12.3f} {:>+8.2f} %\n", name, predicted, measured,
               100 * relative_error(predicted, measured));
  };
  row("step ms", to_ms(c.predicted.step_time), to_ms(c.measured.step_time));
  row("wall ms", to_ms(c.predicted.wall), to_ms(c.measured.wall));
  fmt::print(out, "{:<12} {:>12.2f} {:>12.2f} {:>+8.2f} points\n\n", "bubble %",
             100 * c.predicted.bubble.bubble, 100 * c.measured.bubble.bubble,
             100 * (c.predicted.bubble.bubble - c.measured.bubble.bubble));
  fmt::print(out, "{:<8} {:>6} {:>10} {:>10} {:>10}\n", "op", "count", "median", "p90 of |.|",
             "worst");
  for (const KindErrors& k : c.errors.kinds) {
    fmt::print(out, "{:<8} {:>6} {:>+8.2f} % {:>8.2f} % {:>+8.2f} %  {}\n", text(k.kind), k.ops,
               100 * k.median, 100 * k.p90, 100 * k.worst, place_text(timeline, k.worst_task));
  }
  if (!c.largest_part.empty()) {
    fmt::print(out, "\nlargest part of the error on the measured critical path: {}, {:+.3f} ms\n",
               c.largest_part, c.largest_part_ms);
  }
  fmt::print(out, "\norder, weight versions and most activations held: {}\n",
             c.differences.empty() ? "as predicted" : "NOT as predicted");
  for (const std::string& line : c.differences) fmt::print(out, "  {}\n", line);
  fmt::print(out, "error: predicted over measured, minus 1; of an op its duration\n");
}

nlohmann::json comparison_json(const Comparison& c, const Timeline& timeline) {
  using Json = nlohmann::json;
  Json kinds = Json::array();
  for (const KindErrors& k : c.errors.kinds) {
    kinds.push_back({{"kind", text(k.kind)},
                     {"ops", k.ops},
                     {"median_error", k.median},
                     {"p90_absolute_error", k.p90},
                     {"worst_error", k.worst},
                     {"worst_op", place_text(timeline, k.worst_task)}});
  }
  const auto result = [](const ScheduleResult& r) {
    return Json{{"step_time_ms", to_ms(r.step_time)},
                {"wall_ms", to_ms(r.wall)},
                {"bubble", r.bubble.bubble}};
  };
  return {{"schedule", c.predicted.name},
          {"predicted", result(c.predicted)},
          {"measured", result(c.measured)},
          {"step_time_error",
           relative_error(to_ms(c.predicted.step_time), to_ms(c.measured.step_time))},
          {"largest_part", c.largest_part},
          {"largest_part_ms", c.largest_part_ms},
          {"ops", kinds},
          {"differences", c.differences}};
}

}  // namespace stagesim
