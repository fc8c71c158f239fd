#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tools/execute/train.hpp"
#include "tools/study/run.hpp"

namespace stagesim {

// One schedule's training, or why there is none.
struct Training {
  std::string name, refusal{};
  std::vector<double> loss{};  // [batch]
  double updates_per_batch = 1;
  bool as_predicted = true, flush = false;
  double weight_difference = 0, gradient_difference = 0;  // of a flush schedule, from one device
  bool as_one_device() const;
};

struct TrainingReport {
  const Scenario& scenario;
  const TrainSetup& setup;
  const BlockWeights& weights;            // of one device
  const std::vector<double>& one_device;  // [batch]: its loss
  const std::vector<Training>& trainings;
};

bool all_finite(const std::vector<double>& loss);

// `learned_from`: the text, in words.
void print_training(std::ostream& out, const TrainingReport& report,
                    const std::string& learned_from);
void print_training_json(std::ostream& out, const TrainingReport& report);
// One row per batch; what refused has no column.
void write_losses_csv(std::ostream& file, int batch, const std::vector<double>& one_device,
                      const std::vector<Training>& trainings);

}  // namespace stagesim
