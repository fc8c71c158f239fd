#include "tools/execute/train_stage.hpp"

namespace stagesim {

double StageWork::run_forward(const BlockWeights& weights, int microbatch, Numbers x,
                              InFlight& in_flight, Numbers& y) const {
  const TrainSample sample = sample_of(microbatch);
  in_flight.kept.resize(static_cast<std::size_t>(per_stage_));
  double loss = 0;
  for (int b = 0; b < per_stage_; ++b) {
    const auto at = static_cast<std::size_t>(b);
    loss = forward(setup_.shape, first_ + b, weights[at], sample, x, in_flight.kept[at], y);
    x = y;
  }
  return loss;
}

Numbers StageWork::run_input_gradient(const BlockWeights& weights, int microbatch, Numbers d_y,
                                      InFlight& in_flight) const {
  const TrainSample sample = sample_of(microbatch);
  for (int b = per_stage_ - 1; b >= 0; --b) {
    const auto at = static_cast<std::size_t>(b);
    Numbers d_x;
    input_gradient(setup_.shape, first_ + b, weights[at], sample, d_y, in_flight.kept[at], d_x);
    d_y = std::move(d_x);
  }
  return d_y;
}

void StageWork::run_weight_gradient(int microbatch, const InFlight& in_flight,
                                    BlockWeights& sum) const {
  const TrainSample sample = sample_of(microbatch);
  for (int b = 0; b < per_stage_; ++b) {
    const auto at = static_cast<std::size_t>(b);
    weight_gradient(setup_.shape, first_ + b, sample, in_flight.kept[at], sum[at]);
  }
}

BlockWeights StageWork::first_weights() const {
  BlockWeights weights;
  for (int b = 0; b < per_stage_; ++b)
    weights.push_back(initial_weights(setup_.shape, first_ + b, setup_.seed));
  return weights;
}

}  // namespace stagesim
