#pragma once

#include <cstdint>
#include <vector>

#include "tools/execute/dispatch.hpp"
#include "tools/execute/train_model.hpp"

namespace stagesim {

// A model to train by plain gradient descent. A stage has blocks / stages blocks, next to each
// other.
struct TrainSetup {
  TrainShape shape;
  const TrainText* text = nullptr;
  double learning_rate = 0.1;
  std::uint64_t seed = 1;  // of the first weights
};

using BlockWeights = std::vector<Numbers>;  // [block]

struct Trained {
  std::vector<double> loss;              // [micro-batch]
  BlockWeights weights;                  // in the end; of several replicas the first pipeline's
  std::vector<BlockWeights> gradient{};  // [window]: the mean over its micro-batches; see below
  // [task], as logged while it ran: F: read, B, I, W: used, update parts: applied to; -1 for others
  std::vector<std::int32_t> version{};
};

// Trains while the ranks of a program run as threads: every stage replica keeps the weight versions
// that the shape's rule asks for, F and B compute with them, the gradients of a window are added up
// over the replicas in the order of the pipelines. XPipe's prediction goes on by the last step.
// Keeps gradients of flush schedules alone. `measured` is what ran, as of any backend.
// Expects a fixed order with updates whose stages divide the blocks (InternalError).
Trained train(const Program& program, const TrainSetup& setup, const DispatchOptions& options,
              Timeline& measured);

// The same model on one device: micro-batch after micro-batch, a step after each window.
Trained train_alone(const TrainSetup& setup, int microbatches, int window, bool keep_gradients);

// The largest difference over the largest number of the second, block by block: the worst. Infinite
// where a number is not finite.
double worst_difference(const BlockWeights& a, const BlockWeights& b);

}  // namespace stagesim
