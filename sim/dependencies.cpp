#include "sim/dependencies.hpp"

namespace stagesim {

Dependencies dependencies(const Op& op, int stages) {
  Dependencies result;
  const auto need = [&](OpKind kind, int stage, DependencyKind why) {
    Dependency& d = result.items[result.count++];
    d.op = op;
    d.op.kind = kind;
    d.op.pair = PairPart::kNone;
    d.op.stage = static_cast<std::uint16_t>(stage);
    d.kind = why;
  };
  switch (op.kind) {
    case OpKind::kForward:
      if (op.stage > 0) need(OpKind::kForward, op.stage - 1, DependencyKind::kActivation);
      break;
    case OpKind::kBackward:
    case OpKind::kInputGrad:
      need(OpKind::kForward, op.stage, DependencyKind::kOwnForward);
      if (op.stage + 1 < stages) need(OpKind::kBackward, op.stage + 1, DependencyKind::kGradient);
      break;
    case OpKind::kWeightGrad:
      need(OpKind::kInputGrad, op.stage, DependencyKind::kOwnInputGrad);
      break;
    case OpKind::kUpdate:
    case OpKind::kReduce:
    case OpKind::kBarrier:
    case OpKind::kStep:
    case OpKind::kBroadcast:
    case OpKind::kSendForward:
    case OpKind::kSendBackward:
    case OpKind::kJoin:
    case OpKind::kPair:
      break;
  }
  return result;
}

OpIndex::OpIndex(int stages, int microbatches)
    : stages_(static_cast<std::size_t>(stages)),
      microbatches_(static_cast<std::size_t>(microbatches)) {
  forward_.assign(stages_ * microbatches_, kNone);
  gradient_.assign(stages_ * microbatches_, kNone);
}

std::size_t OpIndex::slot(const Op& op) const {
  return op.stage * microbatches_ + static_cast<std::size_t>(op.microbatch);
}

bool OpIndex::insert(const Op& op, std::uint32_t position) {
  std::vector<std::uint32_t>* part = nullptr;
  if (op.kind == OpKind::kForward) part = &forward_;
  if (is_gradient(op.kind)) part = &gradient_;
  if (op.kind == OpKind::kWeightGrad) part = &weight_;
  const bool inside = op.stage < stages_ && op.microbatch >= 0 &&
                      static_cast<std::size_t>(op.microbatch) < microbatches_;
  if (part == nullptr || !inside) return false;
  if (part->empty()) part->assign(stages_ * microbatches_, kNone);
  std::uint32_t& entry = (*part)[slot(op)];
  if (entry != kNone) return false;
  entry = position;
  return true;
}

std::uint32_t OpIndex::find(const Op& op) const {
  if (op.stage >= stages_ || op.microbatch < 0 ||
      static_cast<std::size_t>(op.microbatch) >= microbatches_) {
    return kNone;
  }
  if (op.kind == OpKind::kForward) return forward_[slot(op)];
  if (is_gradient(op.kind)) return gradient_[slot(op)];
  if (op.kind == OpKind::kWeightGrad && !weight_.empty()) return weight_[slot(op)];
  return kNone;
}

}  // namespace stagesim
