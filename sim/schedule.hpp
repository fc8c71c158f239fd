#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/op.hpp"

namespace stagesim {

// Which weights B uses, and what a stage must keep for it (DESIGN "Versions").
enum class VersionRule : std::uint8_t {
  kFlush,         // GPipe, 1F1B: every gradient of a window is in before the update
  kStash,         // PipeDream (arXiv 1806.03377): B uses F's version
  kDoubleBuffer,  // PipeDream-2BW (arXiv 2006.09503): window w reads version max(w - 1, 0)
  kLatest,        // AMDP (arXiv 2605.29664): F and B use what is there
  kVerticalSync,  // PipeDream section 3.3: every stage uses the version that stage 0 read for F
  kPredict,       // XPipe (arXiv 1911.04610): F and B use weights predicted some updates ahead
};
inline constexpr VersionRule kVersionRules[] = {VersionRule::kFlush,        VersionRule::kStash,
                                                VersionRule::kDoubleBuffer, VersionRule::kLatest,
                                                VersionRule::kVerticalSync, VersionRule::kPredict};
std::string_view text(VersionRule rule);

// How a stage with several replicas updates.
enum class Optimizer : std::uint8_t {
  kReplicated,  // all-reduce, every replica steps
  kOwner,       // reduce to rank s for stage s, that rank steps, broadcast
};
std::string_view text(Optimizer optimizer);

// The shape of a run: replayed, measured or imported. stages = ranks x virtual stages.
struct Shape {
  int ranks = 0;
  int stages = 0;
  int pipelines = 1;
  int microbatches = 0;  // of the whole run, a multiple of window
  int window = 0;        // micro-batches between two updates of a stage
  VersionRule rule = VersionRule::kFlush;
  Optimizer optimizer = Optimizer::kReplicated;
  bool forward_only = false;         // no backward, no update: inference, evaluation
  std::vector<int> rank_of_stage{};  // [pipeline * stages + stage]

  int rank_of(int pipeline, int stage) const {
    return rank_of_stage[static_cast<std::size_t>(pipeline) * static_cast<std::size_t>(stages) +
                         static_cast<std::size_t>(stage)];
  }
  int windows() const { return window == 0 ? 0 : microbatches / window; }
};

// [rank]: the stage replicas it hosts, by pipeline, then stage.
struct HostedStage {
  std::uint16_t pipeline = 0, stage = 0;
};
std::vector<std::vector<HostedStage>> hosted_stages(const Shape& shape);

enum class Dispatch : std::uint8_t {
  kFixed,        // a rank runs its list in order
  kFifo,         // an idle rank takes what became ready first, ties to the lowest micro-batch
  kLowestFirst,  // an idle rank takes the lowest ready micro-batch, backward before forward
};
std::string_view text(Dispatch dispatch);

// A plan: in which order, never how long.
struct Schedule {
  std::string name{};
  Shape shape{};
  Dispatch dispatch = Dispatch::kFixed;
  std::vector<std::vector<Op>> ops_of_rank{};  // fixed: in order; greedy: the set, in any order
  struct Release {                             // greedy: `op` may start only after `after`
    Op op, after;
  };
  std::vector<Release> releases{};
  // Blocking communication only: the output of these ops is not posted in the group that follows
  // them, but in the next one (AMDP's preloaded forwards). A trailing + in the text form.
  std::vector<Op> late_sends{};
};

// Two lines of header, then one line of cells per rank. parse_schedule reads it back to an equal
// Schedule (fixed dispatch only) or throws InputError with line, column and token of every problem.
std::string schedule_text(const Schedule& schedule);
Schedule parse_schedule(std::string_view text, std::string_view file);

// The op of a cell, or the forward and the backward of an overlapped pair, as schedule_text and
// PyTorch's tools write them; empty: neither.
std::vector<Op> parse_op_token(std::string_view token);

// The rule check: placement, duplicates, missing micro-batches, order within a rank, overlapped
// pairs, updates after the last gradient of their window. One line per problem, in rank and step
// order; a cycle across ranks is found by replay().
std::vector<std::string> schedule_problems(const Schedule& schedule);
// Throws InputError with the problems and the grid around the first one.
void check_schedule(const Schedule& schedule);

}  // namespace stagesim
