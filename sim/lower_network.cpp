#include <algorithm>

#include "sim/lowering.hpp"

namespace stagesim {
namespace {

struct Ports {
  LinkId out = 0, in = 0;
  LinkId both = 0;  // only of a class whose exchange was measured
};

// [class]: the rate of the fastest message, so that none is slower than it was measured alone.
std::vector<double> fastest_messages(const Lowering& l) {
  std::vector<double> rate(l.costs.links.size(), 0);
  for_each_transfer(*l.what, [&](TaskId t, const Transfer& transfer) {
    const Lane& lane = l.what->lanes[l.what->lane[t]];
    const Nanos busy = l.program.duration[t] - lane.latency;
    if (busy.count() == 0 || transfer.bytes == 0) return;
    double& of_class = rate[l.costs.link_class(lane.from_rank, lane.to_rank)];
    of_class =
        std::max(of_class, static_cast<double>(transfer.bytes) / static_cast<double>(busy.count()));
  });
  return rate;
}

Ports add_ports(Network& network, const LinkClass& link, double fastest_message, int users) {
  const double one_way = std::max(link.gb_per_s, fastest_message) / users;
  Ports ports;
  const auto add = [&](double gb_per_s) {
    network.gb_per_s.push_back(gb_per_s);
    return static_cast<LinkId>(network.gb_per_s.size() - 1);
  };
  ports.out = add(one_way);
  ports.in = add(one_way);
  if (link.exchange_gb_per_s > 0)
    ports.both = add(std::max(2 * link.exchange_gb_per_s / users, one_way));
  return ports;
}

}  // namespace

void make_network(Lowering& l) {
  Network& network = l.program.network;
  const LinkSharing& sharing = l.costs.sharing;
  STAGESIM_CHECK(sharing.nics_per_node > 0 && sharing.gpus_per_node % sharing.nics_per_node == 0);
  const int ranks_per_node = l.costs.ranks_per_node == 0 ? l.shape.ranks : l.costs.ranks_per_node;
  const int gpus_per_nic = sharing.gpus_per_node / sharing.nics_per_node;
  const int gpus_per_rank = std::max(1, sharing.gpus_per_node / ranks_per_node);

  const std::vector<double> fastest = fastest_messages(l);
  std::vector<Ports> within, card;  // [rank], [node * nics_per_node + nic]
  for (int r = 0; r < l.shape.ranks; ++r)
    within.push_back(add_ports(network, l.costs.links[0], fastest[0], 1));
  if (l.costs.links.size() > 1) {
    const int nodes = (l.shape.ranks + ranks_per_node - 1) / ranks_per_node;
    for (int n = 0; n < nodes * sharing.nics_per_node; ++n) {
      card.push_back(
          add_ports(network, l.costs.links[1], fastest[1], std::min(gpus_per_rank, gpus_per_nic)));
    }
  }
  const auto card_of = [&](int rank) {
    const int gpu = rank % ranks_per_node * gpus_per_rank;
    return card[static_cast<std::size_t>(rank / ranks_per_node * sharing.nics_per_node +
                                         gpu / gpus_per_nic)];
  };
  network.route.resize(l.what->lanes.size());
  for (const auto& [ends, lane] : l.links) {
    const auto [from, to] = ends;
    const std::size_t which = l.costs.link_class(from, to);
    const Ports a = which == 0 ? within[static_cast<std::size_t>(from)] : card_of(from);
    const Ports b = which == 0 ? within[static_cast<std::size_t>(to)] : card_of(to);
    network.route[lane] = {a.out, b.in};
    if (l.costs.links[which].exchange_gb_per_s > 0)
      network.route[lane].insert(network.route[lane].end(), {a.both, b.both});
  }
  l.what->alone = l.program.duration;
}

}  // namespace stagesim
