#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tools/study/scenario_parts.hpp"

namespace stagesim {
namespace {

// A plain link as a profile with a curve of two points, for the collectives of the update.
LinkProfile plain_profile(const LinkClass& link, double gb_per_s) {
  LinkProfile profile;
  profile.name = "p2p";
  profile.source = "cluster.p2p, as given";
  const double us = static_cast<double>(link.latency.count()) / 1e3;
  profile.latency_us.value = us;
  profile.curve = {{1e6, us + 1e3 / gb_per_s}, {2e6, us + 2e3 / gb_per_s}};
  return profile;
}

void read_plain_link(JsonFields& cluster, Scenario& s) {
  if (cluster.has("intra") || cluster.has("inter")) {
    cluster.problem("p2p", "a plain link replaces intra and inter; leave one of the two out");
  }
  JsonFields p2p = cluster.child("p2p");
  LinkClass link;
  link.name = "p2p";
  link.latency = rounded_nanos(1e3 * p2p.number("latency_us", 0, 1e9, 0.0));
  const bool finite = p2p.has("gb_per_s") && !p2p.any("gb_per_s").is_null();
  const double rate = finite ? p2p.number("gb_per_s", 1e-6, 1e9) : 0;
  for (const StageBytes& stage : s.stages.bytes) {
    const double ns = finite ? static_cast<double>(stage.message) / rate : 0;
    link.transfer_time.push_back(link.latency + rounded_nanos(std::min(ns, 1e12)));
  }
  p2p.finish();
  s.links = {link};
  s.update_link = plain_profile(link, finite ? rate : std::numeric_limits<double>::infinity());
  s.assumptions.push_back(fmt::format(
      "p2p: {:g} us latency, {} (cluster.p2p, as given); one message at a time per link direction",
      static_cast<double>(link.latency.count()) / 1e3,
      finite ? fmt::format("{:g} GB/s", rate) : "infinitely fast"));
}

const LinkProfile* named_link(JsonFields& cluster, const char* key, const Scenario& s) {
  const std::string name = cluster.string(key, "");
  if (name.empty()) return nullptr;
  if (s.gpu == nullptr) {
    cluster.problem(key, "a link profile needs cluster.gpu beside it; or give cluster.p2p");
    return nullptr;
  }
  try {
    return &link_profile(*s.gpu, name);
  } catch (const InputError& error) {
    cluster.problem(key, "{}", error.what());
    return nullptr;
  }
}

}  // namespace

void read_links(JsonFields& cluster, Scenario& s) {
  if (cluster.has("p2p")) return read_plain_link(cluster, s);
  const JsonSource& source = cluster.source();
  const LinkProfile* within = named_link(cluster, "intra", s);
  const LinkProfile* between = named_link(cluster, "inter", s);
  if (!source.problems->empty()) return;
  if (s.model && std::int64_t{s.ranks} * s.data > 1) {
    if (within == nullptr) {
      source.problems->add(
          "{}: missing field 'cluster.intra': which link joins the GPUs of a node (or give "
          "cluster.p2p)",
          source.file);
    }
    if (s.nodes > 1 && between == nullptr) {
      source.problems->add("{}: missing field 'cluster.inter': which network joins the {} nodes",
                           source.file, s.nodes);
    }
    if (!source.problems->empty()) return;
  }
  if (within == nullptr) {
    s.links = {LinkClass{}};
    s.assumptions.push_back("p2p: messages take no time (no cluster.p2p or cluster.intra given)");
    return;
  }
  s.update_link = s.nodes > 1 ? *between : *within;
  for (const LinkProfile* link : {within, between}) {
    if (link == nullptr || (link == between && s.nodes == 1)) continue;
    s.links.push_back(link_costs(*link, s.stages.bytes));
    std::string error = link->error ? fmt::format(", fit error {:.0f} %", 100 * *link->error) : "";
    s.assumptions.push_back(
        fmt::format("link {}: {} ({}: {}{}); one message at a time per direction", link->name,
                    link->summary, text(link->from), link->source, error));
  }
  if (s.nodes == 1) return;
  // Megatron-LM's order: data-parallel copies next to each other, pipeline ranks outermost.
  s.ranks_per_node = std::max(1, s.gpus_per_node / s.data);
  s.assumptions.push_back(
      fmt::format("placement: {} pipeline ranks per node (data-parallel copies side by side)",
                  s.ranks_per_node));
}

}  // namespace stagesim
