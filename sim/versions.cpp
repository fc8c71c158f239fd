#include "sim/versions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>

namespace stagesim {
namespace {

constexpr std::size_t kMostViolations = 20;

// One stage replica as its rank runs it.
class Replica {
 public:
  // entered: [micro-batch], the version that stage 0 read (vertical sync)
  Replica(const Shape& shape, StageVersions& result, std::vector<std::string>& violations,
          std::vector<std::int32_t>& entered)
      : shape_(shape), result_(result), violations_(violations), entered_(entered) {}

  std::int32_t forward(const Op& op) {
    const std::int32_t version = wanted(op);
    const std::int32_t oldest = held_.empty() ? current_ : std::min(current_, held_.begin()->first);
    if ((version > current_ && shape_.rule != VersionRule::kPredict) ||
        (shape_.rule == VersionRule::kDoubleBuffer && version < std::min(oldest, current_ - 1))) {
      violate(op,
              fmt::format("reads version {}, but the stage is at version {}", version, current_));
    }
    read_[op.microbatch] = version;
    ++held_[version];
    next_window_ = std::max(next_window_, (op.microbatch + 1) / shape_.window);
    count_copies();
    return version;
  }

  std::int32_t backward(const Op& op, bool last_part) {
    const auto read = read_.find(op.microbatch);
    if (read == read_.end()) return current_;  // a measured run may begin in the middle
    const bool own = shape_.rule == VersionRule::kStash ||
                     shape_.rule == VersionRule::kDoubleBuffer ||
                     shape_.rule == VersionRule::kVerticalSync;
    std::int32_t used = own ? read->second : current_;
    if (shape_.rule == VersionRule::kPredict) used = predicted(backward_target_, op, false);
    const std::int32_t mismatch = used - read->second;
    const std::int32_t delay = op.microbatch / shape_.window - read->second;
    if (shape_.rule == VersionRule::kFlush && (mismatch != 0 || delay != 0)) {
      violate(op, fmt::format("has mismatch {} and delay {} in a flush schedule", mismatch, delay));
    }
    if (is_gradient(op.kind) && in_statistics(op)) {
      result_.max_mismatch = further_from_zero(result_.max_mismatch, mismatch);
      result_.max_delay = further_from_zero(result_.max_delay, delay);
      sum_mismatch_ += mismatch;
      mismatched_ += mismatch != 0 ? 1 : 0;
      ++counted_;
    }
    if (last_part) {
      if (--held_[read->second] == 0) held_.erase(read->second);
      read_.erase(read);
      if (shape_.rule == VersionRule::kVerticalSync) finish_microbatch(op.microbatch);
    }
    return used;
  }

  void update(std::int32_t window) {
    current_ = window + 1;
    count_copies();
  }

  void statistics(int first, int last) { first_ = first, last_ = last; }

  void finish() {
    if (counted_ == 0) return;
    result_.mean_mismatch = static_cast<double>(sum_mismatch_) / static_cast<double>(counted_);
    result_.mismatched_share = static_cast<double>(mismatched_) / static_cast<double>(counted_);
  }

 private:
  void finish_microbatch(std::int32_t microbatch) {
    finished_.insert(microbatch);
    while (finished_.count(first_unfinished_) > 0) finished_.erase(first_unfinished_++);
  }

  std::int32_t wanted(const Op& op) {
    switch (shape_.rule) {
      case VersionRule::kDoubleBuffer:
        return std::max(op.microbatch / shape_.window - 1, 0);
      case VersionRule::kVerticalSync: {
        std::int32_t& entered = entered_[static_cast<std::size_t>(op.microbatch)];
        if (op.stage == 0 || entered < 0) entered = current_;  // a measured run may begin midway
        return entered;
      }
      case VersionRule::kPredict:
        return predicted(forward_target_, op, true);
      default:
        return current_;
    }
  }

  // The weights of a window are predicted at its first forward, and again at its first backward.
  std::int32_t predicted(std::map<int, std::int32_t>& target, const Op& op, bool forward) const {
    const int window = op.microbatch / shape_.window;
    const auto [entry, fresh] = target.try_emplace(window, 0);
    if (fresh) entry->second = current_ + predicted_ahead(shape_, result_.rank, forward);
    target.erase(target.begin(), target.lower_bound(window - 1));
    return entry->second;
  }

  bool in_statistics(const Op& op) const {
    const int window = op.microbatch / shape_.window;
    return window >= first_ && (last_ < 0 || window <= last_);
  }

  void count_copies() {
    int copies = 1;
    if (shape_.rule == VersionRule::kStash) {
      copies = static_cast<int>(held_.size()) + (held_.count(current_) ? 0 : 1);
    } else if (shape_.rule == VersionRule::kVerticalSync) {
      // Micro-batches on their way to this stage will ask for what stage 0 had when they entered.
      std::int32_t oldest = current_;
      if (first_unfinished_ < shape_.microbatches) {
        const std::int32_t entered = entered_[static_cast<std::size_t>(first_unfinished_)];
        if (entered >= 0) oldest = std::min(oldest, entered);
      }
      copies = current_ - oldest + 1;
    } else if (shape_.rule == VersionRule::kPredict) {
      copies = 3;  // the weights, and what they are predicted to be for forwards and for backwards
    } else if (shape_.rule == VersionRule::kDoubleBuffer) {
      // Everything from the oldest version in use, or due for the next forward, up to the newest.
      std::int32_t oldest = std::min(current_, std::max(next_window_ - 1, 0));
      if (!held_.empty()) oldest = std::min(oldest, held_.begin()->first);
      copies = current_ - oldest + 1;
      if (copies > 2 && result_.copies <= 2)
        violations_.push_back(fmt::format(
            "stage {} of pipeline {} holds {} weight versions, but a double buffer has 2",
            result_.stage, result_.pipeline, copies));
    }
    result_.copies = std::max(result_.copies, copies);
  }

  void violate(const Op& op, const std::string& what) {
    if (violations_.size() < kMostViolations) {
      violations_.push_back(
          fmt::format("{} of pipeline {} {}", cell_text(op, 1), op.pipeline, what));
    }
  }

  const Shape& shape_;
  StageVersions& result_;
  std::vector<std::string>& violations_;
  std::map<std::int32_t, std::int32_t> read_;  // micro-batch in flight -> version its F read
  std::map<std::int32_t, int> held_;           // version -> micro-batches in flight that read it
  // Vertical sync only.
  std::vector<std::int32_t>& entered_;
  std::set<std::int32_t> finished_;  // beyond the first that is not
  std::int32_t first_unfinished_ = 0;
  std::map<int, std::int32_t> forward_target_, backward_target_;  // window -> predicted version
  std::int32_t current_ = 0, next_window_ = 0;
  int first_ = 0, last_ = -1;
  std::int64_t sum_mismatch_ = 0, mismatched_ = 0, counted_ = 0;
};

}  // namespace

int further_from_zero(int a, int b) {
  if (std::abs(a) != std::abs(b)) return std::abs(a) > std::abs(b) ? a : b;
  return std::max(a, b);
}

int predicted_ahead(const Shape& shape, int rank, bool forward) {
  const double m = shape.window;
  const int half = rank / 2;
  const double steps = forward ? (shape.stages + m - half - 2) / m : (m + half - 1) / m;
  return static_cast<int>(std::nearbyint(steps));
}

Versions versions(const Timeline& timeline, int first_window, int last_window) {
  const Shape& shape = timeline.shape();
  const Activities& what = *timeline.what;
  Versions result;
  result.version.assign(what.size(), -1);
  for (int p = 0; p < shape.pipelines; ++p) {
    for (int stage = 0; stage < shape.stages; ++stage) {
      result.stages.push_back({.pipeline = p, .stage = stage, .rank = shape.rank_of(p, stage)});
    }
  }
  std::vector<std::int32_t> entered;
  if (shape.rule == VersionRule::kVerticalSync)
    entered.assign(static_cast<std::size_t>(shape.microbatches), -1);
  std::vector<Replica> replicas;
  replicas.reserve(result.stages.size());
  for (StageVersions& stage : result.stages) {
    replicas.emplace_back(shape, stage, result.violations, entered)
        .statistics(first_window, last_window);
  }
  // The rank of stage 0 first: under vertical sync the others ask what it read.
  std::vector<int> ranks(static_cast<std::size_t>(shape.ranks));
  std::iota(ranks.begin(), ranks.end(), 0);
  if (!result.stages.empty())
    std::swap(ranks.front(), ranks[static_cast<std::size_t>(result.stages.front().rank)]);
  for (const int r : ranks) {
    for (const TaskId t : order_of_rank(timeline, r)) {
      const Op& op = what.op[t];
      Replica& replica = replicas[op.pipeline * static_cast<std::size_t>(shape.stages) + op.stage];
      if (op.kind == OpKind::kForward) {
        result.version[t] = replica.forward(op);
      } else if (is_gradient(op.kind)) {
        result.version[t] = replica.backward(op, op.kind == OpKind::kBackward);
      } else if (op.kind == OpKind::kWeightGrad) {
        result.version[t] = replica.backward(op, true);
      } else if (is_update_part(op.kind)) {
        result.version[t] = op.microbatch;
        if (op.kind == OpKind::kStep || op.kind == OpKind::kBroadcast)
          replica.update(op.microbatch);
      }
    }
  }
  for (Replica& replica : replicas) replica.finish();
  result.copies_of_rank.assign(static_cast<std::size_t>(shape.ranks), 0);
  for (const StageVersions& stage : result.stages) {
    result.copies_of_rank[static_cast<std::size_t>(stage.rank)] += stage.copies;
  }
  return result;
}

}  // namespace stagesim
