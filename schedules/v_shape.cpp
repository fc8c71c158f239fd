#include "schedules/v_shape.hpp"

#include <algorithm>
#include <deque>

namespace stagesim {
namespace {

constexpr int kInterval = 6;  // slots of F, I and W of two stages

struct Slot {
  VPass pass = kVPasses;  // kVPasses: idle
  int microbatch = 0;
  bool idle() const { return pass == kVPasses; }
  bool forward() const { return pass <= kFUp; }
  bool input_grad() const { return pass == kIUp || pass == kIDown; }
  bool weight_grad() const { return pass == kWUp || pass == kWDown; }
};

VPass weight_grad_of(VPass input_grad) { return input_grad == kIUp ? kWUp : kWDown; }

// All ranks on a clock of unit passes; passes only ever move to earlier slots.
class Clock {
 public:
  Clock(const std::vector<VBlock>& block, int microbatches, bool whole)
      : p_(static_cast<int>(block.size())), m_(microbatches), whole_(whole), ranks_(block.size()) {
    for (int r = 0; r < p_; ++r) {
      for (auto& starts : rank(r).start) starts.resize(static_cast<std::size_t>(m_));
      for (int pass = kFDown; pass <= kIDown; ++pass) {
        for (int k = 0; k < m_; ++k) {
          const int at = block[std::size_t(r)][std::size_t(pass)] + kInterval * k;
          put(r, at, {VPass(pass), k});
          if (whole_ && pass >= kIUp) put(r, at + 1, {weight_grad_of(VPass(pass)), k});
        }
      }
    }
    if (!whole_) fill_idle(false);
    for (int r = 0; r < p_; ++r) {
      int live = 0;
      for (const Slot& slot : rank(r).slots) {
        live += slot.forward() ? 1 : slot.weight_grad() ? -1 : 0;
        rank(r).live.push_back(live);
        most_ = std::max(most_, live);
      }
    }
  }

  // Every pass.
  void squeeze_all() { squeeze({0, 0}, length()); }

  // The warm-up, until the gradient of a micro-batch first leaves rank 0, and the drain. Between
  // them the block repeats as it is.
  void squeeze_ends() {
    squeeze({0, 0}, middle());
    squeeze(drain(), length());
  }

  // The drain once more, with weight gradients only where a rank would be idle.
  void squeeze_drain_without_weight_grads() {
    start_early();
    for (int r = 0; r < p_; ++r) {
      for (Slot& slot : rank(r).slots) {
        if (slot.weight_grad()) slot = {};
      }
      rank(r).live.assign(rank(r).slots.size(), -1);
      rank(r).pending.assign(rank(r).slots.size(), -1);
      fits(r, 0, length());
    }
    const Place begin = drain();
    const int end = length();
    for (int t = begin.slot; t < end; ++t) {
      for (int r = t == begin.slot ? begin.rank + 1 : 0; r < p_; ++r) move_into_idle(r, t);
    }
    // Those of stage 2 p - 1 - r first, as the authors' planner has it; makespan and peak at equal
    // passes are the same either way.
    fill_idle(true);
  }

  // Leaves out the micro-batches from `count` on; what stays starts as early as it can.
  void keep(int count) {
    for (Rank& rank : ranks_) {
      for (Slot& slot : rank.slots) {
        if (slot.microbatch >= count) slot = {};
      }
    }
    start_early();
  }

  int length() const {
    std::size_t most = 0;
    for (const Rank& rank : ranks_) most = std::max(most, rank.slots.size());
    return static_cast<int>(most);
  }

  std::vector<Op> order(int r) {
    std::vector<Op> ops;
    for (const Slot& slot : rank(r).slots) {
      if (slot.idle() || (whole_ && slot.weight_grad())) continue;
      ops.push_back(v_cell(slot.pass, p_, r, slot.microbatch, whole_));
    }
    return ops;
  }

 private:
  struct Rank {
    std::vector<Slot> slots;
    std::array<std::vector<int>, kVPasses> start;
    std::vector<int> live, pending;  // activations and weight gradients left after each slot
  };

  Rank& rank(int r) { return ranks_[static_cast<std::size_t>(r)]; }
  Slot& slot(int r, int t) { return rank(r).slots[static_cast<std::size_t>(t)]; }
  int& live(int r, int t) { return rank(r).live[static_cast<std::size_t>(t)]; }
  int& start(int r, VPass pass, int k) { return rank(r).start[pass][static_cast<std::size_t>(k)]; }
  // Where the drain begins: with the first rank whose last forward goes down after the middle has
  // begun. That forward stays.
  struct Place {
    int slot = 0, rank = 0;
  };
  Place drain() {
    Place begin{length(), 0};
    for (int r = p_ - 1; r >= 0; --r) {
      const int last = start(r, kFDown, m_ - 1);
      if (last > middle() && last <= begin.slot) begin = {last, r};
    }
    return begin;
  }
  int middle() { return start(0, kIDown, 0); }

  void put(int r, int t, Slot what) {
    if (t >= static_cast<int>(rank(r).slots.size())) rank(r).slots.resize(std::size_t(t) + 1);
    slot(r, t) = what;
    start(r, what.pass, what.microbatch) = t;
  }

  // The first slot in which the pass could run by its dependencies.
  int earliest(int r, const Slot& what) {
    const int k = what.microbatch;
    if (what.weight_grad()) return start(r, what.pass == kWUp ? kIUp : kIDown, k) + 1;
    const int from = what.pass == kFDown || what.pass == kIUp ? r - 1 : r + 1;
    const auto end = [&](int on, VPass pass, int j) {
      return start(on, pass, j) + (whole_ && pass >= kIUp ? 2 : 1);
    };
    int at = k > 0 ? end(r, what.pass, k - 1) : 0;
    if (from >= 0 && from < p_) return std::max(at, end(from, what.pass, k));
    return what.pass == kFDown ? at : std::max(at, end(r, VPass(what.pass - 1), k));
  }

  // After `begin`, whose pass stays, and before slot `end`.
  void squeeze(Place begin, int end) {
    for (int t = begin.slot; t < end; ++t) {
      for (int r = t == begin.slot ? begin.rank + 1 : 0; r < p_; ++r) {
        if (t >= static_cast<int>(rank(r).slots.size()) || slot(r, t).idle()) continue;
        if (whole_ && slot(r, t).weight_grad()) continue;  // goes with its first half
        move_early(r, t);
      }
    }
  }

  void move_early(int r, int t) {
    const Slot what = slot(r, t);
    const bool pair = whole_ && what.input_grad();
    int at = earliest(r, what);
    if (what.forward()) {
      int low = t;
      while (low > at && live(r, low - 1) < most_) --low;
      at = low;
    }
    const auto free = [&](int s) { return s >= t || slot(r, s).idle(); };
    while (at < t && !(free(at) && (!pair || free(at + 1)))) ++at;
    if (at >= t) return;
    slot(r, t) = {};
    if (pair) slot(r, t + 1) = {};
    put(r, at, what);
    if (pair) put(r, at + 1, {weight_grad_of(what.pass), what.microbatch});
    const int change = what.forward() ? 1 : pair || what.weight_grad() ? -1 : 0;
    for (int s = at; change != 0 && s < t; ++s) live(r, s + (pair ? 1 : 0)) += change;
  }

  // Each rank keeps its order and starts every pass as early as it can.
  void start_early() {
    std::vector<Rank> old(ranks_.size());
    const int end = length();
    for (int r = 0; r < p_; ++r) old[std::size_t(r)].slots.swap(rank(r).slots);
    for (int t = 0; t < end; ++t) {
      for (int r = 0; r < p_; ++r) {
        const auto& slots = old[std::size_t(r)].slots;
        if (t >= static_cast<int>(slots.size()) || slots[std::size_t(t)].idle()) continue;
        const Slot& what = slots[std::size_t(t)];
        put(r, std::max(static_cast<int>(rank(r).slots.size()), earliest(r, what)), what);
      }
    }
  }

  // Moves the pass of slot t to the first idle slot that keeps the peak.
  void move_into_idle(int r, int t) {
    if (t >= static_cast<int>(rank(r).slots.size()) || slot(r, t).idle()) return;
    const Slot what = slot(r, t);
    for (int at = earliest(r, what); at < t; ++at) {
      if (!slot(r, at).idle()) continue;
      slot(r, t) = {};
      put(r, at, what);
      if (fits(r, at, t)) return;
      slot(r, at) = {};
      put(r, t, what);
      fits(r, at, t);
    }
  }

  // Counts again from slot `begin` on until nothing changes after slot `end`: every idle slot runs
  // a weight gradient that waits. False if the rank holds more than the block up to there.
  bool fits(int r, int begin, int end) {
    Rank& on = rank(r);
    int live = begin > 0 ? on.live[std::size_t(begin) - 1] : 0;
    int pending = begin > 0 ? on.pending[std::size_t(begin) - 1] : 0;
    bool fit = true;
    for (std::size_t t = static_cast<std::size_t>(begin); t < on.slots.size(); ++t) {
      if (on.slots[t].forward()) ++live;
      if (on.slots[t].input_grad()) ++pending;
      if (on.slots[t].idle() && pending > 0) --live, --pending;
      if (static_cast<int>(t) > end && on.live[t] == live && on.pending[t] == pending) break;
      on.live[t] = live;
      on.pending[t] = pending;
      fit = fit && live <= most_;
    }
    return fit;
  }

  // Weight gradients in idle slots, in the order of the input gradients or those of "up" first.
  void fill_idle(bool up_first) {
    for (int r = 0; r < p_; ++r) {
      std::deque<Slot> up, down;
      const std::size_t end = rank(r).slots.size();
      for (std::size_t t = 0; t < end || !up.empty() || !down.empty(); ++t) {
        const Slot here = t < end ? rank(r).slots[t] : Slot{};
        if (here.input_grad()) {
          auto& queue = up_first && here.pass == kIDown ? down : up;
          queue.push_back({weight_grad_of(here.pass), here.microbatch});
        }
        auto& next = up.empty() ? down : up;
        if (!here.idle() || next.empty()) continue;
        put(r, static_cast<int>(t), next.front());
        next.pop_front();
      }
    }
  }

  int p_, m_;
  bool whole_;
  int most_ = 0;
  std::vector<Rank> ranks_;
};

}  // namespace

std::vector<std::vector<Op>> squeezed_block(const std::vector<VBlock>& block, int microbatches,
                                            bool whole_backward) {
  const auto laid_out = [&](int count) {
    Clock clock(block, count, whole_backward);
    if (whole_backward) {
      clock.squeeze_all();
    } else {
      clock.squeeze_ends();
      clock.squeeze_drain_without_weight_grads();
    }
    clock.keep(microbatches);
    return clock;
  };
  Clock best = laid_out(microbatches);
  // With fewer micro-batches than fill the pipe there is no middle to keep, and squeezing may go
  // astray: p = 8 would take longer for 6 than for 7. The best of all fuller pipes without their
  // surplus never does, as a micro-batch less cannot take longer in the same order.
  const int full = (block[0][kIDown] + kInterval - 1) / kInterval + 1;
  for (int count = microbatches + 1; count <= full; ++count) {
    Clock cut = laid_out(count);
    if (cut.length() < best.length()) best = std::move(cut);
  }
  std::vector<std::vector<Op>> order;
  for (int r = 0; r < static_cast<int>(block.size()); ++r) order.push_back(best.order(r));
  return order;
}

Schedule v_schedule(std::string_view name, const ScheduleParams& params,
                    const std::vector<std::vector<Op>>& order) {
  Schedule s = one_pipeline(name, params, 2, Placement::kZigzag);
  append_windows(s, [&](std::vector<Op>& ops, int rank, int first) {
    for (Op op : order[static_cast<std::size_t>(rank)]) {
      op.microbatch += first;
      ops.push_back(op);
    }
  });
  return s;
}

}  // namespace stagesim
