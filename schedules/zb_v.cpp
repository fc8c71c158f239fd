#include <algorithm>
#include <deque>
#include <optional>

#include "schedules/generators.hpp"
#include "schedules/v_shape.hpp"

namespace stagesim {
namespace {

// One rank of ZB-V on a clock of unit passes.
class Rank {
 public:
  Rank(int ranks, int rank, int microbatches) : p_(ranks), r_(rank), m_(microbatches) {
    for (auto& ends : end_) ends.reserve(static_cast<std::size_t>(m_));
  }

  bool done() const { return end_[kWUp].size() + end_[kWDown].size() == std::size_t(2 * m_); }

  // What to start at `now`: forward, input gradient and weight gradient in turn, the next of them
  // where one has to wait. Weight gradients lose their turn until the rank has once held all it
  // may, and after the last forward: from then on they only fill what would be idle.
  std::optional<VPass> choose(int now, const std::vector<Rank>& all) const {
    if (next(kFDown) == m_ && next(kFUp) == m_) {
      if (const auto pass = input_grad(now, all)) return pass;
      return weight_grad();
    }
    for (int i = 0; i < 3; ++i) {
      const int turn = (turn_ + i) % 3;
      const auto pass = turn == 0   ? forward(now, all)
                        : turn == 1 ? input_grad(now, all)
                                    : weight_grad();
      if (pass) return pass;
    }
    return std::nullopt;
  }

  void start(VPass pass, int now) {
    ops_.push_back(v_cell(pass, p_, r_, next(pass)));
    end_[pass].push_back(now + 1);
    if (pass <= kFUp) {
      full_ = ++live_ == 2 * p_ || full_;
      turn_ = 1;
    } else if (pass <= kIDown) {
      pending_.push_back(pass == kIUp ? kWUp : kWDown);
      turn_ = full_ ? 2 : 0;
    } else {
      pending_.pop_front();
      --live_;
      turn_ = 0;
    }
  }

  const std::vector<Op>& ops() const { return ops_; }

 private:
  int next(VPass pass) const { return static_cast<int>(end_[pass].size()); }
  bool ended(VPass pass, int microbatch, int now) const {
    return microbatch < next(pass) && end_[pass][std::size_t(microbatch)] <= now;
  }

  bool ready(VPass pass, int now, const std::vector<Rank>& all) const {
    const int k = next(pass), from = pass == kFDown || pass == kIUp ? r_ - 1 : r_ + 1;
    if (k == m_) return false;
    if (from >= 0 && from < p_ && !all[std::size_t(from)].ended(pass, k, now)) return false;
    // At the turns of the V the pass before is this rank's own; I also needs the stage's forward,
    // which is always earlier.
    return pass == kFDown || (from >= 0 && from < p_) || ended(VPass(pass - 1), k, now);
  }

  std::optional<VPass> forward(int now, const std::vector<Rank>& all) const {
    if (live_ < 2 * p_ && ready(kFUp, now, all)) return kFUp;
    // One place stays free for the first forward that comes back, or no backward could start.
    const int most = next(kFUp) == 0 ? 2 * p_ - 1 : 2 * p_;
    if (live_ < most && ready(kFDown, now, all)) return kFDown;
    return std::nullopt;
  }

  std::optional<VPass> input_grad(int now, const std::vector<Rank>& all) const {
    const bool down = ready(kIDown, now, all);
    if (down && next(kIUp) > next(kIDown)) return kIDown;
    if (ready(kIUp, now, all)) return kIUp;
    return down ? std::optional(kIDown) : std::nullopt;
  }

  std::optional<VPass> weight_grad() const {
    return pending_.empty() ? std::nullopt : std::optional(pending_.front());
  }

  int p_, r_, m_;
  std::array<std::vector<int>, kVPasses> end_;
  std::deque<VPass> pending_;
  std::vector<Op> ops_;
  int live_ = 0, turn_ = 0;  // turn: 0 forward, 1 input gradient, 2 weight gradient
  bool full_ = false;
};

Schedule zb_v(const ScheduleParams& params, const Costs*) {
  const int p = params.ranks, m = params.window;
  std::vector<Rank> ranks;
  for (int r = 0; r < p; ++r) ranks.emplace_back(p, r, m);
  std::vector<std::optional<VPass>> chosen(static_cast<std::size_t>(p));
  bool busy = true;
  for (int now = 0; busy; ++now) {
    busy = false;
    bool moved = false;
    for (std::size_t r = 0; r < ranks.size(); ++r) chosen[r] = ranks[r].choose(now, ranks);
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      if (chosen[r]) ranks[r].start(*chosen[r], now);
      moved = moved || chosen[r].has_value();
      busy = busy || !ranks[r].done();
    }
    STAGESIM_CHECK(moved);
  }
  std::vector<std::vector<Op>> order;
  for (const Rank& rank : ranks) order.push_back(rank.ops());
  return v_schedule("zb-v", params, order);
}

std::vector<ClosedForm> closed_forms(const ScheduleParams& params, const EqualStages& t) {
  const int p = params.ranks, m = params.window;
  const double pass = equal_pass(t);
  if (m < 2 * p - 1 || pass == 0) return {};
  return {{"span", "6 m F, times of one stage, F = I = W, m >= 2 p - 1",
           "arXiv 2401.10241 section 6", 6 * m * pass},
          {"wall", "(6 m + p - 1) F, F = I = W, m >= 2 p - 1",
           "derived: the last rank starts p - 1 passes late", (6 * m + p - 1) * pass}};
}

}  // namespace

ScheduleInfo zb_v_info() {
  return {"zb-v",
          {},
          "two stages per rank in a V, split backward: no idle inside a rank's own span, "
          "activations as 1F1B",
          "Zero Bubble, arXiv 2401.10241 section 6",
          VersionRule::kFlush,
          {},
          batch_window,
          zb_v,
          two_stages,
          [](const ScheduleParams& p, int) { return 2 * std::min(p.ranks, p.window); },
          closed_forms};
}

}  // namespace stagesim
