#pragma once

#include "tools/execute/train_replica.hpp"

// What a stage computes while a schedule trains; for train.cpp alone.
namespace stagesim {

// One stage of one micro-batch.
class StageWork {
 public:
  StageWork(const TrainSetup& setup, int stages, int stage)
      : setup_(setup),
        per_stage_(setup.shape.blocks / stages),
        first_(stage * per_stage_),
        ends_(stage == 0 || stage + 1 == stages) {}

  // Returns the loss of the last stage; x comes from the stage before, y goes to the next.
  double run_forward(const BlockWeights& weights, int microbatch, Numbers x, InFlight& in_flight,
                     Numbers& y) const;
  // Returns the gradient for the stage before.
  Numbers run_input_gradient(const BlockWeights& weights, int microbatch, Numbers d_y,
                             InFlight& in_flight) const;
  void run_weight_gradient(int microbatch, const InFlight& in_flight, BlockWeights& sum) const;

  BlockWeights first_weights() const;

 private:
  // Blocks in the middle look at no characters.
  TrainSample sample_of(int microbatch) const {
    return ends_ ? setup_.text->sample(setup_.shape, microbatch) : TrainSample{};
  }

  const TrainSetup& setup_;
  int per_stage_, first_;
  bool ends_;
};

}  // namespace stagesim
