#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/clock_alignment.hpp"
#include "tools/stagesim/command.hpp"
#include "tools/stagesim/comparison_report.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/timeline_file.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

using Json = nlohmann::json;

po::options_description validate_options() {
  po::options_description options("Options");
  options.add_options()("file", po::value<std::vector<std::string>>(),
                        "predicted, measured, predicted, measured, ...; --file may be left out")(
      "tolerance", po::value<double>(), "percent: exit code 1 when a step time is further off")(
      "align-clocks",
      "the ranks of the measurement read different clocks: align them by their "
      "messages")("json", "print one JSON document instead of text")("help", "this text");
  return options;
}

struct Pair {
  std::string predicted_path, measured_path;
  TimelineFile predicted, measured;
  ClockAlignment alignment{};
};

std::vector<Pair> read_pairs(const std::vector<std::string>& paths) {
  if (paths.empty() || paths.size() % 2 != 0)
    throw InputError(
        fmt::format("validate: expected pairs of a predicted and a measured timeline, "
                    "got {} file{}",
                    paths.size(), paths.size() == 1 ? "" : "s"));
  Problems problems;
  const auto read = [&](const std::string& path) {
    try {
      return read_timeline(text_of_file(path), path);
    } catch (const InputError& error) {
      problems.add_text(error.what());
      return TimelineFile{};
    }
  };
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < paths.size(); i += 2)
    pairs.push_back({paths[i], paths[i + 1], read(paths[i]), read(paths[i + 1])});
  problems.throw_if_any();
  return pairs;
}

// The measured timeline by one clock, of the prediction's activities.
void prepare(Pair& pair, bool align) {
  Timeline& measured = pair.measured.timeline;
  if (align) {
    pair.alignment = clock_alignment(measured);
    if (!pair.alignment.unknown.empty())
      throw InputError(
          fmt::format("{}: --align-clocks: no messages in both directions join rank{} {} to rank 0",
                      pair.measured_path, pair.alignment.unknown.size() == 1 ? "" : "s",
                      fmt::join(pair.alignment.unknown, ", ")));
    measured = aligned(measured, pair.alignment);
  }
  if (const std::size_t wrong = messages_back_in_time(measured); wrong > 0)
    throw InputError(
        fmt::format("{}: {} message{} before {} sent{}", pair.measured_path, wrong,
                    wrong == 1 ? " arrives" : "s arrive", wrong == 1 ? "it is" : "they are",
                    align ? ", also by aligned clocks"
                          : ": the clocks of the ranks are apart; use --align-clocks"));
  measured.what = pair.predicted.timeline.what;
}

// Says what keeps pairs from being compared. Whether nothing does.
bool comparable(const std::vector<Pair>& pairs, std::ostream& notes) {
  bool all = true;
  for (const Pair& pair : pairs) {
    const std::vector<std::string> lines = differing_inputs(pair.predicted, pair.measured);
    if (lines.empty()) continue;
    all = false;
    fmt::print(notes, "not comparable: {} and {}\n", pair.predicted_path, pair.measured_path);
    for (const std::string& line : lines) fmt::print(notes, "  {}\n", line);
  }
  return all;
}

void print_pair(std::ostream& out, const Pair& pair, const Comparison& c) {
  fmt::print(out, "{}: {}, {} ({}) beside {} ({})\n", pair.predicted.name, pair.predicted.schedule,
             pair.predicted.made_by, pair.predicted_path, pair.measured.made_by,
             pair.measured_path);
  if (!pair.alignment.offset.empty()) {
    std::vector<std::string> offsets;
    for (const Nanos o : pair.alignment.offset) offsets.push_back(fmt::format("{:+.3f}", to_ms(o)));
    fmt::print(out, "clocks less that of rank 0, ms: {}\n", fmt::join(offsets, " "));
  }
  fmt::print(out, "\n");
  print_comparison(out, c, pair.predicted.timeline);
  fmt::print(out, "\n");
}

void print_validate_help(std::ostream& out) {
  out << "usage: stagesim validate PREDICTED MEASURED [PREDICTED MEASURED ...] [options]\n\n"
         "Compares timelines op by op, as run and execute write them with --timeline: step time, "
         "bubble, durations\nper kind, order, weight versions; over several pairs also the order "
         "of "
         "the schedules.\n\n"
      << validate_options()
      << "\nexamples\n"
         "  stagesim run unit-p4-m8 --timeline predicted.json\n"
         "  stagesim execute unit-p4-m8 --timeline measured.json\n"
         "  stagesim validate predicted.json measured.json --tolerance 5\n"
         "\nexit codes: 1 further off than --tolerance, or order, versions or activations differ; "
         "4 "
         "not comparable,\nbecause the inputs differ\n";
}

Answer validate(const std::vector<std::string>& args, std::ostream& out, std::ostream& notes) {
  const po::variables_map vm = parse_args("validate", args, validate_options(), "file", -1);
  if (vm.count("help")) {
    print_validate_help(out);
    return Answer::kYes;
  }
  const double tolerance = vm.count("tolerance") ? vm["tolerance"].as<double>() : INFINITY;
  if (!(tolerance >= 0))
    throw InputError(fmt::format("--tolerance: expected percent from 0, got {}", tolerance));
  std::vector<Pair> pairs = read_pairs(vm.count("file") ? vm["file"].as<std::vector<std::string>>()
                                                        : std::vector<std::string>{});
  if (!comparable(pairs, notes)) return Answer::kNotComparable;
  bool good = true;
  std::vector<std::string> names;
  std::vector<double> predicted, measured;
  Json json{{"schema_version", 1}, {"pairs", Json::array()}};
  for (Pair& pair : pairs) {
    prepare(pair, vm.count("align-clocks") > 0);
    const Comparison c = compare_timelines(pair.predicted.timeline, pair.measured.timeline,
                                           inputs_of(pair.predicted));
    names.push_back(pair.predicted.schedule);
    predicted.push_back(to_ms(c.predicted.step_time));
    measured.push_back(to_ms(c.measured.step_time));
    const double error = 100 * relative_error(predicted.back(), measured.back());
    good = good && c.differences.empty() && std::abs(error) <= tolerance;
    if (vm.count("json")) {
      json["pairs"].push_back(comparison_json(c, pair.predicted.timeline));
    } else {
      print_pair(out, pair, c);
      if (std::abs(error) > tolerance)
        fmt::print(out, "step time: {:+.2f} % is more than the {:g} % allowed\n\n", error,
                   tolerance);
    }
  }
  const Ranking ranking = rank_schedules(names, predicted, measured);
  json["rank_correlation"] = ranking.correlation;
  json["rank_difference"] = ranking.difference;
  if (vm.count("json"))
    out << json.dump(2) << '\n';
  else if (pairs.size() > 1)
    fmt::print(out, "{} pairs: rank correlation (Kendall) {:.2f}; {}\n", pairs.size(),
               ranking.correlation,
               ranking.difference.empty() ? "the same order, fastest first" : ranking.difference);
  return good ? Answer::kYes : Answer::kNo;
}

}  // namespace

const Command kValidateCommand{"validate", "a measured timeline beside the predicted one, op by op",
                               validate};

}  // namespace stagesim
