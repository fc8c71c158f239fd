#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <functional>
#include <map>

#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tools/execute/cpu_backend.hpp"
#include "tools/execute/device_backend.hpp"
#include "tools/execute/device_kernels.hpp"
#include "tools/execute/dispatch.hpp"
#include "tools/execute/notices.hpp"
#include "tools/processes/processes.hpp"
#include "tools/stagesim/command.hpp"
#include "tools/stagesim/execute_report.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/interrupt.hpp"
#include "tools/stagesim/output_file.hpp"
#include "tools/stagesim/report.hpp"
#include "tools/stagesim/timeline_file.hpp"
#include "tools/stagesim/train_command.hpp"
#include "tools/study/stage_estimate.hpp"
#include "traces/chrome_trace.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

constexpr int kMostRanks = 256;  // a thread each

po::options_description execute_options() {
  po::options_description options = scenario_options();
  options.add_options()("schedule", po::value<std::string>(),
                        "NAME or NAME:parameter=value, instead of the scenario's")(
      "backend", po::value<std::string>()->default_value("cpu"),
      "cpu: ranks are threads, under mpirun of several processes; cuda: ranks are streams of the "
      "first GPU")(
      "work", po::value<std::string>(),
      "what an op does for its predicted time; cpu: sleep, or blas (matrix products); cuda: spin "
      "(a kernel that waits), gemm (matrix products on the rank's share of the GPU) or model (the "
      "kernels of the scenario's model, timed first). train (cpu): "
      "a small language model with the schedule's weight versions, for what they do to its loss")(
      "scale", po::value<std::string>()->default_value("1"),
      "make all predicted times this many times as long")(
      "repeat", po::value<std::string>()->default_value("1"),
      "runs; the one of the median wall is reported")(
      "watchdog", po::value<std::string>()->default_value("30"),
      "seconds without progress that count as a hang")(
      "dry-run", "print what each rank would do, and run nothing")(
      "timeline", po::value<std::string>(),
      "write every measured start and end, for 'stagesim validate'")(
      "trace", po::value<std::string>(), "write what was measured as a Chrome trace")(
      "json", "print one JSON document instead of text")("help", "this text");
  return options.add(train_options());
}

// Makes a backend for each run.
using MakeBackend = std::function<std::unique_ptr<Backend>(const Program&, Processes*)>;
struct Choice {
  std::string backend, work;
  MakeBackend make;
  std::shared_ptr<Device> device{};  // of cuda
  // With --work model, filled in once the schedule is known; `make` sees it.
  std::shared_ptr<std::vector<StageWork>> stages{};
};

std::string one_of(const std::string& option, const std::string& text,
                   const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), text) == known.end())
    throw InputError(
        fmt::format("--{}: expected {}, got '{}'", option, fmt::join(known, " or "), text));
  return text;
}

Choice choice_from(const po::variables_map& vm) {
  Choice choice;
  choice.backend = one_of("backend", vm["backend"].as<std::string>(), {"cpu", "cuda"});
  const bool cpu = choice.backend == "cpu";
  choice.work = cpu ? "sleep" : "spin";
  if (vm.count("work")) choice.work = vm["work"].as<std::string>();
  if (cpu) {
    const bool blas = one_of("work", choice.work, {"sleep", "blas", "train"}) == "blas";
    choice.make = [blas](const Program& program, Processes* processes) {
      const auto began = processes ? common_start(*processes) : std::chrono::steady_clock::now();
      return cpu_backend(program, blas ? CpuWork::kBlas : CpuWork::kSleep, began);
    };
    return choice;
  }
  if (launched_count() > 1)
    throw InputError("--backend cuda runs in one process, on one GPU: start it without mpirun");
  one_of("work", choice.work, {"spin", "gemm", "model"});
  const DeviceWork work = choice.work == "spin"   ? DeviceWork::kSpin
                          : choice.work == "gemm" ? DeviceWork::kGemm
                                                  : DeviceWork::kModel;
  if (work == DeviceWork::kModel) choice.stages = std::make_shared<std::vector<StageWork>>();
  if (vm.count("dry-run")) return choice;
  choice.device = cuda_device();
  choice.make = [work, device = choice.device, stages = choice.stages](const Program& program,
                                                                       Processes*) {
    device->reset();
    return device_backend(program, *device, work, stages.get());
  };
  return choice;
}

Program program_of(const Run& run, double scale) {
  Program program = lower(run.order, run.costs);
  if (scale == 1) return program;
  auto what = std::make_shared<Activities>(*program.what);
  const auto scaled = [&](Nanos time) {
    return rounded_nanos(scale * static_cast<double>(time.count()));
  };
  for (Lane& lane : what->lanes) lane.latency = scaled(lane.latency);
  program.what = what;
  for (Nanos& time : program.duration) time = scaled(time);
  return program;
}

void check_can_run(const Scenario& scenario) {
  if (scenario.ranks > kMostRanks) {
    throw InputError(fmt::format("execute: {} ranks are as many threads; at most {} are started",
                                 scenario.ranks, kMostRanks));
  }
  if (scenario.overlap_tax.any()) {
    throw InputError(
        "execute: comm.overlap_tax is predicted only; the backends do not slow ops down, so leave "
        "it out");
  }
  if (scenario.fair_links) {
    throw InputError(
        "execute: comm.sharing \"fair\" is predicted only; the cpu backend gives every pair of "
        "ranks a link to itself, so use \"none\"");
  }
}

void check_model_work(const Scenario& s, double scale) {
  Problems problems;
  const auto refuse = [&](bool has, const char* what) {
    if (has) problems.add("--work model: {}", what);
  };
  refuse(!s.model, "needs a model: give the scenario's 'model' a preset or fields, and a GPU");
  refuse(s.split.gpus() > 1 || s.split.expert > 1,
         "the collectives of tensor, context and expert splits are not run; use 1 GPU per rank");
  refuse(!s.microbatch_scale.empty(), "all micro-batches have the same kernels; no batch.sizes");
  refuse(!s.variation.rank_speed.empty(), "ranks are as fast as they are; no rank_speed");
  refuse(scale != 1, "kernels take the time that they take; no --scale");
  problems.throw_if_any();
}

// Times the kernels of the model's stages and puts their times into the program.
std::vector<OpTime> time_model(const Scenario& scenario, const Run& run, const Choice& choice,
                               Program& program) {
  *choice.stages = stage_work(kernels_of(scenario, run.layers, run.order.shape),
                              scenario.model->dtype == "fp16" ? DType::kFp16 : DType::kBf16);
  choice.device->reset();
  const std::vector<Nanos> timed = timed_durations(program, *choice.stages, *choice.device);
  const OpKernels kernels(program, *choice.stages);
  std::map<OpKernels::Work, OpTime> times;
  for (TaskId t = 0; t < program.what->size(); ++t) {
    if (!kernels.has(t)) continue;
    const Op& op = program.what->op[t];
    const OpKind kind = op.pair == PairPart::kForward ? OpKind::kPair : op.kind;
    times.try_emplace(kernels.work_of(t),
                      OpTime{kind, op.stage, to_ms(program.duration[t]), to_ms(timed[t])});
  }
  program.duration = timed;
  std::vector<OpTime> list;
  for (const auto& [work, time] : times) list.push_back(time);
  return list;
}

// As many runs as asked for; the caller picks.
std::vector<Timeline> measure(const po::variables_map& vm, const Program& program,
                              const Choice& choice, Processes* processes) {
  const double watchdog_s = number_option(vm, "watchdog", 0.1, 86400);
  const auto repeat = static_cast<int>(number_option(vm, "repeat", 1, 1000));
  const InterruptFlag interrupted;
  std::vector<Timeline> runs;
  const DispatchOptions options{
      .watchdog = std::chrono::milliseconds(static_cast<std::int64_t>(1e3 * watchdog_s)),
      .cancelled = interrupted.flag(),
      .processes = processes};
  for (int i = 0; i < repeat; ++i) {
    const auto backend = choice.make(program, processes);
    runs.push_back(execute(program, *backend, options));
  }
  return runs;
}

void print_execute_help(std::ostream& out) {
  out << "usage: stagesim execute [SCENARIO] [options]\n\n"
         "Runs one schedule for real, every rank on its own thread or stream of a GPU, and prints "
         "what was measured\nbeside what was predicted: the lowered order is the same.\n\n"
      << execute_options()
      << "\nexamples\n"
         "  stagesim execute unit-p4-m8 --scale 10 --repeat 5\n"
         "  stagesim execute unit-p4-m8 --schedule zb-h1 --trace measured.json\n"
         "  stagesim execute unit-p4-m8 --schedule gpipe --dry-run\n"
         "  mpirun -n 4 stagesim execute unit-p4-m8 --scale 10       ranks in four processes\n"
         "  stagesim execute unit-p4-m8 --work train --schedules 1f1b,pipedream,2bw,amdp --losses "
         "losses.csv\n"
         "\nexit codes: 1 the schedule hangs, or order or versions are not the predicted ones; 130 "
         "interrupted\n";
}

Answer execute_command(const std::vector<std::string>& args, std::ostream& out,
                       std::ostream& notes) {
  const po::variables_map vm = parse_args("execute", args, execute_options());
  if (vm.count("help")) {
    print_execute_help(out);
    return Answer::kYes;
  }
  if (wants_training(vm)) {
    if (launched_count() > 1)
      throw InputError("--work train runs in one process: start it without mpirun");
    return train_command(vm, out, notes);
  }
  const Choice choice = choice_from(vm);
  const double scale = number_option(vm, "scale", 1e-6, 1e6);
  const Scenario scenario = scenario_with_schedule("execute", vm);
  check_can_run(scenario);
  if (choice.stages) check_model_work(scenario, scale);
  const Run run = run_schedule(scenario, scenario.schedule);
  Program program = program_of(run, scale);
  if (vm.count("dry-run")) {
    print_plan(out, program);
    return Answer::kYes;
  }
  // Last, so that one that cannot read its input ends before the others meet it.
  const std::unique_ptr<Processes> processes = launched_processes();
  const bool first = !processes || processes->rank() == 0;
  std::vector<OpTime> op_times;
  if (choice.stages) op_times = time_model(scenario, run, choice, program);
  Execution execution{.predicted = replay(program),
                      .backend = choice.backend,
                      .work = choice.work,
                      .processes = processes ? processes->count() : 1,
                      .scale = scale,
                      .op_times = std::move(op_times)};
  try {
    execution.runs = measure(vm, program, choice, processes.get());
  } catch (const HangError& hang) {  // in process 0
    fmt::print(notes, "hang: {}\n", hang.what());
    return Answer::kNo;
  } catch (const Cancelled&) {
    if (!first) return Answer::kYes;
    fmt::print(notes, "interrupted: nothing is reported of a run that did not end\n");
    return Answer::kInterrupted;
  }
  if (!first) return Answer::kYes;
  const bool same = print_execution(out, scenario, run, execution, vm.count("json") > 0);
  if (vm.count("timeline")) {
    write_file(vm["timeline"].as<std::string>(), [&](std::ostream& file) {
      const std::string made_by = fmt::format("execute {} {}", choice.backend, choice.work);
      write_timeline(file, timeline_file(scenario, run, execution.median_run(), made_by, scale));
    });
  }
  if (vm.count("trace")) {
    const auto path = vm["trace"].as<std::string>();
    write_file(path, [&](std::ostream& file) {
      const Timeline& measured = execution.median_run();
      write_chrome_trace(file, measured, versions(measured), run.memory,
                         {.title = fmt::format("{} {}, measured", scenario.name, run.result.name)});
    });
    fmt::print(notes, "{}: what was measured\n", path);
  }
  return same ? Answer::kYes : Answer::kNo;
}

}  // namespace

const Command kExecuteCommand{
    "execute", "run one schedule on threads or a GPU: measured beside predicted", execute_command};

}  // namespace stagesim
