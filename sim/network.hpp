#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/time.hpp"

namespace stagesim {

using LinkId = std::uint32_t;

// Directed links, and which of them a message of each lane takes. Without routes every lane is a
// link of its own that serves one message at a time.
struct Network {
  std::vector<double> gb_per_s{};            // [link]: capacity, which is bytes per nanosecond
  std::vector<std::vector<LinkId>> route{};  // [lane]: empty for a lane that computes
  bool shared() const { return !route.empty(); }
};

// The messages under way on a network and their rates. Messages that share a link share it max-min
// fairly, by progressive filling (Bertsekas and Gallager, Data Networks, section 6.5.2) with a rate
// cap per message: what it reaches alone. When one starts or ends, rates are computed again for
// those that the change can reach and for nobody else.
class FairShares {
 public:
  explicit FairShares(const Network& network);

  // A message of `bytes` (> 0) that occupies its route for `alone` (> 0) if nobody else is there.
  // Returns its slot, which is free again once it is finished.
  std::uint32_t start(const std::vector<LinkId>& route, double bytes, Nanos alone, Nanos now);
  void finish(std::uint32_t slot, Nanos now);

  // The slots whose end the last start() or finish() set or moved.
  const std::vector<std::uint32_t>& moved() const { return moved_; }
  // When it will be done if no rate changes any more: rounded up, what is left is not.
  Nanos end(std::uint32_t slot) const { return flows_[slot].end; }

 private:
  struct Flow {
    const std::vector<LinkId>* route = nullptr;
    double cap = 0, rate = 0;  // bytes per nanosecond
    double left = 0;           // bytes, at `since`
    Nanos since{}, alone{}, end{};
    bool whole = true;  // nothing sent yet at `since`
    bool reached = false;
  };
  struct Link {
    std::vector<std::uint32_t> flows;
    double spare = 0;
    std::uint32_t open = 0;  // flows without a rate yet
    bool reached = false;
  };

  void share_again(const std::vector<LinkId>& from, Nanos now);
  void reach(const std::vector<LinkId>& from);
  double least_share() const;
  void settle(std::uint32_t slot, double rate);
  void take_rate(Flow& flow, double rate, Nanos now);

  std::vector<double> capacity_;
  std::vector<Link> links_;
  std::vector<Flow> flows_;
  std::vector<std::uint32_t> free_slots_, moved_;
  // Scratch of share_again.
  std::vector<LinkId> reached_links_;
  std::vector<std::uint32_t> reached_flows_, open_, chosen_, still_open_;
  std::vector<double> new_rate_;  // [slot]
};

}  // namespace stagesim
