#include <fmt/format.h>
#include <fmt/ostream.h>

#include <charconv>

#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/output_file.hpp"
#include "tools/stagesim/report.hpp"
#include "tools/stagesim/timeline_file.hpp"
#include "tools/stagesim/uncertainty_report.hpp"
#include "traces/chrome_trace.hpp"
#include "traces/ops_csv.hpp"
#include "viz/text_grid.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

constexpr std::int64_t kViewerBytes =
    200'000'000;  // google/perfetto#99: viewers fail silently from about here on

po::options_description run_options() {
  po::options_description options = scenario_options();
  options.add_options()("schedule", po::value<std::string>(),
                        "NAME or NAME:parameter=value, instead of the scenario's");
  po::options_description output = output_options();
  output.add_options()("grid", "print the timeline as text")(
      "width", po::value<std::string>()->default_value("100"), "columns of the grid")(
      "trace", po::value<std::string>(),
      "write a Chrome trace (Perfetto, chrome://tracing, speedscope)")(
      "trace-without", po::value<std::string>(),
      "leave out parts of the trace: a list of transfers, flows, counters")(
      "ops", po::value<std::string>(),
      "write every op with its versions and what it waited for, as CSV")(
      "timeline", po::value<std::string>(), "write every start and end, for 'stagesim validate'")(
      "schedule-text", po::value<std::string>(), "write the order of every rank, as text");
  add_uncertainty_option(options,
                         "replay so many samples for the interval of the step time; 0: none; "
                         "without it 200, where these are quick");
  return options.add(output);
}

ChromeTraceOptions trace_options(const po::variables_map& vm, const std::string& title) {
  ChromeTraceOptions options{.title = title};
  if (!vm.count("trace-without")) return options;
  const std::string list = vm["trace-without"].as<std::string>() + ",";
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t comma = list.find(',', at);
    const std::string part = list.substr(at, comma - at);
    at = comma + 1;
    if (part == "transfers") {
      options.transfers = false;
    } else if (part == "flows") {
      options.flows = false;
    } else if (part == "counters") {
      options.counters = false;
    } else {
      throw InputError(fmt::format(
          "--trace-without: expected a list of transfers, flows, counters, got '{}'", part));
    }
  }
  return options;
}

void write_files(const po::variables_map& vm, const Scenario& scenario, const Run& run,
                 std::ostream& notes) {
  if (vm.count("trace")) {
    const auto path = vm["trace"].as<std::string>();
    const ChromeTraceOptions options =
        trace_options(vm, fmt::format("{} {}", scenario.name, run.result.name));
    ChromeTraceStats stats;
    write_file(path, [&](std::ostream& file) {
      stats = write_chrome_trace(file, run.timeline, run.result.versions, run.memory, options);
    });
    fmt::print(notes, "{}: {} slices, {} flows, {} counter values, {:.1f} MB\n", path, stats.slices,
               stats.flows, stats.counters, static_cast<double>(stats.bytes) / 1e6);
    if (stats.bytes > kViewerBytes) {
      fmt::print(notes,
                 "warning: trace viewers give up on files above some 200 MB; make it smaller with "
                 "--trace-without flows,counters,transfers "
                 "or fewer steps (--set run.steps=1)\n");
    }
  }
  if (vm.count("ops")) {
    const auto path = vm["ops"].as<std::string>();
    write_file(path,
               [&](std::ostream& file) { write_ops_csv(file, run.timeline, run.result.versions); });
  }
  if (vm.count("timeline")) {
    write_file(vm["timeline"].as<std::string>(), [&](std::ostream& file) {
      write_timeline(file, timeline_file(scenario, run, run.timeline, "replay"));
    });
  }
  if (vm.count("schedule-text")) {
    const auto path = vm["schedule-text"].as<std::string>();
    write_file(path, [&](std::ostream& file) { file << schedule_text(run.order); });
  }
}

void print_run_help(std::ostream& out) {
  out << "usage: stagesim run [SCENARIO] [options]\n\n"
         "Replays one schedule and prints step time, bubble, memory, version lag, and every "
         "assumption.\n\n"
      << run_options()
      << "\nexamples\n"
         "  stagesim run gpt-1.5b-8xa800 --trace amdp.json\n"
         "  stagesim run gpt-1.5b-8xa800 --schedule 2bw --set batch.global=32 --json\n"
         "  stagesim run my.json --set model.layers=24 --set partition.layers=balanced\n"
         "  stagesim run --schedule 1f1b --ranks 4 --microbatches 8 --F 1 --B 2 --grid\n"
         "  stagesim run --schedule 1f1b --ranks 4 --microbatches 8 --F 1,2,1,1 --B 2,4,2,2\n";
}

int width_from(const std::string& text) {
  int width = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
  if (error != std::errc() || end != text.data() + text.size() || width < 40 || width > 100000) {
    throw InputError(
        fmt::format("--width: expected a whole number from 40 to 100000, got '{}'", text));
  }
  return width;
}

Answer run_command(const std::vector<std::string>& args, std::ostream& out, std::ostream& notes) {
  const po::variables_map vm = parse_args("run", args, run_options());
  if (vm.count("help")) {
    print_run_help(out);
    return Answer::kYes;
  }
  const int width = width_from(vm["width"].as<std::string>());
  const auto needs = [&](const char* option, const char* other) {
    if (vm.count(option) && !vm[option].defaulted() && !vm.count(other)) {
      throw InputError(fmt::format("--{} has no effect without --{}", option, other));
    }
  };
  needs("trace-without", "trace");
  needs("width", "grid");
  if (vm.count("grid") && vm.count("json"))
    throw InputError("--grid and --json both go to standard output; choose one");
  Scenario scenario = scenario_with_schedule("run", vm);
  scenario.json["schedule"] =
      scenario.schedule.text();  // what ran, so that the result can be run again
  Attempt attempt{scenario.schedule, run_schedule(scenario, scenario.schedule), ""};
  std::vector<Attempt> attempts{std::move(attempt)};
  sample_steps(vm, scenario, true, attempts);
  const Run& run = *attempts[0].run;
  write_files(vm, scenario, run, notes);
  if (vm.count("json")) {
    print_json(out, scenario, attempts);
  } else {
    if (vm.count("grid")) fmt::print(out, "{}\n", text_grid(run.timeline, width));
    print_report(out, scenario, attempts);
  }
  return vm.count("require-fit") && !all_fit(attempts) ? Answer::kNo : Answer::kYes;
}

}  // namespace

const Command kRunCommand{"run", "replay one schedule: table, text grid, trace, op list",
                          run_command};

}  // namespace stagesim
