#include <fmt/format.h>

#include <deque>

#include "schedules/generators.hpp"
#include "schedules/orders.hpp"

namespace stagesim {
namespace {

// One rank of DualPipe: the two streams that cross it and what it has put off.
class DualRank {
 public:
  DualRank(std::vector<Op>& ops, const DualStream& own, const DualStream& other)
      : ops_(ops), streams_{own, other} {}

  void forward(int i) { ops_.push_back(next(OpKind::kForward, i)); }
  void backward(int i) {
    if (put_off_weights) {
      ops_.push_back(next(OpKind::kInputGrad, i));
      Op weight = ops_.back();
      weight.kind = OpKind::kWeightGrad;
      weights_.push_back(weight);
    } else {
      ops_.push_back(next(OpKind::kBackward, i));
    }
  }
  void weight() {
    ops_.push_back(weights_.front());
    weights_.pop_front();
  }
  void pair(int forward_of, int backward_of) {
    ops_.push_back(next(OpKind::kForward, forward_of));
    ops_.back().pair = PairPart::kForward;
    ops_.push_back(next(OpKind::kBackward, backward_of));
    ops_.back().pair = PairPart::kBackward;
  }
  bool put_off_weights = false;

 private:
  Op next(OpKind kind, int i) {
    const auto& s = streams_[static_cast<std::size_t>(i)];
    int& done = (kind == OpKind::kForward ? forwards_ : backwards_)[static_cast<std::size_t>(i)];
    return cell(kind, s.stage, s.first + done++, s.pipeline);
  }

  std::vector<Op>& ops_;
  std::array<DualStream, 2> streams_;
  std::array<int, 2> forwards_{}, backwards_{};
  std::deque<Op> weights_;
};

}  // namespace

// The eight steps of deepseek-ai/DualPipe's runtime, dualpipe.py. Stream 0 reaches this rank
// `position` hops after its start, stream 1 on the way back from the turn.
void append_dual_pipe(std::vector<Op>& ops, int length, int position, int microbatches,
                      const DualStream& own, const DualStream& other) {
  DualRank rank(ops, own, other);
  const int behind = length - 1 - position;  // hops to the turn
  for (int i = 0; i < 2 * behind; ++i) rank.forward(0);
  for (int i = 0; i <= position; ++i) {
    rank.forward(0);
    rank.forward(1);
  }
  rank.put_off_weights = true;
  for (int i = 0; i < behind; ++i) {
    rank.backward(1);
    rank.weight();
    rank.forward(1);
  }
  rank.put_off_weights = false;
  for (int i = 0; i < microbatches - 2 * length + position + 1; ++i) {
    if (i == 0 && behind == 0) {  // at the turn the backward waits for the forward right before it
      rank.forward(0);
      rank.backward(1);
    } else {
      rank.pair(0, 1);
    }
    rank.pair(1, 0);
  }
  for (int i = 0; i < behind; ++i) {
    rank.backward(1);
    rank.pair(1, 0);
  }
  const int half = (position + 1) / 2;
  for (int i = 0; i <= position; ++i) {
    if (i == half && position % 2 == 1) rank.put_off_weights = true;
    rank.backward(1);
    if (i == half && position % 2 == 0) rank.put_off_weights = true;
    rank.backward(0);
  }
  for (int i = 0; i < behind; ++i) {
    rank.weight();
    rank.backward(0);
  }
  for (int i = 0; i <= position; ++i) rank.weight();
}

namespace {

Schedule dualpipe(const ScheduleParams& params, const Costs*) {
  const int p = params.ranks, m = params.window;
  check_even_ranks("dualpipe", p, "because its two directions meet between two ranks");
  if (m % 2 != 0 || m < 2 * p) {
    throw ShapeError(
        fmt::format("dualpipe: {} micro-batches on {} ranks; it needs an even number (half for "
                    "each direction) of at least 2 p = {}; use {}",
                    m, p, 2 * p, m < 2 * p ? 2 * p : m + 1));
  }
  Schedule s = one_pipeline("dualpipe", params, 1, Placement::kLoop);
  add_mirror(s);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    const DualStream down{0, rank, first}, up{1, p - 1 - rank, first + m / 2};
    const bool upper = rank < p / 2;
    append_dual_pipe(ops, p / 2, upper ? rank : p - 1 - rank, m / 2, upper ? down : up,
                     upper ? up : down);
  });
  return s;
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  if (t.forward != t.input_grad || t.forward != t.weight_grad || t.pair != 3 * t.forward) return {};
  return {
      {"wall", "m (F + B) + (p/2 - 1)(F&B + B - 3 W), F = I = W, F&B = F + B",
       "DeepSeek-V3, arXiv 2412.19437 Table 2",
       m * (t.forward + t.backward) + (p / 2.0 - 1) * (t.pair + t.backward - 3 * t.weight_grad)}};
}

}  // namespace

ScheduleInfo dualpipe_info() {
  return {"dualpipe",
          {},
          "two directions over two weight replicas, forward and backward of them overlapped in "
          "pairs; the batch counts both directions",
          "DeepSeek-V3, arXiv 2412.19437 section 3.2.1; deepseek-ai/DualPipe",
          VersionRule::kFlush,
          {},
          batch_window,
          dualpipe,
          nullptr,
          [](const ScheduleParams& p, int) { return p.ranks + 1; },
          closed_forms};
}

}  // namespace stagesim
