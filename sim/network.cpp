#include "sim/network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"

namespace stagesim {

FairShares::FairShares(const Network& network)
    : capacity_(network.gb_per_s), links_(network.gb_per_s.size()) {}

std::uint32_t FairShares::start(const std::vector<LinkId>& route, double bytes, Nanos alone,
                                Nanos now) {
  STAGESIM_CHECK(bytes > 0 && alone.count() > 0);
  auto slot = static_cast<std::uint32_t>(flows_.size());
  if (free_slots_.empty()) {
    flows_.emplace_back();
    new_rate_.push_back(0);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  flows_[slot] = Flow{.route = &route,
                      .cap = bytes / static_cast<double>(alone.count()),
                      .rate = 0,
                      .left = bytes,
                      .since = now,
                      .alone = alone,
                      .end = {},
                      .whole = true,
                      .reached = false};
  for (const LinkId link : route) links_[link].flows.push_back(slot);
  share_again(route, now);
  return slot;
}

void FairShares::finish(std::uint32_t slot, Nanos now) {
  const std::vector<LinkId>& route = *flows_[slot].route;
  for (const LinkId link : route) {
    std::vector<std::uint32_t>& flows = links_[link].flows;
    flows.erase(std::find(flows.begin(), flows.end(), slot));
  }
  free_slots_.push_back(slot);
  share_again(route, now);
}

// All links and flows that a change on `from` can touch: over shared links, from flow to flow.
void FairShares::reach(const std::vector<LinkId>& from) {
  reached_links_.clear();
  reached_flows_.clear();
  const auto add = [&](LinkId link) {
    if (links_[link].reached) return;
    links_[link].reached = true;
    reached_links_.push_back(link);
  };
  for (const LinkId link : from) add(link);
  for (std::size_t i = 0; i < reached_links_.size(); ++i) {
    for (const std::uint32_t slot : links_[reached_links_[i]].flows) {
      if (flows_[slot].reached) continue;
      flows_[slot].reached = true;
      reached_flows_.push_back(slot);
      for (const LinkId link : *flows_[slot].route) add(link);
    }
  }
  for (const LinkId link : reached_links_) links_[link].reached = false;
  for (const std::uint32_t slot : reached_flows_) flows_[slot].reached = false;
}

double FairShares::least_share() const {
  double least = std::numeric_limits<double>::infinity();
  for (const LinkId id : reached_links_) {
    if (links_[id].open > 0) least = std::min(least, links_[id].spare / links_[id].open);
  }
  return least;
}

void FairShares::settle(std::uint32_t slot, double rate) {
  new_rate_[slot] = rate;
  for (const LinkId id : *flows_[slot].route) {
    links_[id].spare = std::max(0.0, links_[id].spare - rate);
    --links_[id].open;
  }
}

// A flow whose rate stays keeps its end: nothing is rounded twice.
void FairShares::take_rate(Flow& flow, double rate, Nanos now) {
  const double sent = flow.rate * static_cast<double>((now - flow.since).count());
  if (sent > 0) flow.whole = false;
  flow.left = std::max(0.0, flow.left - sent);
  flow.since = now;
  flow.rate = rate;
  if (flow.whole && rate == flow.cap) {
    flow.end = now + flow.alone;
  } else {
    flow.end = now + Nanos{static_cast<std::int64_t>(std::ceil(flow.left / rate))};
  }
}

void FairShares::share_again(const std::vector<LinkId>& from, Nanos now) {
  moved_.clear();
  reach(from);
  for (const LinkId id : reached_links_) {
    links_[id].spare = capacity_[id];
    links_[id].open = static_cast<std::uint32_t>(links_[id].flows.size());
  }
  open_ = reached_flows_;
  while (!open_.empty()) {
    const double share = least_share();
    // First whoever cannot use an equal share; if all can, the flows of the tightest link.
    const auto capped = [&](std::uint32_t slot) { return flows_[slot].cap <= share; };
    const auto held = [&](std::uint32_t slot) {
      const std::vector<LinkId>& route = *flows_[slot].route;
      return std::any_of(route.begin(), route.end(), [&](LinkId id) {
        return links_[id].spare / links_[id].open <= share * (1 + 1e-12);
      });
    };
    const bool any_capped = std::any_of(open_.begin(), open_.end(), capped);
    chosen_.clear();
    still_open_.clear();
    for (const std::uint32_t slot : open_)
      ((any_capped ? capped(slot) : held(slot)) ? chosen_ : still_open_).push_back(slot);
    STAGESIM_CHECK(!chosen_.empty());
    for (const std::uint32_t slot : chosen_) settle(slot, any_capped ? flows_[slot].cap : share);
    open_.swap(still_open_);
  }
  for (const std::uint32_t slot : reached_flows_) {
    if (new_rate_[slot] == flows_[slot].rate) continue;
    take_rate(flows_[slot], new_rate_[slot], now);
    moved_.push_back(slot);
  }
}

}  // namespace stagesim
