#include "sim/op.hpp"

#include <fmt/format.h>

namespace stagesim {

std::string_view text(OpKind kind) {
  switch (kind) {
    case OpKind::kForward:
      return "F";
    case OpKind::kBackward:
      return "B";
    case OpKind::kInputGrad:
      return "I";
    case OpKind::kWeightGrad:
      return "W";
    case OpKind::kUpdate:
      return "U";
    case OpKind::kReduce:
      return "REDUCE";
    case OpKind::kBarrier:
      return "BARRIER";
    case OpKind::kStep:
      return "STEP";
    case OpKind::kBroadcast:
      return "BCAST";
    case OpKind::kSendForward:
      return "SEND_F";
    case OpKind::kSendBackward:
      return "SEND_B";
    case OpKind::kJoin:
      return "JOIN";
    case OpKind::kPair:
      return "OVERLAP_F_B";
  }
  return "?";
}

std::string cell_text(const Op& op, int pipelines) {
  std::string cell = fmt::format("{}{}{}", op.stage, text(op.kind), op.microbatch);
  if (pipelines > 1) cell += fmt::format("@{}", op.pipeline);
  return cell;
}

std::string pair_text(const Op& forward, const Op& backward, int pipelines) {
  return fmt::format("({};{}){}", cell_text(forward, pipelines), cell_text(backward, pipelines),
                     text(OpKind::kPair));
}

}  // namespace stagesim
