#include <fmt/format.h>
#include <fmt/ostream.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/interrupt.hpp"
#include "tools/stagesim/output_file.hpp"
#include "tools/stagesim/sweep_report.hpp"
#include "tools/study/sweep_run.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

constexpr std::uint64_t kMostInTable = 200;

po::options_description sweep_options() {
  po::options_description options = scenario_options();
  options.add_options()(
      "vary", po::value<std::vector<std::string>>()->composing(),
      "a key and its values: batch.micro=1,2,4, batch.global=64:512:64 (first:last:step), "
      "parallel.pipeline=2:64:x2, schedule=1f1b,interleaved-1f1b:v=2, schedule=all; repeated, all "
      "combinations")("zip", "the k-th values of all keys together instead of all combinations")(
      "out", po::value<std::string>(),
      "write the rows as JSON lines; a file of the same sweep is continued where it ends")(
      "csv", po::value<std::string>(), "write the rows as CSV")(
      "sort", po::value<std::string>(), "order the table by a column, smallest first")(
      "crossover", po::value<std::string>(),
      "a varied key: at which of its values schedules overtake each other")(
      "table", "print the table also where it has more than 200 rows and --out is given")(
      "threads", po::value<std::string>()->default_value("0"),
      "threads that run rows; 0: one for each core")("help", "this text");
  return options;
}

void print_sweep_help(std::ostream& out) {
  out << "usage: stagesim sweep [SCENARIO] --vary KEY=VALUES [--vary ...] [options]\n\n"
         "Runs a scenario for every combination of values and prints one row each; a row that "
         "cannot run or does not\nfit the GPU is there with its reason. The result does not depend "
         "on threads, processes or interruptions.\n\n"
      << sweep_options()
      << "\nexamples\n"
         "  stagesim sweep gpt-1.5b-8xa800 --vary schedule=1f1b,zb-v,amdp --vary "
         "batch.micro=1,2,4\n"
         "  stagesim sweep gpt-1.5b-8xa800 --vary parallel.pipeline=1:8:x2 --vary schedule=all "
         "--out "
         "rows.jsonl --csv rows.csv\n"
         "  stagesim sweep --ranks 4 --microbatches 8 --F 1 --B 2 --vary schedule=1f1b,gpipe "
         "--vary "
         "cluster.p2p.latency_us=0,100,500,1000\n"
         "  mpirun -n 16 stagesim sweep my.json --vary ... --out rows.jsonl      process 0 writes, "
         "the others compute\n"
         "\nexit codes: 2 also when no row could run; 130 interrupted, and the same command goes "
         "on\n";
}

// On a terminal one line that is written over, else a line now and then.
class Progress {
 public:
  Progress(std::ostream& notes, std::uint64_t done, std::uint64_t all)
      : notes_(notes), terminal_(isatty(STDERR_FILENO) == 1), before_(done), all_(all) {}

  void operator()(std::uint64_t rows) {
    const Clock::time_point now = Clock::now();
    if (now - shown_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10)))
      return;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - began_).count();
    const double rate = static_cast<double>(rows - before_) / std::max(seconds, 1e-3);
    fmt::print(notes_, "{}{} of {} rows, {:.0f} rows/s, {:.0f} s left{}", terminal_ ? "\r" : "",
               rows, all_, rate, static_cast<double>(all_ - rows) / std::max(rate, 1e-9),
               terminal_ ? "   " : "\n");
    notes_.flush();
    any_ = true;
  }
  void finish() {
    if (terminal_ && any_) fmt::print(notes_, "\n");
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::ostream& notes_;
  bool terminal_, any_ = false;
  std::uint64_t before_, all_;
  Clock::time_point began_ = Clock::now(), shown_ = began_;
};

Sweep sweep_from(const po::variables_map& vm) {
  Sweep sweep{.base = scenario_input("sweep", vm), .zipped = vm.count("zip") > 0};
  if (vm.count("vary")) {
    for (const std::string& text : vm["vary"].as<std::vector<std::string>>())
      sweep.axes.push_back(parse_axis(text));
  }
  check_sweep(sweep);
  return sweep;
}

std::string text_option(const po::variables_map& vm, const char* name) {
  return vm.count(name) ? vm[name].as<std::string>() : "";
}

// "no success" on nothing: why the first of the rows was refused.
void check_any_ran(const SweepFile& file) {
  std::string first;
  bool any = false;
  file.each([&](const nlohmann::ordered_json& row) {
    any = any || row["status"] != "refused";
    if (first.empty() && row["status"] == "refused") first = row["reason"];
  });
  if (!any)
    throw InputError(fmt::format("none of {} rows could run; the first: {}", file.rows(), first));
}

Answer sweep_command(const std::vector<std::string>& args, std::ostream& out, std::ostream& notes) {
  const po::variables_map vm = parse_args("sweep", args, sweep_options());
  if (vm.count("help")) {
    print_sweep_help(out);
    return Answer::kYes;
  }
  const Sweep sweep = sweep_from(vm);
  SweepReport report{.sort = text_option(vm, "sort"), .crossover = text_option(vm, "crossover")};
  check_report(report, sweep);
  const int threads = threads_option(vm);
  const InterruptFlag interrupted;
  SweepRunOptions options{.threads = threads, .cancelled = interrupted.flag()};

  const std::unique_ptr<Processes> processes = launched_processes();
  if (processes && processes->rank() > 0) {
    run_sweep(sweep, nullptr, options, *processes);
    return Answer::kYes;
  }
  SweepFile file(text_option(vm, "out"), sweep);
  if (file.resumed() > 0)
    fmt::print(notes, "{}: {} of {} rows were there\n", text_option(vm, "out"), file.resumed(),
               sweep.rows());
  Progress progress(notes, file.rows(), sweep.rows());
  options.progress = [&](std::uint64_t rows) { progress(rows); };
  if (processes)
    run_sweep(sweep, &file, options, *processes);
  else
    run_sweep(sweep, file, options);
  progress.finish();
  if (file.rows() < sweep.rows()) {
    fmt::print(notes, "interrupted after {} of {} rows{}\n", file.rows(), sweep.rows(),
               vm.count("out") ? "; the same command goes on from there"
                               : ", which are lost without --out");
    return Answer::kInterrupted;
  }
  check_any_ran(file);
  report.table = vm.count("table") > 0 || !vm.count("out") || sweep.rows() <= kMostInTable;
  print_sweep(out, sweep, file, report);
  if (vm.count("csv")) {
    write_file(vm["csv"].as<std::string>(),
               [&](std::ostream& csv) { write_sweep_csv(csv, sweep, file); });
  }
  return Answer::kYes;
}

}  // namespace

const Command kSweepCommand{
    "sweep", "one row for every combination of values; Pareto front, crossovers", sweep_command};

}  // namespace stagesim
