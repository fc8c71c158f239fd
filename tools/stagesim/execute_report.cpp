#include "tools/stagesim/execute_report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace stagesim {
namespace {

using Json = nlohmann::json;

struct Answers {
  ScheduleResult predicted, measured;
  TimelineErrors errors;
  double fastest_ms = 0, slowest_ms = 0;  // walls
  std::vector<std::string> differences{};
};

int peak_activations(const ScheduleResult& result, std::size_t rank) {
  return result.memory[rank].peak_activations;
}

Answers answers(const Run& run, const Execution& e) {
  Answers a{.predicted = summarise(e.predicted, run.inputs),
            .measured = summarise(e.median_run(), run.inputs),
            .errors = timeline_errors(e.predicted, e.median_run())};
  const auto [low, high] = std::minmax_element(
      e.runs.begin(), e.runs.end(),
      [](const Timeline& x, const Timeline& y) { return wall(x).length() < wall(y).length(); });
  a.fastest_ms = to_ms(wall(*low).length());
  a.slowest_ms = to_ms(wall(*high).length());
  a.differences = a.errors.differences;
  for (std::size_t r = 0; r < a.predicted.memory.size(); ++r) {
    const int predicted = peak_activations(a.predicted, r),
              measured = peak_activations(a.measured, r);
    if (predicted == measured) continue;
    a.differences.push_back(
        fmt::format("rank {}: holds {} activations at most in the prediction and {} in the "
                    "measurement",
                    r, predicted, measured));
  }
  return a;
}

double percent(double predicted, double measured) {
  return measured == 0 ? 0 : 100 * (predicted / measured - 1);
}

std::string place(const Timeline& timeline, TaskId t) {
  const Activities& what = *timeline.what;
  const Lane& lane = what.lanes[what.lane[t]];
  const std::string cell = cell_text(what.op[t], what.shape.pipelines);
  if (lane.from_rank == lane.to_rank) return fmt::format("{} on rank {}", cell, lane.from_rank);
  return fmt::format("{} from rank {} to {}", cell, lane.from_rank, lane.to_rank);
}

void print_text(std::ostream& out, const Scenario& scenario, const Execution& e, const Answers& a) {
  fmt::print(out, "{}: {} on {} ranks, backend {}, work {}{}; {}\n\n", scenario.name,
             a.predicted.name, a.predicted.shape.ranks, e.backend, e.work,
             e.scale == 1 ? "" : fmt::format(", times x {:g}", e.scale),
             e.runs.size() == 1
                 ? "one run"
                 : fmt::format("the run of the median wall of {} ({:.3f} to {:.3f} ms)",
                               e.runs.size(), a.fastest_ms, a.slowest_ms));
  fmt::print(out, "{:<12} {:>12} {:>12} {:>10}\n", "", "predicted", "measured", "error");
  const auto row = [&](const char* name, double predicted, double measured) {
    fmt::print(out, "{:<12} {:>12.3f} {:>12.3f} {:>+8.2f} %\n", name, predicted, measured,
               percent(predicted, measured));
  };
  row("step ms", to_ms(a.predicted.step_time), to_ms(a.measured.step_time));
  row("wall ms", to_ms(a.predicted.wall), to_ms(a.measured.wall));
  fmt::print(out, "{:<12} {:>12.2f} {:>12.2f} {:>+8.2f} points\n\n", "bubble %",
             100 * a.predicted.bubble.bubble, 100 * a.measured.bubble.bubble,
             100 * (a.predicted.bubble.bubble - a.measured.bubble.bubble));
  fmt::print(out, "{:<8} {:>6} {:>10} {:>10} {:>10}\n", "op", "count", "median", "p90 of |.|",
             "worst");
  for (const KindErrors& k : a.errors.kinds) {
    fmt::print(out, "{:<8} {:>6} {:>+8.2f} % {:>8.2f} % {:>+8.2f} %  {}\n", text(k.kind), k.ops,
               100 * k.median, 100 * k.p90, 100 * k.worst, place(e.predicted, k.worst_task));
  }
  fmt::print(out, "\norder, weight versions and most activations held: {}\n",
             a.differences.empty() ? "as predicted" : "NOT as predicted");
  for (const std::string& line : a.differences) fmt::print(out, "  {}\n", line);
  fmt::print(out, "error: predicted over measured, minus 1; of an op its duration\n");
}

Json json_of(const Scenario& scenario, const Execution& e, const Answers& a) {
  Json kinds = Json::array();
  for (const KindErrors& k : a.errors.kinds) {
    kinds.push_back({{"kind", text(k.kind)},
                     {"ops", k.ops},
                     {"median_error", k.median},
                     {"p90_absolute_error", k.p90},
                     {"worst_error", k.worst},
                     {"worst_op", place(e.predicted, k.worst_task)}});
  }
  const auto result = [](const ScheduleResult& r) {
    return Json{{"step_time_ms", to_ms(r.step_time)},
                {"wall_ms", to_ms(r.wall)},
                {"bubble", r.bubble.bubble}};
  };
  return {
      {"schema_version", 1},
      {"scenario", scenario.json},
      {"schedule", a.predicted.name},
      {"backend", e.backend},
      {"work", e.work},
      {"scale", e.scale},
      {"runs", e.runs.size()},
      {"fastest_wall_ms", a.fastest_ms},
      {"slowest_wall_ms", a.slowest_ms},
      {"predicted", result(a.predicted)},
      {"measured", result(a.measured)},
      {"step_time_error", percent(to_ms(a.predicted.step_time), to_ms(a.measured.step_time)) / 100},
      {"ops", kinds},
      {"differences", a.differences}};
}

}  // namespace

const Timeline& Execution::median_run() const {
  std::vector<const Timeline*> order;
  for (const Timeline& t : runs) order.push_back(&t);
  std::sort(order.begin(), order.end(), [](const Timeline* x, const Timeline* y) {
    return wall(*x).length() < wall(*y).length();
  });
  return *order.at((order.size() - 1) / 2);
}

bool print_execution(std::ostream& out, const Scenario& scenario, const Run& run,
                     const Execution& execution, bool json) {
  const Answers a = answers(run, execution);
  if (json)
    out << json_of(scenario, execution, a).dump(2) << '\n';
  else
    print_text(out, scenario, execution, a);
  return a.differences.empty();
}

void print_plan(std::ostream& out, const Program& program) {
  const Activities& what = *program.what;
  std::map<LaneId, std::vector<std::string>> sent;
  for (int r = 0; r < what.shape.ranks; ++r) {
    fmt::print(out, "rank {}:", r);
    const auto rank = static_cast<std::size_t>(r);
    for (TaskId t = what.first_of_rank[rank]; t < what.first_of_rank[rank + 1]; ++t) {
      const std::string cell = cell_text(what.op[t], what.shape.pipelines);
      if (is_transfer(what.op[t].kind))
        sent[what.lane[t]].push_back(cell);
      else
        fmt::print(out, " {}", cell);
    }
    fmt::print(out, "\n");
  }
  // A group of hundreds of sends and receives hangs where its ends cut it differently
  // (pytorch/pytorch#174942).
  for (const auto& [lane, messages] : sent) {
    fmt::print(out, "rank {} to {}: {} groups of one message each: {}\n",
               what.lanes[lane].from_rank, what.lanes[lane].to_rank, messages.size(),
               fmt::join(messages, " "));
  }
}

}  // namespace stagesim
