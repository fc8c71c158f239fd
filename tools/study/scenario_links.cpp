#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/study/scenario_parts.hpp"
#include "tools/study/stage_estimate.hpp"

namespace stagesim {
namespace {

constexpr double kMostTax = 100;
constexpr std::string_view kShared = "messages through one port share it max-min fairly";

// With several nodes: which GPUs use which network card.
std::string cards_text(const Scenario& s, const LinkSharing& sharing) {
  const int gpus_per_nic = sharing.gpus_per_node / sharing.nics_per_node;
  const int at_once = std::min(gpus_per_nic, sharing.gpus_per_node / s.ranks_per_node);
  std::string line =
      fmt::format("network cards: {} per node{}, each of {} GPU{}", sharing.nics_per_node,
                  s.nics_per_node == 0 ? " (assumed: cluster.nics_per_node is not given)" : "",
                  gpus_per_nic, gpus_per_nic == 1 ? "" : "s");
  if (at_once > 1)
    line += fmt::format("; {} of them are of one rank or its copies and send at once", at_once);
  return line;
}

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
  bool finite = p2p.has("gb_per_s") && !p2p.any("gb_per_s").is_null();
  const std::size_t problems_before = p2p.source().problems->lines().size();
  const double rate = finite ? p2p.number("gb_per_s", 1e-6, 1e9) : 0;
  finite = finite && p2p.source().problems->lines().size() == problems_before;
  std::int64_t largest = 0;
  for (const StageBytes& stage : s.stages.bytes) largest = std::max(largest, stage.message);
  const double longest_ns = finite ? static_cast<double>(largest) / rate : 0;
  if (longest_ns > static_cast<double>(kLongestOp.count())) {
    p2p.problem("gb_per_s",
                "a message of {} bytes would take {:.3g} s; one op may take 2 h at most", largest,
                longest_ns / 1e9);
  } else {
    s.plain_link = {link.latency, finite ? rate : std::numeric_limits<double>::infinity()};
    s.links = link_classes(s, s.stages.bytes);
  }
  if (finite && largest == 0 && s.ranks > 1 && !s.stages.bytes.empty()) {
    p2p.problem("gb_per_s",
                "has no effect, because messages have no size: give model.stage_bytes.message, or "
                "leave it out");
  }
  p2p.finish();
  s.link_within = s.link_between =
      plain_profile(link, finite ? rate : std::numeric_limits<double>::infinity());
  s.assumptions.push_back(
      fmt::format("p2p: {:g} us latency, {} (cluster.p2p, as given); {}",
                  static_cast<double>(link.latency.count()) / 1e3,
                  finite ? fmt::format("{:g} GB/s", rate) : "infinitely fast",
                  s.fair_links ? kShared : "one message at a time per link direction"));
}

const LinkProfile* named_link(JsonFields& cluster, const char* key, const Scenario& s) {
  const std::string name = cluster.string(key, "");
  if (name.empty()) return nullptr;
  if (s.gpu == nullptr && cluster.has("gpu")) return nullptr;  // its name is wrong: reported
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

std::string link_names(const Scenario& s) {
  std::vector<std::string> names;
  if (s.gpu != nullptr) {
    for (const LinkProfile& link : s.gpu->links) names.push_back(link.name);
  }
  return names.empty() ? "a profile" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

void read_overlap_tax(JsonFields& comm, Scenario& s) {
  if (!comm.has("overlap_tax")) return;
  JsonFields tax = comm.child("overlap_tax");
  s.overlap_tax.compute = tax.number("compute", 1, kMostTax, 1.0);
  s.overlap_tax.transfer = tax.number("transfer", 1, kMostTax, 1.0);
  tax.finish();
  if (s.overlap_tax.any() && s.comm == CommMode::kBlocking) {
    comm.problem("overlap_tax",
                 "nothing runs beside a message with comm.mode \"blocking\"; leave one of the two "
                 "out");
  }
  if (s.overlap_tax.any() && s.fair_links) {
    comm.problem("overlap_tax",
                 "taxes of messages that also share links are not modelled; leave out one of "
                 "comm.overlap_tax and comm.sharing \"fair\"");
  }
}

LinkSharing link_sharing(const Scenario& s) {
  const int gpus = std::max(1, s.gpus_per_node);
  return {.fair = s.fair_links,
          .gpus_per_node = gpus,
          .nics_per_node = s.nics_per_node > 0 ? s.nics_per_node : gpus};
}

void read_link_profiles(JsonFields& cluster, Scenario& s) {
  if (cluster.has("p2p")) return;
  if (const LinkProfile* within = named_link(cluster, "intra", s)) s.link_within = *within;
  if (const LinkProfile* between = named_link(cluster, "inter", s)) s.link_between = *between;
}

std::vector<LinkClass> link_classes(const Scenario& s, const std::vector<StageBytes>& bytes) {
  if (s.plain_link) {
    LinkClass link{.name = "p2p", .latency = s.plain_link->latency};
    if (std::isfinite(s.plain_link->gb_per_s)) link.gb_per_s = s.plain_link->gb_per_s;
    for (const StageBytes& stage : bytes) {
      link.transfer_time.push_back(link.latency + rounded_nanos(static_cast<double>(stage.message) /
                                                                s.plain_link->gb_per_s));
    }
    return {link};
  }
  if (!s.link_within) return {LinkClass{}};
  std::vector<LinkClass> links{link_costs(*s.link_within, bytes)};
  if (s.nodes > 1) links.push_back(link_costs(*s.link_between, bytes));
  return links;
}

void read_links(JsonFields& cluster, Scenario& s) {
  if (cluster.has("p2p")) return read_plain_link(cluster, s);
  const JsonSource& source = cluster.source();
  if (!source.problems->empty()) return;
  const bool several = std::int64_t{s.ranks} * s.data > 1;
  if (several && (s.model || s.link_within || s.link_between)) {
    if (!s.link_within) {
      source.problems->add(
          "{}: missing field 'cluster.intra': which link joins the GPUs of a node ({}; or give "
          "cluster.p2p)",
          source.file, link_names(s));
    }
    if (s.nodes > 1 && !s.link_between) {
      source.problems->add("{}: missing field 'cluster.inter': which network joins the {} nodes",
                           source.file, s.nodes);
    }
    if (!source.problems->empty()) return;
  }
  if (s.nodes == 1) s.link_between.reset();
  if (!s.link_within) {
    s.links = {LinkClass{}};
    s.assumptions.push_back("p2p: messages take no time (no cluster.p2p or cluster.intra given)");
    return;
  }
  s.links = link_classes(s, s.stages.bytes);
  for (const std::optional<LinkProfile>* each : {&s.link_within, &s.link_between}) {
    if (!*each) continue;
    const LinkProfile* link = &**each;
    std::string error = link->error ? fmt::format(", fit error {:.0f} %", 100 * *link->error) : "";
    s.assumptions.push_back(fmt::format(
        "link {}: {} ({}: {}{}); {}", link->name, link->summary, text(link->from), link->source,
        error, s.fair_links ? kShared : "one message at a time per direction"));
  }
  if (s.nodes == 1) return;
  // Megatron-LM's order: the GPUs of a tensor split next to each other, then those of a context
  // split, then data-parallel copies, pipeline ranks outermost.
  const int beside = s.split.gpus() * s.data;
  if (s.gpus_per_node % beside != 0 && beside % s.gpus_per_node != 0) {
    source.problems->add(
        "{}: parallel.data: {} copies of a rank{} do not fill nodes of {} GPUs evenly; one of the "
        "two must divide the other",
        source.file, s.data,
        s.split.gpus() > 1 ? fmt::format(" of {} GPUs", s.split.gpus()) : std::string(),
        s.gpus_per_node);
    return;
  }
  s.ranks_per_node = std::max(1, s.gpus_per_node / beside);
  s.assumptions.push_back(
      fmt::format("placement: {} pipeline {} per node ({}data-parallel copies side by side)",
                  s.ranks_per_node, s.ranks_per_node == 1 ? "rank" : "ranks",
                  std::string(s.split.tensor > 1 ? "tensor split, then " : "") +
                      (s.split.context > 1 ? "context split, then " : "")));
  if (s.fair_links) s.assumptions.push_back(cards_text(s, link_sharing(s)));
}

}  // namespace stagesim
