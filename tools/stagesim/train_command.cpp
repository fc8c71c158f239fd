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
#include "tools/study/run.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

constexpr double kSameAsOneDevice = 1e-5;  // relative, of double precision: sums in another order
constexpr int kMostBlocks = 512;
constexpr std::size_t kGeneratedCharacters = 20'000;
constexpr std::uint64_t kSeed = 1;

// One schedule's training, or why there is none.
struct Training {
  std::string name, refusal{};
  std::vector<double> loss{};  // [batch]
  double updates_per_batch = 1;
  bool as_predicted = true, flush = false;
  double weight_difference = 0, gradient_difference = 0;
};

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

const char* plural(int count) { return count == 1 ? "" : "s"; }

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

bool good(const Training& t) {
  return t.as_predicted && t.weight_difference <= kSameAsOneDevice &&
         t.gradient_difference <= kSameAsOneDevice;
}

// About so many batches of a run, the first and the last among them.
std::vector<std::size_t> shown_batches(std::size_t batches) {
  constexpr std::size_t kShown = 6;
  std::vector<std::size_t> shown;
  for (std::size_t k = 0; k < kShown; ++k) {
    const std::size_t at = (batches - 1) * k / (kShown - 1);
    if (shown.empty() || shown.back() != at) shown.push_back(at);
  }
  return shown;
}

std::string one_device_text(const Training& t) {
  if (!t.flush) return "asynchronous: not the same weights";
  const double worst = std::max(t.weight_difference, t.gradient_difference);
  return fmt::format(
      "{} ({:.1g})",
      worst <= kSameAsOneDevice ? "same gradients and weights" : "GRADIENTS OR WEIGHTS DIFFER",
      worst);
}

double tail_mean(const std::vector<double>& loss) {
  const auto count = static_cast<std::ptrdiff_t>(std::max<std::size_t>(1, loss.size() / 10));
  return std::accumulate(loss.end() - count, loss.end(), 0.0) / static_cast<double>(count);
}

void print_losses(std::ostream& out, const std::vector<double>& alone,
                  const std::vector<Training>& trainings) {
  const std::vector<std::size_t> shown = shown_batches(alone.size());
  std::size_t width = std::string_view("one device").size();
  for (const Training& t : trainings) width = std::max(width, t.name.size());
  std::string header = fmt::format("{:<{}}", "loss of batch", std::max<std::size_t>(width, 13));
  width = std::max<std::size_t>(width, 13);
  for (const std::size_t b : shown) header += fmt::format("  {:>6}", b + 1);
  fmt::print(out, "{}   last tenth  updates  versions      beside one device\n", header);
  const auto row = [&](const std::string& name, const std::vector<double>& loss) {
    std::string line = fmt::format("{:<{}}", name, width);
    for (const std::size_t b : shown) line += fmt::format("  {:6.4f}", loss[b]);
    return line;
  };
  fmt::print(out, "{}  {:11.4f}  {:7g}\n", row("one device", alone), tail_mean(alone), 1.0);
  for (const Training& t : trainings) {
    if (!t.refusal.empty()) continue;
    fmt::print(out, "{}  {:+9.2f} %  {:7g}  {:<12}  {}\n", row(t.name, t.loss),
               100 * (tail_mean(t.loss) / tail_mean(alone) - 1), t.updates_per_batch,
               t.as_predicted ? "as predicted" : "DIFFER", one_device_text(t));
  }
  for (const Training& t : trainings) {
    if (!t.refusal.empty()) fmt::print(out, "refused: {}\n", t.refusal);
  }
}

void write_csv(std::ostream& file, int batch, const std::vector<double>& alone,
               const std::vector<Training>& trainings) {
  file << "batch,microbatches,one device";
  for (const Training& t : trainings) {
    if (t.refusal.empty()) file << ',' << t.name;
  }
  file << '\n';
  for (std::size_t b = 0; b < alone.size(); ++b) {
    fmt::print(file, "{},{},{:.9g}", b + 1, (b + 1) * static_cast<std::size_t>(batch), alone[b]);
    for (const Training& t : trainings) {
      if (t.refusal.empty()) fmt::print(file, ",{:.9g}", t.loss[b]);
    }
    file << '\n';
  }
}

void print_json(std::ostream& out, const Scenario& s, const TrainSetup& setup,
                const std::vector<double>& alone, const std::vector<Training>& trainings) {
  Json json{{"schema_version", 1},
            {"scenario", s.json},
            {"model",
             {{"blocks", setup.shape.blocks},
              {"hidden", setup.shape.hidden},
              {"context", setup.shape.context},
              {"samples_per_microbatch", setup.shape.samples},
              {"vocabulary", setup.shape.vocab},
              {"learning_rate", setup.learning_rate}}},
            {"one_device_loss", alone},
            {"schedules", Json::array()},
            {"refused", Json::array()}};
  for (const Training& t : trainings) {
    if (!t.refusal.empty()) {
      json["refused"].push_back({{"name", t.name}, {"reason", t.refusal}});
      continue;
    }
    const auto of_flush = [&](double difference) { return t.flush ? Json(difference) : Json(); };
    json["schedules"].push_back({{"name", t.name},
                                 {"loss", t.loss},
                                 {"updates_per_batch", t.updates_per_batch},
                                 {"versions_as_predicted", t.as_predicted},
                                 {"worst_gradient_difference", of_flush(t.gradient_difference)},
                                 {"worst_weight_difference", of_flush(t.weight_difference)}});
  }
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

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
    if (find_schedule(spec.name).name == "forward-only")
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
  const Trained alone = train_alone(setup, scenario.batch * batches, scenario.batch, true);
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
  const std::vector<double> alone_loss = per_batch(alone.loss, scenario.batch, batches);
  if (vm.count("losses")) {
    write_file(vm["losses"].as<std::string>(),
               [&](std::ostream& file) { write_csv(file, scenario.batch, alone_loss, trainings); });
  }
  if (vm.count("json")) {
    print_json(out, scenario, setup, alone_loss, trainings);
  } else {
    std::size_t weights = 0;
    for (const Numbers& block : alone.weights) weights += block.size();
    fmt::print(
        out,
        "{}: a character model of {} weights in {} block{}; {} batch{} of {} micro-batch{} x "
        "{} samples\nof {}; gradient descent with rate {:g} and the mean gradient of a "
        "window; double precision\n\n",
        scenario.name, weights, setup.shape.blocks, plural(setup.shape.blocks), batches,
        batches == 1 ? "" : "es", scenario.batch, scenario.batch == 1 ? "" : "es",
        setup.shape.samples,
        vm.count("text") ? vm["text"].as<std::string>() : "generated sentences",
        setup.learning_rate);
    print_losses(out, alone_loss, trainings);
    fmt::print(out,
               "\nwords: last tenth = mean loss of the last tenth of the batches, below relative "
               "to one device; updates = of every stage\n  per batch (with several the same rate "
               "goes further); versions = what F, B, I, W and updates logged against\n  the "
               "prediction, op by op; beside one device = largest difference of any gradient or "
               "weight over the largest\n  number of its block\n");
  }
  return std::all_of(trainings.begin(), trainings.end(), good) ? Answer::kYes : Answer::kNo;
}

}  // namespace stagesim
