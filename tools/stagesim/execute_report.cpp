#include "tools/stagesim/execute_report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tools/stagesim/comparison_report.hpp"

namespace stagesim {
namespace {

using Json = nlohmann::json;

struct Walls {
  double fastest_ms = 0, slowest_ms = 0;
};

Walls walls(const Execution& e) {
  const auto [low, high] = std::minmax_element(
      e.runs.begin(), e.runs.end(),
      [](const Timeline& x, const Timeline& y) { return wall(x).length() < wall(y).length(); });
  return {to_ms(wall(*low).length()), to_ms(wall(*high).length())};
}

void print_text(std::ostream& out, const Scenario& scenario, const Execution& e,
                const Comparison& c) {
  const Walls w = walls(e);
  fmt::print(out, "{}: {} on {} ranks, backend {}, work {}{}{}; {}\n\n", scenario.name,
             c.predicted.name, c.predicted.shape.ranks, e.backend, e.work,
             e.processes == 1 ? "" : fmt::format(", {} processes", e.processes),
             e.scale == 1 ? "" : fmt::format(", times x {:g}", e.scale),
             e.runs.size() == 1
                 ? "one run"
                 : fmt::format("the run of the median wall of {} ({:.3f} to {:.3f} ms)",
                               e.runs.size(), w.fastest_ms, w.slowest_ms));
  print_comparison(out, c, e.predicted);
  if (e.op_times.empty()) return;
  fmt::print(
      out,
      "\nkernels of a stage: ms timed on a rank's share of the GPU, all ranks busy (these are "
      "what is predicted with), and\nas the scenario's profile has them for a whole GPU\n"
      "{:>7}  {:<12}{:>10}{:>10}\n",
      "stage", "op", "timed", "profile");
  for (const OpTime& op : e.op_times)
    fmt::print(out, "{:>7}  {:<12}{:>10.3f}{:>10.3f}\n", op.stage, text(op.kind), op.timed_ms,
               op.profile_ms);
}

Json json_of(const Scenario& scenario, const Execution& e, const Comparison& c) {
  const Walls w = walls(e);
  Json json = comparison_json(c, e.predicted);
  json.update({{"schema_version", 1},
               {"scenario", scenario.json},
               {"backend", e.backend},
               {"work", e.work},
               {"processes", e.processes},
               {"scale", e.scale},
               {"runs", e.runs.size()},
               {"fastest_wall_ms", w.fastest_ms},
               {"slowest_wall_ms", w.slowest_ms}});
  for (const OpTime& op : e.op_times)
    json["op_times"].push_back({{"op", text(op.kind)},
                                {"stage", op.stage},
                                {"timed_ms", op.timed_ms},
                                {"profile_ms", op.profile_ms}});
  return json;
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
  const Comparison c = compare_timelines(execution.predicted, execution.median_run(), run.inputs);
  if (json)
    out << json_of(scenario, execution, c).dump(2) << '\n';
  else
    print_text(out, scenario, execution, c);
  return c.differences.empty();
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
