#include "tools/execute/train_replica.hpp"

#include "sim/versions.hpp"

namespace stagesim {

void add_scaled(BlockWeights& to, const BlockWeights& what, double factor) {
  for (std::size_t b = 0; b < to.size(); ++b)
    for (std::size_t i = 0; i < to[b].size(); ++i) to[b][i] += factor * what[b][i];
}

BlockWeights zeros_like(const BlockWeights& weights) {
  BlockWeights zeros;
  for (const Numbers& block : weights) zeros.emplace_back(block.size(), 0.0);
  return zeros;
}

Replica::Replica(const Shape& shape, int rank, BlockWeights weights)
    : shape_(shape), rank_(rank), last_step_(zeros_like(weights)) {
  versions_[0] = std::make_shared<BlockWeights>(std::move(weights));
}

std::pair<std::int32_t, Weights> Replica::to_read(int microbatch, std::int32_t entered) {
  const int window = microbatch / shape_.window;
  switch (shape_.rule) {
    case VersionRule::kDoubleBuffer:
      return at(std::max(window - 1, 0));
    case VersionRule::kVerticalSync:
      return at(entered);
    case VersionRule::kPredict:
      return predicted(forward_, window, true);
    default:
      return at(current_);
  }
}

std::pair<std::int32_t, Weights> Replica::to_use(int microbatch, const InFlight& in_flight) {
  switch (shape_.rule) {
    case VersionRule::kStash:
    case VersionRule::kDoubleBuffer:
    case VersionRule::kVerticalSync:
      return {in_flight.version, in_flight.read};
    case VersionRule::kPredict:
      return predicted(backward_, microbatch / shape_.window, false);
    default:
      return at(current_);
  }
}

std::shared_ptr<BlockWeights> Replica::gradients(int window) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<BlockWeights>& sum = gradients_[window];
  if (!sum) sum = std::make_shared<BlockWeights>(zeros_like(*weights()));
  return sum;
}

void Replica::take(int window, Weights next, const BlockWeights& previous) {
  last_step_ = *next;
  add_scaled(last_step_, previous, -1);
  current_ = window + 1;
  versions_[current_] = std::move(next);
  versions_.erase(versions_.begin(), versions_.lower_bound(current_ - kept_versions() + 1));
  total_.reset();
  // Of the window before, which nobody reads any more: all have come to this one's reduction.
  const std::lock_guard lock(mutex_);
  gradients_.erase(gradients_.begin(), gradients_.lower_bound(window));
}

std::pair<std::int32_t, Weights> Replica::at(std::int32_t version) const {
  const auto found = versions_.find(version);
  STAGESIM_CHECK(found != versions_.end());
  return *found;
}

// As many as a reader may still ask for by number; a stash lives with its micro-batch.
int Replica::kept_versions() const {
  if (shape_.rule == VersionRule::kDoubleBuffer) return 2;
  return shape_.rule == VersionRule::kVerticalSync ? 2 * shape_.stages + 2 : 1;
}

// The weights of a window are predicted once, as its versions are counted (sim/versions.cpp).
std::pair<std::int32_t, Weights> Replica::predicted(Predictions& made, int window, bool forward) {
  const auto [entry, fresh] = made.try_emplace(window);
  if (fresh) {
    const int ahead = predicted_ahead(shape_, rank_, forward);
    auto weights = std::make_shared<BlockWeights>(*versions_.at(current_));
    add_scaled(*weights, last_step_, ahead);
    entry->second = {current_ + ahead, std::move(weights)};
  }
  const auto result = entry->second;
  made.erase(made.begin(), made.lower_bound(window - 1));
  return result;
}

}  // namespace stagesim
