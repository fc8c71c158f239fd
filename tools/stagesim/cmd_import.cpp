#include <fmt/format.h>
#include <fmt/ostream.h>

#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/output_file.hpp"
#include "tools/stagesim/timeline_file.hpp"
#include "traces/kineto.hpp"
#include "traces/kineto_import.hpp"
#include "traces/nsys.hpp"
#include "traces/trace_input.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

po::options_description import_options() {
  po::options_description options = scenario_options(false);
  options.add_options()(
      "trace", po::value<std::vector<std::string>>(),
      "traces of the PyTorch profiler, one for each rank, gzip or not, exports of "
      "Nsight Systems, or NVIDIA's VPP simulator; --trace may be left out")(
      "schedule", po::value<std::string>(),
      "NAME or NAME:parameter=value that was run, instead of "
      "the scenario's")("step", po::value<int>(),
                        "which of several profiled steps, from 1; without it the last")(
      "out", po::value<std::string>(), "write the timeline, for 'stagesim validate'")("help",
                                                                                      "this text");
  return options;
}

void print_import_help(std::ostream& out) {
  out << "usage: stagesim import TRACE... --scenario SCENARIO [options]\n\n"
         "Reads what a profiler recorded of a pipeline run (torch.distributed.pipelining names its "
         "actions PP:0F3) as a\ntimeline of the scenario's schedule: step time, bubble, "
         "and a file for 'stagesim validate'. Traces: PyTorch profiler,\n"
         "'nsys export --type sqlite' with NVTX ranges, tasks or timeline of NVIDIA's VPP "
         "simulator."
         "\n\n"
      << import_options()
      << "\nexamples\n"
         "  stagesim import rank0.json.gz rank1.json.gz --scenario my.json --out measured.json\n"
         "  stagesim run my.json --timeline predicted.json\n"
         "  stagesim validate predicted.json measured.json --align-clocks\n";
}

std::vector<RankTrace> read_traces(const std::string& path) {
  if (is_sqlite(path)) return read_nsys(path);
  if (path.ends_with(".nsys-rep")) {
    throw InputError(
        path + ": a report of Nsight Systems; export it first: nsys export --type sqlite " + path);
  }
  TraceInput input(path);
  std::vector<RankTrace> traces;
  try {
    traces = read_kineto(input.stream(), path);
  } catch (const InputError&) {
    input.check();  // a damaged gzip file says so
    throw;
  }
  input.check();
  return traces;
}

void print_summary(std::ostream& out, const TimelineFile& file, const Run& run) {
  RunInputs inputs = run.inputs;
  const ScheduleResult result = summarise(file.timeline, inputs);
  fmt::print(out,
             "{} of {}, as profiled: step {:.3f} ms (predicted {:.3f}), bubble {:.2f} % of the "
             "{} interval (predicted {:.2f})\n",
             result.name, file.name, to_ms(result.step_time), to_ms(run.result.step_time),
             100 * result.bubble.bubble, text(result.bubble.interval.kind),
             100 * run.result.bubble.bubble);
  for (std::size_t r = 0; r < result.bubble.ranks.size(); ++r) {
    fmt::print(out, "  rank {}: busy {:.3f} ms, idle {:.3f} ms\n", r,
               to_ms(result.bubble.ranks[r].busy), to_ms(result.bubble.ranks[r].idle));
  }
}

Answer import_command(const std::vector<std::string>& args, std::ostream& out, std::ostream&) {
  const po::variables_map vm = parse_args("import", args, import_options(), "trace", -1);
  if (vm.count("help")) {
    print_import_help(out);
    return Answer::kYes;
  }
  if (!vm.count("trace"))
    throw InputError("stagesim import: no trace given; see 'stagesim import --help'");
  const Scenario scenario = scenario_with_schedule("import", vm);
  const Run run = run_schedule(scenario, scenario.schedule);
  std::vector<RankTrace> traces;
  for (const std::string& path : vm["trace"].as<std::vector<std::string>>()) {
    for (RankTrace& trace : read_traces(path)) traces.push_back(std::move(trace));
  }
  const TimelineFile ran = timeline_file(scenario, run, run.timeline, "profiled run");
  const KinetoImport import = import_kineto(
      traces, ran, vm.count("step") ? std::optional<int>(vm["step"].as<int>()) : std::nullopt);
  print_summary(out, import.file, run);
  for (const std::string& note : import.notes) fmt::print(out, "  {}\n", note);
  if (vm.count("out")) {
    write_file(vm["out"].as<std::string>(),
               [&](std::ostream& file) { write_timeline(file, import.file); });
  }
  return Answer::kYes;
}

}  // namespace

const Command kImportCommand{"import", "traces of profilers as a timeline, for validate",
                             import_command};

}  // namespace stagesim
