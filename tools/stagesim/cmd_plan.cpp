#include <fmt/format.h>
#include <fmt/ostream.h>

#include <nlohmann/json.hpp>

#include "tools/processes/processes.hpp"
#include "tools/stagesim/command.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/interrupt.hpp"
#include "tools/stagesim/output_file.hpp"
#include "tools/study/plan.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

po::options_description plan_options() {
  po::options_description options = scenario_options();
  options.add_options()("objective", po::value<std::string>()->default_value("time"),
                        "time: the fastest; memory: the lowest peak; mismatch-limit: the fastest "
                        "with at most --mismatch-limit; gpus-for-deadline: the fewest nodes whose "
                        "step meets --deadline-ms")(
      "mismatch-limit", po::value<std::string>(),
      "leave out schedules whose weights differ by more versions between F and B")(
      "deadline-ms", po::value<std::string>(), "of a step, for gpus-for-deadline")(
      "headroom", po::value<std::string>()->default_value("0"),
      "percent of the GPU's memory to leave free, for what is not modelled (context, libraries, "
      "fragmentation)")("schedules", po::value<std::string>(), "a,b,c instead of all that train")(
      "exhaustive", "replay every choice, also those that a lower bound rules out")(
      "out", po::value<std::string>(), "write the best plan as a scenario")(
      "megatron", "print the flags for Megatron-LM of the best plan whose schedule it has")(
      "threads", po::value<std::string>()->default_value("0"), "0: one for each core")("help",
                                                                                       "this text");
  return options;
}

void print_plan_help(std::ostream& out) {
  out << "usage: stagesim plan [SCENARIO] [options]\n\n"
         "Searches how to lay a model over a cluster for a global batch: pipeline x tensor x data, "
         "micro-batch, recompute,\nlayers per stage and schedule, in the memory of the GPU. Prints "
         "the best plan and that of every other schedule,\nwith why it is behind. The scenario "
         "gives model, cluster and batch.global; what it says of the rest is searched anew.\n\n"
      << plan_options()
      << "\nexamples\n"
         "  stagesim plan gpt-1.5b-8xa800\n"
         "  stagesim plan --set model.preset=llama-3-70b --set cluster.node=dgx-h100 --set "
         "cluster.nodes=8 --set batch.global=512 --set parallel.zero=1 --out best.json --megatron\n"
         "  stagesim plan gpt-1.5b-8xa800 --objective mismatch-limit --mismatch-limit 0\n"
         "\nexit codes: 1 no plan fits\n";
}

PlanOptions options_from(const po::variables_map& vm) {
  PlanOptions options;
  const auto objective = vm["objective"].as<std::string>();
  if (objective == "memory") {
    options.objective = PlanObjective::kMemory;
  } else if (objective == "gpus-for-deadline") {
    options.objective = PlanObjective::kGpus;
    if (!vm.count("deadline-ms"))
      throw InputError("--objective gpus-for-deadline: needs --deadline-ms, of a step");
  } else if (objective == "mismatch-limit") {
    if (!vm.count("mismatch-limit"))
      throw InputError("--objective mismatch-limit: needs --mismatch-limit N");
  } else if (objective != "time") {
    throw InputError(fmt::format(
        "--objective: expected time, memory, mismatch-limit or gpus-for-deadline, got '{}'",
        objective));
  }
  if (vm.count("mismatch-limit"))
    options.most_mismatch = static_cast<int>(number_option(vm, "mismatch-limit", 0, 1e6));
  if (vm.count("deadline-ms")) options.deadline_ms = number_option(vm, "deadline-ms", 0, 1e12);
  if (vm.count("schedules"))
    for (const ScheduleSpec& spec : schedule_list(vm["schedules"].as<std::string>()))
      options.schedules.push_back(spec.text());
  options.prune = vm.count("exhaustive") == 0;
  options.headroom = number_option(vm, "headroom", 0, 99) / 100;
  options.threads = threads_option(vm);
  return options;
}

// Why it is behind the best, by what a GPU does for a sample.
std::string why_behind(const Plan& plan, const Plan& best) {
  const auto busy = [](const Plan& p) { return p.ms_per_sample * p.gpus * (1 - p.bubble); };
  const auto idle = [](const Plan& p) { return p.ms_per_sample * p.gpus * p.bubble; };
  const double all = best.ms_per_sample * best.gpus;
  return fmt::format("{:+.1f} %: work {:+.1f}, idle {:+.1f}",
                     100 * (plan.ms_per_sample / best.ms_per_sample - 1),
                     100 * (busy(plan) - busy(best)) / all, 100 * (idle(plan) - idle(best)) / all);
}

void print_plans(std::ostream& out, const PlanResult& result) {
  fmt::print(
      out,
      "{} choices: {} replayed, {} ruled out by lower bounds, {} refused; {} of the replayed "
      "do not fit\n",
      result.choices, result.replayed, result.pruned, result.refused, result.too_large);
  for (const std::string& note : result.notes) fmt::print(out, "{}\n", note);
  if (result.best.empty()) return;
  const Plan& first = result.best[0];
  fmt::print(out, "best: {}; {:.2f} of {:.2f} GiB\n", first.choice.text(),
             first.summary.peak_memory_gib, first.capacity_gib);
  fmt::print(out,
             "\n{:<22}{:>10}{:>11}{:>7}{:>9}{:>9}{:>9}  {:>3} {:>3} {:>3} {:>5}  {:<10} {:<9} {}\n",
             "schedule", "step ms", "ms/sample", "MFU %", "bubble %", "peak GiB", "mismatch", "p",
             "t", "d", "micro", "recompute", "layers", "against the best");
  for (const Plan& p : result.best) {
    fmt::print(out,
               "{:<22}{:>10.3f}{:>11.4f}{:>7.1f}{:>9.2f}{:>9.2f}{:>9}  {:>3} {:>3} {:>3} {:>5}  "
               "{:<10} {:<9} {}\n",
               p.choice.schedule.text(), p.step_ms, p.ms_per_sample, 100 * p.mfu, 100 * p.bubble,
               p.summary.peak_memory_gib, p.summary.max_mismatch, p.choice.pipeline,
               p.choice.tensor, p.data, p.choice.micro, p.choice.recompute, p.choice.partition,
               &p == &result.best[0] ? "best" : why_behind(p, result.best[0]));
  }
  if (!result.without.empty()) fmt::print(out, "\nwithout a plan\n");
  for (const auto& [schedule, why] : result.without) fmt::print(out, "  {}: {}\n", schedule, why);
  fmt::print(out,
             "\np, t, d: pipeline, tensor and data-parallel ways. Each row is the best of its "
             "schedule. Against the best: time per\nsample, and how much of it a GPU works and "
             "idles more, in percent of the best plan's time. Assumptions: 'stagesim run'\nwith "
             "the scenario that --out writes.\n");
}

void print_megatron(std::ostream& out, const PlanResult& result) {
  for (const Plan& plan : result.best) {
    const std::string flags = megatron_flags_of(plan);
    if (flags.empty()) continue;
    fmt::print(out, "\nMegatron-LM, {}:\n{}\n", plan.choice.schedule.text(), flags);
    return;
  }
  fmt::print(out, "\nMegatron-LM has none of these schedules\n");
}

Answer plan_command(const std::vector<std::string>& args, std::ostream& out, std::ostream& notes) {
  const po::variables_map vm = parse_args("plan", args, plan_options());
  if (vm.count("help")) {
    print_plan_help(out);
    return Answer::kYes;
  }
  if (launched_count() > 1) throw InputError("plan runs in one process: start it without mpirun");
  PlanOptions options = options_from(vm);
  const InterruptFlag interrupted;
  options.cancelled = interrupted.flag();
  const ScenarioInput base = scenario_input("plan", vm);
  const PlanResult result = plan(base, options);
  print_plans(out, result);
  if (*options.cancelled) return Answer::kInterrupted;
  if (result.best.empty()) {
    fmt::print(out, "\nno plan fits\n");
    for (const auto& [schedule, why] : result.without) fmt::print(out, "  {}: {}\n", schedule, why);
    return Answer::kNo;
  }
  const Plan& best = result.best[0];
  if (vm.count("megatron")) print_megatron(out, result);
  if (vm.count("out")) {
    const auto path = vm["out"].as<std::string>();
    write_file(path, [&](std::ostream& file) { file << best.input.json.dump(2) << '\n'; });
    fmt::print(notes, "{}: {}\n", path, best.choice.text());
  }
  return Answer::kYes;
}

}  // namespace

const Command kPlanCommand{"plan", "lay a model over a cluster: the best plan, and why others lose",
                           plan_command};

}  // namespace stagesim
