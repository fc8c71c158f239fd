#include <fmt/format.h>
#include <fmt/ostream.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/output_file.hpp"
#include "tools/stagesim/report.hpp"
#include "tools/study/gate.hpp"
#include "traces/result_json.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

po::options_description check_options() {
  po::options_description options = scenario_options();
  options.add_options()("schedules", po::value<std::string>(),
                        "a,b:parameter=value,c instead of the scenario's")(
      "baseline", po::value<std::string>(), "what --save wrote earlier")(
      "save", po::value<std::string>(), "store the result of now as a baseline, and judge nothing")(
      "tolerance", po::value<std::vector<std::string>>()->composing(),
      "METRIC=1% or METRIC=0.5: how much worse is still good; repeated; all=1% for all metrics. "
      "Others: not at all (1e-9 of the number)")(
      "limit", po::value<std::vector<std::string>>()->composing(),
      "METRIC=NUMBER: no worse than this, with a baseline or without; repeated")(
      "may-differ", po::value<std::vector<std::string>>()->composing(),
      "a key of the scenario that need not be the baseline's, with all below it; repeated")(
      "report", po::value<std::string>(), "write the Markdown table to a file too")(
      "junit", po::value<std::string>(), "write JUnit XML")("help", "this text");
  return options;
}

void print_check_help(std::ostream& out) {
  std::string metrics;
  for (const GateMetric& metric : gate_metrics())
    metrics += fmt::format("{}{}", metrics.empty() ? "" : ", ", metric.name);
  out << "usage: stagesim check [SCENARIO] --baseline FILE [options]\n"
         "       stagesim check [SCENARIO] --save FILE\n\n"
         "Replays the scenario's schedules and compares with a stored result, metric by metric; "
         "prints a Markdown table.\n"
         "Metrics: "
      << metrics << ".\n\n"
      << check_options()
      << "\nexamples\n"
         "  stagesim check gpt-1.5b-8xa800 --schedules amdp,zb-v --save baseline.json\n"
         "  stagesim check gpt-1.5b-8xa800 --schedules amdp,zb-v --baseline baseline.json "
         "--tolerance "
         "step_time_ms=1% --junit check.xml\n"
         "  stagesim check unit-p4-m8 --schedules 1f1b --limit bubble=0.30\n"
         "\nexit codes: 0 pass; 1 regression; 4 no verdict: the baseline is missing, of another "
         "schema or of other inputs,\nor a schedule refuses; 2 your input\n";
}

// "metric=value" of each text of an option.
std::vector<std::pair<std::string, std::string>> pairs(const po::variables_map& vm,
                                                       const char* option) {
  std::vector<std::pair<std::string, std::string>> found;
  if (!vm.count(option)) return found;
  for (const std::string& text : vm[option].as<std::vector<std::string>>()) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw InputError(fmt::format("--{} {}: expected METRIC=VALUE", option, text));
    found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return found;
}

double parse_limit(const std::string& text, const std::string& typed) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    throw InputError(fmt::format(
        "{}: expected a number in the metric's unit (bubble is a share), got '{}'", typed, text));
  }
  return value;
}

GateOptions gate_options(const po::variables_map& vm) {
  GateOptions options;
  for (const auto& [metric, text] : pairs(vm, "tolerance")) {
    const Tolerance tolerance =
        parse_tolerance(text, fmt::format("--tolerance {}={}", metric, text));
    if (metric != "all") {
      options.tolerance[metric] = tolerance;
      continue;
    }
    options.tolerance_of_all = tolerance;
  }
  for (const auto& [metric, text] : pairs(vm, "limit")) {
    const std::string typed = fmt::format("--limit {}={}", metric, text);
    options.limit[metric] = parse_limit(text, typed);
  }
  if (vm.count("may-differ")) options.may_differ = vm["may-differ"].as<std::vector<std::string>>();
  return options;
}

// The stored result, or why there is none to compare with.
struct Baseline {
  nlohmann::json result{};
  std::string missing{};
};
Baseline read_baseline(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return {{}, fmt::format("{}: cannot open the baseline; 'check --save' makes one", path)};
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Baseline baseline{nlohmann::json::parse(text, nullptr, false), ""};
  if (!baseline.result.is_object())
    baseline.missing = path + ": not the JSON of a result; save the baseline again";
  return baseline;
}

Answer check(const std::vector<std::string>& args, std::ostream& out, std::ostream& notes) {
  const po::variables_map vm = parse_args("check", args, check_options());
  if (vm.count("help")) {
    print_check_help(out);
    return Answer::kYes;
  }
  const GateOptions options = gate_options(vm);
  if (!vm.count("save") && !vm.count("baseline") && options.limit.empty())
    throw InputError(
        "nothing to judge by: give --baseline FILE, --limit METRIC=NUMBER or --save FILE");
  if (vm.count("save") && (vm.count("baseline") || !options.limit.empty()))
    throw InputError(
        "--save stores a baseline and judges nothing: leave --baseline and --limit out");
  const Scenario scenario = scenario_from("check", vm);
  const std::vector<ScheduleSpec> specs = vm.count("schedules")
                                              ? schedule_list(vm["schedules"].as<std::string>())
                                              : std::vector<ScheduleSpec>{scenario.schedule};
  if (specs[0].name.empty())
    throw InputError("no schedule: give --schedules, or \"schedule\" in the scenario");
  const std::vector<Attempt> attempts = run_schedules(scenario, specs);
  GateResult verdict;
  std::vector<ScheduleResult> results;
  for (const Attempt& attempt : attempts) {
    if (attempt.run)
      results.push_back(attempt.run->result);
    else
      verdict.reasons.push_back(attempt.refusal);
  }
  if (vm.count("save") && !verdict.reasons.empty()) throw InputError(verdict.reasons[0]);
  const nlohmann::json now =
      result_json(scenario.json, all_assumptions(scenario, attempts), results);
  if (vm.count("save")) {
    const auto path = vm["save"].as<std::string>();
    write_file(path, [&](std::ostream& file) { file << now.dump(1) << '\n'; });
    fmt::print(notes, "{}: baseline of {} schedule{}\n", path, results.size(),
               results.size() == 1 ? "" : "s");
    return Answer::kYes;
  }
  Baseline baseline;
  if (vm.count("baseline")) baseline = read_baseline(vm["baseline"].as<std::string>());
  if (!baseline.missing.empty()) verdict.reasons.push_back(baseline.missing);
  if (verdict.reasons.empty())
    verdict = judge(baseline.result, now, options);
  else
    verdict.verdict = Verdict::kNoVerdict;

  const std::string title = fmt::format("stagesim check {}", scenario.name);
  const std::string markdown = gate_markdown(verdict, title);
  out << markdown;
  const auto write = [&](const char* option, const std::string& text) {
    if (vm.count(option))
      write_file(vm[option].as<std::string>(), [&](std::ostream& file) { file << text; });
  };
  write("report", markdown);
  write("junit", gate_junit(verdict, title));
  switch (verdict.verdict) {
    case Verdict::kPass:
      return Answer::kYes;
    case Verdict::kRegression:
      return Answer::kNo;
    case Verdict::kNoVerdict:
      break;
  }
  return Answer::kNotComparable;
}

}  // namespace

const Command kCheckCommand{"check", "a gate for CI: results against a stored baseline and limits",
                            check};

}  // namespace stagesim
