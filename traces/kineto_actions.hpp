#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "sim/base/error.hpp"
#include "traces/kineto.hpp"
#include "traces/timeline_json.hpp"

// What the ranges of traces are of; for kineto_import.cpp alone.
namespace stagesim {

// The compute ops of one rank in one of the steps, by start.
struct MeasuredOp {
  std::vector<Op> ops{};  // two of an overlapped pair
  const ProfiledRange* range = nullptr;
};

using Cell = std::tuple<OpKind, int, int>;  // kind, stage, micro-batch of the step
inline Cell cell_of(const Op& op) { return {op.kind, op.stage, op.microbatch}; }

struct KinetoActions {
  std::vector<const RankTrace*> of_rank{};
  std::vector<std::vector<std::vector<MeasuredOp>>> ops{};                 // [rank][step]
  std::map<std::tuple<bool, int, Cell>, const ProfiledRange*> messages{};  // send, step, cell
  std::vector<std::string> notes{};
};

// Which trace is of which rank, and the k-th range of each action as step k. Throws InputError for
// ranks that are missing or there twice and for several pipelines; other problems are added.
KinetoActions kineto_actions(const std::vector<RankTrace>& traces, const TimelineFile& ran,
                             Problems& problems);

}  // namespace stagesim
