#include "tools/stagesim/train_command.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <numeric>

#include "schedules/table.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tools/execute/train.hpp"
#include "tools/stagesim/input.hpp"
#include "tools/stagesim/interrupt.hpp"
#include "tools/stagesim/output_file.hpp"
#include "tools/stagesim/train_report.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

constexpr int kMostBlocks = 512;
constexpr std::size_t kGeneratedCharacters = 20'000;
constexpr std::uint64_t kSeed = 1;

std::string text_from(const po::variables_map& vm) {
  if (!vm.count("text")) return generated_text(kSeed, kGeneratedCharacters);
  const auto path = vm["text"].as<std::string>();
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("--text: '{}': cannot read this file", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

void check_options(const po::variables_map& vm) {
  if (vm["backend"].as<std::string>() != "cpu")
    throw InputError("--work train: runs on threads of this machine, use --backend cpu");
  for (const char* option : {"scale", "repeat", "dry-run", "timeline", "trace"}) {
    if (vm.count(option) && !vm[option].defaulted())
      throw InputError(fmt::format("--{} has no effect with --work train", option));
  }
  if (vm.count("schedule") && vm.count("schedules"))
    throw InputError("--schedule and --schedules: choose one");
}

// Means over the micro-batches of each of the first `batches` batches.
std::vector<double> per_batch(const std::vector<double>& loss, int batch, int batches) {
  std::vector<double> means;
  for (int b = 0; b < batches; ++b) {
    const auto from = loss.begin() + std::ptrdiff_t{b} * batch;
    means.push_back(std::accumulate(from, from + batch, 0.0) / batch);
  }
  return means;
}

// All schedules train the same model: as many blocks as all their stages divide.
int blocks_for(const std::vector<Attempt>& attempts) {
  std::int64_t blocks = 1;
  for (const Attempt& attempt : attempts) {
    if (attempt.run) blocks = std::lcm(blocks, std::int64_t{attempt.run->order.shape.stages});
    if (blocks > kMostBlocks) {
      throw InputError(fmt::format(
          "--work train: one model for all these schedules would have {} blocks, at most {} are "
          "trained; choose schedules with stages that divide each other, or fewer ranks",
          blocks, kMostBlocks));
    }
  }
  return static_cast<int>(blocks);
}

Training train_run(const Run& run, const TrainSetup& setup, const Trained& alone, int batches,
                   const DispatchOptions& options) {
  Training training{.name = run.result.name};
  const Shape& shape = run.order.shape;
  const Program program = lower(run.order, run.costs);
  Timeline measured;
  const Trained trained = train(program, setup, options, measured);
  training.loss = per_batch(trained.loss, run.result.batch, batches);
  training.updates_per_batch = run.result.updates_per_batch;
  training.as_predicted = trained.version == versions(replay(program)).version;
  training.flush = shape.rule == VersionRule::kFlush;
  if (!training.flush) return training;
  training.weight_difference = worst_difference(trained.weights, alone.weights);
  for (std::size_t w = 0; w < trained.gradient.size(); ++w) {
    training.gradient_difference = std::max(
        training.gradient_difference, worst_difference(trained.gradient[w], alone.gradient.at(w)));
  }
  return training;
}

bool good(const Training& t) { return t.as_predicted && t.as_one_device(); }

std::vector<Training> train_all(const std::vector<Attempt>& attempts, const TrainSetup& setup,
                                const Trained& alone, int batches, double watchdog_s) {
  const InterruptFlag interrupted;
  const DispatchOptions options{
      .watchdog = std::chrono::milliseconds(static_cast<std::int64_t>(1e3 * watchdog_s)),
      .cancelled = interrupted.flag()};
  std::vector<Training> trainings;
  for (const Attempt& attempt : attempts) {
    if (attempt.run) {
      trainings.push_back(train_run(*attempt.run, setup, alone, batches, options));
    } else {
      trainings.push_back({.name = attempt.spec.text(), .refusal = attempt.refusal});
    }
  }
  return trainings;
}

}  // namespace

po::options_description train_options() {
  po::options_description options;
  options.add_options()("schedules", po::value<std::string>(),
                        "with --work train: a,b:parameter=value,c; one model for all of them")(
      "batches", po::value<std::string>()->default_value("50"),
      "with --work train: how many batches")("learning-rate",
                                             po::value<std::string>()->default_value("0.1"),
                                             "with --work train: of plain gradient descent")(
      "text", po::value<std::string>(),
      "with --work train: a file to learn from, instead of generated sentences")(
      "losses", po::value<std::string>(),
      "with --work train: write the loss of every batch and schedule as CSV");
  return options;
}

bool wants_training(const po::variables_map& vm) {
  const bool train = vm.count("work") > 0 && vm["work"].as<std::string>() == "train";
  for (const char* option : {"schedules", "batches", "learning-rate", "text", "losses"}) {
    if (!train && vm.count(option) && !vm[option].defaulted())
      throw InputError(fmt::format("--{} has no effect without --work train", option));
  }
  return train;
}

Answer train_command(const po::variables_map& vm, std::ostream& out, std::ostream& notes) {
  check_options(vm);
  const int batches = static_cast<int>(number_option(vm, "batches", 1, 100'000));
  const bool list = vm.count("schedules") > 0;
  Scenario scenario = list ? scenario_from("execute", vm) : scenario_with_schedule("execute", vm);
  scenario.steps = batches;
  const std::vector<ScheduleSpec> specs = list ? schedule_list(vm["schedules"].as<std::string>())
                                               : std::vector<ScheduleSpec>{scenario.schedule};
  for (const ScheduleSpec& spec : specs) {
    if (!trains(find_schedule(spec.name)))
      throw InputError("--work train: forward-only trains nothing");
  }
  const std::vector<Attempt> attempts = run_schedules(scenario, specs);
  Problems refusals;
  for (const Attempt& attempt : attempts) {
    if (!attempt.run) refusals.add_text(attempt.refusal);
  }
  if (refusals.lines().size() == attempts.size()) refusals.throw_if_any();
  const TrainText text(text_from(vm), kSeed);
  const TrainSetup setup{.shape = {.blocks = blocks_for(attempts), .vocab = text.vocab()},
                         .text = &text,
                         .learning_rate = number_option(vm, "learning-rate", 1e-9, 1e3),
                         .seed = kSeed};
  // Gradients of every window, which only schedules with a flush are set beside.
  const bool keep_gradients = std::any_of(attempts.begin(), attempts.end(), [](const Attempt& a) {
    return a.run && a.run->order.shape.rule == VersionRule::kFlush;
  });
  const Trained alone =
      train_alone(setup, scenario.batch * batches, scenario.batch, keep_gradients);
  const std::vector<double> alone_loss = per_batch(alone.loss, scenario.batch, batches);
  if (!all_finite(alone_loss)) {
    throw InputError(
        fmt::format("--learning-rate {:g}: the loss of one device is not a number any "
                    "more after {} batches; use a lower rate",
                    setup.learning_rate, batches));
  }
  std::vector<Training> trainings;
  try {
    trainings =
        train_all(attempts, setup, alone, batches, number_option(vm, "watchdog", 0.1, 86400));
  } catch (const HangError& hang) {
    fmt::print(notes, "hang: {}\n", hang.what());
    return Answer::kNo;
  } catch (const Cancelled&) {
    fmt::print(notes, "interrupted: nothing is reported of a training that did not end\n");
    return Answer::kInterrupted;
  }
  if (vm.count("losses")) {
    write_file(vm["losses"].as<std::string>(), [&](std::ostream& file) {
      write_losses_csv(file, scenario.batch, alone_loss, trainings);
    });
  }
  const TrainingReport report{scenario, setup, alone.weights, alone_loss, trainings};
  if (vm.count("json")) {
    print_training_json(out, report);
  } else {
    const std::string from =
        vm.count("text") ? vm["text"].as<std::string>() : "generated sentences";
    print_training(out, report, from);
  }
  return std::all_of(trainings.begin(), trainings.end(), good) ? Answer::kYes : Answer::kNo;
}

}  // namespace stagesim
