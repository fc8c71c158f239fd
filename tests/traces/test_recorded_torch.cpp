// Traces that PyTorch itself recorded; tests/recorded/torch/README.md says how.
#include <fmt/format.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"
#include "tests/traces/ran.hpp"
#include "traces/kineto_import.hpp"
#include "traces/trace_input.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

std::string path_of(const std::string& schedule, int rank) {
  return fmt::format("{}/torch/{}_p4_m8_rank{}.json", STAGESIM_RECORDED, schedule, rank);
}

// Start and length of every range, read a second time and more plainly.
std::map<std::string, Span> ranges_of(const std::string& path) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file);
  std::map<std::string, Span> ranges;
  for (const auto& event : json["traceEvents"]) {
    const double ts = event["ts"], dur = event["dur"];
    const auto ns = [](double us) { return Nanos(static_cast<std::int64_t>(1e3 * us)); };
    ranges[event["name"].get<std::string>().substr(3)] = {ns(ts), ns(ts + dur)};
  }
  return ranges;
}

// The ops of a rank as PyTorch's own CSV lists them: one row per rank, idle cells empty.
std::vector<std::string> listed_ops(const std::string& schedule, int rank) {
  std::ifstream file(
      fmt::format("{}/torch/{}_p4_m8_compute_only.csv", STAGESIM_RECORDED, schedule));
  std::string row;
  for (int r = 0; r <= rank; ++r) std::getline(file, row);
  std::vector<std::string> cells;
  std::string cell;
  for (const char c : row + ",") {
    if (c != ',') {
      if (c != '\r') cell += c;
      continue;
    }
    const bool op = cell.find_first_of("FIWB") != std::string::npos &&
                    cell.find_first_of("SHURD") == std::string::npos;
    if (op) cells.push_back(cell);
    cell.clear();
  }
  return cells;
}

}  // namespace

TEST_CASE("PyTorch 2.11 traces of four ranks: every op as its range, in the order of its CSV",
          "[kineto][recorded]") {
  const auto* schedule = GENERATE("interleaved-1f1b", "zb1p-interleaved", "zb-v");
  INFO(schedule);
  std::vector<RankTrace> traces;
  std::vector<std::map<std::string, Span>> ranges;
  for (int rank = 0; rank < 4; ++rank) {
    TraceInput input(path_of(schedule, rank));
    for (RankTrace& trace : read_kineto(input.stream(), path_of(schedule, rank)))
      traces.push_back(std::move(trace));
    ranges.push_back(ranges_of(path_of(schedule, rank)));
  }
  const TimelineFile file = ran({schedule, 4, 8});
  const KinetoImport import = import_kineto(traces, file, {});
  const Timeline& t = import.file.timeline;
  // All times are of one clock; the first op of all starts at 0.
  const Nanos zero = ranges[0].at("0F0").start - t.start[order_of_rank(t, 0).at(0)];
  std::size_t ops = 0;
  for (int rank = 0; rank < 4; ++rank) {
    std::vector<std::string> cells;
    for (const TaskId task : order_of_rank(t, rank)) {
      const Op& op = t.what->op[task];
      if (op.kind > OpKind::kWeightGrad) continue;
      const std::string cell = cell_text(op, 1);
      const Span span = ranges[std::size_t(rank)].at(cell);
      cells.push_back(cell);
      CHECK(std::abs((t.start[task] - (span.start - zero)).count()) <= 1000);
      CHECK(std::abs((t.duration(task) - span.length()).count()) <= 1000);
      ++ops;
    }
    CHECK(cells == listed_ops(schedule, rank));
  }
  CHECK(ops == (std::string(schedule) == "interleaved-1f1b" ? 128u : 192u));
}
