#include "tools/stagesim/train_report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace stagesim {
namespace {

constexpr double kSameAsOneDevice = 1e-5;  // relative, of double precision: sums in another order

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
  if (!all_finite(t.loss)) return "DIVERGED; a lower --learning-rate may help";
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
    const double over = 100 * (tail_mean(t.loss) / tail_mean(alone) - 1);
    fmt::print(out, "{}  {:>11}  {:7g}  {:<12}  {}\n", row(t.name, t.loss),
               all_finite(t.loss) ? fmt::format("{:+.2f} %", over) : "-", t.updates_per_batch,
               t.as_predicted ? "as predicted" : "DIFFER", one_device_text(t));
  }
  for (const Training& t : trainings) {
    if (!t.refusal.empty()) fmt::print(out, "refused: {}\n", t.refusal);
  }
}

}  // namespace

bool Training::as_one_device() const {
  return weight_difference <= kSameAsOneDevice && gradient_difference <= kSameAsOneDevice;
}

bool all_finite(const std::vector<double>& loss) {
  return std::all_of(loss.begin(), loss.end(), [](double l) { return std::isfinite(l); });
}

void print_training(std::ostream& out, const TrainingReport& report,
                    const std::string& learned_from) {
  std::size_t weights = 0;
  for (const Numbers& block : report.weights) weights += block.size();
  fmt::print(out,
             "{}: a character model of {} weights in {} block{}; {} batch{} of {} micro-batch{} x "
             "{} samples\nof {}; gradient descent with rate {:g} and the mean gradient of a "
             "window; double precision\n\n",
             report.scenario.name, weights, report.setup.shape.blocks,
             report.setup.shape.blocks == 1 ? "" : "s", report.one_device.size(),
             report.one_device.size() == 1 ? "" : "es", report.scenario.batch,
             report.scenario.batch == 1 ? "" : "es", report.setup.shape.samples, learned_from,
             report.setup.learning_rate);
  print_losses(out, report.one_device, report.trainings);
  fmt::print(out,
             "\nwords: last tenth = mean loss of the last tenth of the batches, below relative "
             "to one device; updates = of every stage\n  per batch (with several the same rate "
             "goes further); versions = what F, B, I, W and updates logged against\n  the "
             "prediction, op by op; beside one device = largest difference of any gradient or "
             "weight over the largest\n  number of its block\n");
}

void write_losses_csv(std::ostream& file, int batch, const std::vector<double>& alone,
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

void print_training_json(std::ostream& out, const TrainingReport& report) {
  const TrainSetup& setup = report.setup;
  Json json{{"schema_version", 1},
            {"scenario", report.scenario.json},
            {"model",
             {{"blocks", setup.shape.blocks},
              {"hidden", setup.shape.hidden},
              {"context", setup.shape.context},
              {"samples_per_microbatch", setup.shape.samples},
              {"vocabulary", setup.shape.vocab},
              {"learning_rate", setup.learning_rate}}},
            {"one_device_loss", report.one_device},
            {"schedules", Json::array()},
            {"refused", Json::array()}};
  for (const Training& t : report.trainings) {
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

}  // namespace stagesim
