#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "sim/schedule.hpp"
#include "tools/execute/train.hpp"

// What a stage replica keeps while a schedule trains; for train.cpp alone.
namespace stagesim {

using Weights = std::shared_ptr<const BlockWeights>;

// to += factor * what
void add_scaled(BlockWeights& to, const BlockWeights& what, double factor = 1);
BlockWeights zeros_like(const BlockWeights& weights);

// Of one micro-batch between its forward and its last gradient.
struct InFlight {
  Weights read{};
  std::int32_t version = 0;
  std::vector<Kept> kept{};  // [block of the stage]
};

// The versions of one stage replica. Used by its rank's thread alone, but for the gradients.
class Replica {
 public:
  Replica(const Shape& shape, int rank, BlockWeights weights);

  std::int32_t current() const { return current_; }
  const Weights& weights() const { return versions_.at(current_); }

  // What a forward reads; `entered` is the version that stage 0 read.
  std::pair<std::int32_t, Weights> to_read(int microbatch, std::int32_t entered);
  // What a gradient of that micro-batch uses.
  std::pair<std::int32_t, Weights> to_use(int microbatch, const InFlight& in_flight);

  // The sum of gradients of a window; others read it once this rank has come to its reduction.
  std::shared_ptr<BlockWeights> gradients(int window);
  // The sum over all replicas, where there are several.
  void set_total(std::shared_ptr<BlockWeights> total) { total_ = std::move(total); }
  std::shared_ptr<BlockWeights> total(int window) { return total_ ? total_ : gradients(window); }

  // The weights after the update of that window.
  void take(int window, Weights next, const BlockWeights& previous);

 private:
  using Predictions = std::map<int, std::pair<std::int32_t, Weights>>;  // window

  std::pair<std::int32_t, Weights> at(std::int32_t version) const;
  int kept_versions() const;
  std::pair<std::int32_t, Weights> predicted(Predictions& made, int window, bool forward);

  const Shape& shape_;
  int rank_;
  std::int32_t current_ = 0;
  std::map<std::int32_t, Weights> versions_{};
  BlockWeights last_step_;
  std::shared_ptr<BlockWeights> total_{};
  Predictions forward_{}, backward_{};
  std::mutex mutex_{};
  std::map<int, std::shared_ptr<BlockWeights>> gradients_{};  // window
};

}  // namespace stagesim
