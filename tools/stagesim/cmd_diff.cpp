#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/timeline_file.hpp"
#include "tools/study/gate.hpp"
#include "tools/study/json_differences.hpp"
#include "tools/study/result_summary.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

using Json = nlohmann::json;

po::options_description diff_options() {
  po::options_description options("Options");
  options.add_options()("file", po::value<std::vector<std::string>>(),
                        "the two files; --file may be left out")("help", "this text");
  return options;
}

void print_diff_help(std::ostream& out) {
  out << "usage: stagesim diff A B\n\n"
         "Two results (--json of run or compare, or a baseline of check) or two timelines "
         "(--timeline) side by side: inputs\nthat differ, then metrics, then, of timelines, the "
         "first op where they part.\n\n"
      << diff_options()
      << "\nexamples\n"
         "  stagesim run unit-p4-m8 --schedule 1f1b --timeline a.json\n"
         "  stagesim run unit-p4-m8 --schedule zb-h1 --timeline b.json\n"
         "  stagesim diff a.json b.json\n"
         "\nexit codes: 0 the same, 1 not\n";
}

void print_inputs(std::ostream& out, const std::vector<std::string>& lines) {
  if (lines.empty()) {
    fmt::print(out, "inputs: the same\n");
    return;
  }
  fmt::print(out, "inputs that differ\n");
  for (const std::string& line : lines) fmt::print(out, "  {}\n", line);
}

using Metrics = std::map<std::string, double>;

// In the order of gate_metrics; whether all that both have are the same.
bool print_metrics(std::ostream& out, const std::string& title, const Metrics& a,
                   const Metrics& b) {
  fmt::print(out, "\n{:<20}{:>14}{:>14}{:>12}\n", title, "A", "B", "change");
  bool same = true;
  for (const GateMetric& metric : gate_metrics()) {
    const std::string name(metric.name);
    const auto x = a.find(name), y = b.find(name);
    if (x == a.end() && y == b.end()) continue;
    const auto shown = [&](const auto& found, const Metrics& of) {
      return found == of.end() ? std::string("-") : fmt::format("{:.6g}", found->second);
    };
    std::string change;
    if (x == a.end() || y == b.end()) {
      same = false;
    } else if (std::abs(x->second - y->second) > kSameNumber * std::abs(x->second)) {
      same = false;
      change = x->second == 0 ? fmt::format("{:>12}", fmt::format("{:+g}", y->second))
                              : fmt::format("{:>+10.2f} %", 100 * (y->second / x->second - 1));
    }
    fmt::print(out, "{:<20}{:>14}{:>14}{}\n", name, shown(x, a), shown(y, b), change);
  }
  return same;
}

bool diff_results(std::ostream& out, const Json& a, const Json& b) {
  std::vector<std::string> inputs;
  for (const JsonDifference& d :
       json_differences(a.value("scenario", Json()), b.value("scenario", Json())))
    inputs.push_back("scenario " + d.text());
  print_inputs(out, inputs);
  bool same = inputs.empty();
  const auto find = [](const Json& result, const std::string& name) -> const Json* {
    for (const Json& schedule : result["schedules"])
      if (schedule.value("name", "") == name) return &schedule;
    return nullptr;
  };
  for (const Json& schedule : a["schedules"]) {
    const std::string name = schedule.value("name", "");
    const Json* other = find(b, name);
    if (other != nullptr) {
      same = print_metrics(out, name, metrics_of(schedule), metrics_of(*other)) && same;
    } else if (a["schedules"].size() == 1 && b["schedules"].size() == 1) {
      const std::string other_name = b["schedules"][0].value("name", "");
      print_metrics(out, fmt::format("{} / {}", name, other_name), metrics_of(schedule),
                    metrics_of(b["schedules"][0]));
      return false;
    } else {
      fmt::print(out, "\n{}: in A alone\n", name);
      same = false;
    }
  }
  for (const Json& schedule : b["schedules"]) {
    if (find(a, schedule.value("name", "")) != nullptr) continue;
    fmt::print(out, "\n{}: in B alone\n", schedule.value("name", ""));
    same = false;
  }
  return same;
}

// Where the two ranks' lists first differ in op, start or end.
struct Parting {
  Nanos at{};
  std::string text{};
};
std::optional<Parting> parting_of_rank(const Timeline& a, const Timeline& b, int rank) {
  const std::vector<TaskId> x = order_of_rank(a, rank), y = order_of_rank(b, rank);
  const auto shown = [](const Timeline& t, TaskId k) {
    return fmt::format("{} from {:.3f} to {:.3f} ms", cell_text(t.what->op[k], t.shape().pipelines),
                       to_ms(t.start[k]), to_ms(t.end[k]));
  };
  for (std::size_t i = 0; i < std::max(x.size(), y.size()); ++i) {
    if (i < x.size() && i < y.size() && a.start[x[i]] == b.start[y[i]] &&
        a.end[x[i]] == b.end[y[i]] &&
        cell_text(a.what->op[x[i]], a.shape().pipelines) ==
            cell_text(b.what->op[y[i]], b.shape().pipelines))
      continue;
    Nanos at = Nanos::max();
    if (i < x.size()) at = std::min(at, a.start[x[i]]);
    if (i < y.size()) at = std::min(at, b.start[y[i]]);
    return Parting{at, fmt::format("op {} of rank {}: A {}, B {}", i + 1, rank,
                                   i < x.size() ? shown(a, x[i]) : "has ended",
                                   i < y.size() ? shown(b, y[i]) : "has ended")};
  }
  return {};
}

bool print_parting(std::ostream& out, const Timeline& a, const Timeline& b) {
  std::optional<Parting> first;
  const int ranks = std::min(a.shape().ranks, b.shape().ranks);
  for (int r = 0; r < ranks; ++r) {
    const auto parting = parting_of_rank(a, b, r);
    if (parting && (!first || parting->at < first->at)) first = parting;
  }
  if (first)
    fmt::print(out, "\nthey part at {:.3f} ms: {}\n", to_ms(first->at), first->text);
  else if (a.shape().ranks == b.shape().ranks)
    fmt::print(out, "\nevery op is the same and at the same time\n");
  return !first && a.shape().ranks == b.shape().ranks;
}

bool diff_timelines(std::ostream& out, const TimelineFile& a, const TimelineFile& b) {
  const std::vector<std::string> inputs = differing_inputs(a, b);
  print_inputs(out, inputs);
  const auto metrics = [](const TimelineFile& file) {
    const ScheduleResult r = summarise(file.timeline, inputs_of(file));
    const ResultSummary sum = summary_of(r);
    return Metrics{{"step_time_ms", to_ms(r.step_time)},
                   {"bubble", r.bubble.bubble},
                   {"bubble_over_ideal", r.bubble.over_ideal},
                   {"peak_activations", sum.peak_activations},
                   {"weight_copies", sum.weight_copies},
                   {"max_mismatch", sum.max_mismatch},
                   {"max_delay", sum.max_delay}};
  };
  const std::string title =
      a.schedule == b.schedule ? a.schedule : fmt::format("{} / {}", a.schedule, b.schedule);
  const bool same = print_metrics(out, title, metrics(a), metrics(b));
  return print_parting(out, a.timeline, b.timeline) && same && inputs.empty();
}

Answer diff(const std::vector<std::string>& args, std::ostream& out, std::ostream&) {
  const po::variables_map vm = parse_args("diff", args, diff_options(), "file", -1);
  if (vm.count("help")) {
    print_diff_help(out);
    return Answer::kYes;
  }
  const std::vector<std::string> files =
      vm.count("file") ? vm["file"].as<std::vector<std::string>>() : std::vector<std::string>{};
  if (files.size() != 2)
    throw InputError(fmt::format("diff: expected two files, got {}", files.size()));
  std::vector<Json> read;
  std::vector<std::string> texts;
  for (const std::string& path : files) {
    texts.push_back(text_of_file(path));
    read.push_back(parse_json(texts.back(), path));
  }
  const auto is_timeline = [](const Json& json) {
    return json.is_object() && json.contains("stagesim_timeline");
  };
  for (std::size_t i = 0; i < 2; ++i) {
    const bool result = read[i].is_object() && read[i].contains("schema_version") &&
                        read[i].contains("schedules") && read[i]["schedules"].is_array() &&
                        std::all_of(read[i]["schedules"].begin(), read[i]["schedules"].end(),
                                    [](const Json& s) { return s.is_object(); });
    if (!result && !is_timeline(read[i]))
      throw InputError(files[i] +
                       ": neither a result (--json of run or compare) nor a timeline (--timeline)");
  }
  if (is_timeline(read[0]) != is_timeline(read[1]))
    throw InputError(fmt::format("{} and {}: one is a result, one a timeline", files[0], files[1]));
  fmt::print(out, "A {}, B {}\n", files[0], files[1]);
  const bool same = is_timeline(read[0]) ? diff_timelines(out, read_timeline(texts[0], files[0]),
                                                          read_timeline(texts[1], files[1]))
                                         : diff_results(out, read[0], read[1]);
  return same ? Answer::kYes : Answer::kNo;
}

}  // namespace

const Command kDiffCommand{"diff", "two results or timelines side by side, and where they part",
                           diff};

}  // namespace stagesim
