#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stagesim {

// What a rank does (schedules hold F, B, I, W, U) and what lowering makes of it.
enum class OpKind : std::uint8_t {
  kForward,
  kBackward,     // input and weight gradient together
  kInputGrad,    // I: the first half of a split backward
  kWeightGrad,   // W: the second half
  kUpdate,       // U: shorthand, `microbatch` is the window; lowering expands it into the next four
  kReduce,       // gradients of one stage, among the replicas of that stage
  kBarrier,      // all ranks wait for each other (global gradient norm)
  kStep,         // the optimizer
  kBroadcast,    // new weights from the owner to the other replicas
  kSendForward,  // an activation on its way to the next stage
  kSendBackward,  // a gradient on its way to the previous stage
  kJoin,          // zero-length meeting point of several ranks, on no rank's lane
  kPair,          // no op of its own: the name under which reports count overlapped pairs
};
inline constexpr int kOpKinds = 13;

// "F", "SEND_F", … as PyTorch's pipelining tools write them.
std::string_view text(OpKind kind);
constexpr bool is_transfer(OpKind k) {
  return k == OpKind::kSendForward || k == OpKind::kSendBackward;
}
constexpr bool is_gradient(OpKind k) { return k == OpKind::kBackward || k == OpKind::kInputGrad; }
constexpr bool is_update_part(OpKind k) { return k >= OpKind::kUpdate && k <= OpKind::kBroadcast; }
// Time that counts as work of the rank; everything else a rank spends is idle with a cause.
constexpr bool is_busy(OpKind k) { return k <= OpKind::kWeightGrad || k == OpKind::kStep; }

// A forward and a backward that a rank runs as one joint op with its own cost (DualPipe,
// arXiv 2412.19437). They stand side by side, the forward first.
enum class PairPart : std::uint8_t { kNone, kForward, kBackward };

// Micro-batches are numbered over the whole run and each belongs to one pipeline.
struct Op {
  std::int32_t microbatch = 0;  // of an update: the window
  std::uint16_t stage = 0;
  std::uint16_t pipeline = 0;
  OpKind kind = OpKind::kForward;
  PairPart pair = PairPart::kNone;
  friend bool operator==(const Op&, const Op&) = default;
};

// "2F0", "1W3", "3B7@1" where there are several pipelines.
std::string cell_text(const Op& op, int pipelines);
// "(0F7;7B3)OVERLAP_F_B"
std::string pair_text(const Op& forward, const Op& backward, int pipelines);

}  // namespace stagesim
