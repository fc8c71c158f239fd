#include "tools/study/run_costs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/study/stage_estimate.hpp"

namespace stagesim {
namespace {

// Several GPUs of a group in each node carry its rings over a network port each: as wide as all of
// these, or as the link within the node.
LinkProfile over_ports(LinkProfile link, int ports, const LinkProfile& within) {
  if (ports < 2) return link;
  const double latency = link.latency_us.value;
  for (auto& [bytes, us] : link.curve)
    us = std::max(within.microseconds(bytes), latency + (us - latency) / ports);
  link.name = fmt::format("{} ports of {}", ports, link.name);
  return link;
}

// What the replicas and data-parallel copies of a stage reduce over: the slowest link among them.
LinkProfile update_link(const Scenario& s, const Shape& shape) {
  const bool replicas_apart =
      shape.pipelines > 1 && s.ranks_per_node > 0 && s.ranks_per_node < s.ranks;
  const bool copies_apart = s.nodes > 1 && s.data * s.split.gpus() > s.gpus_per_node;
  LinkProfile none;  // a single rank has no link and reduces with nobody
  none.curve = {{1, 1}, {2, 2}};
  if (replicas_apart) return s.link_between.value_or(none);
  if (!copies_apart) return s.link_within.value_or(none);
  return over_ports(*s.link_between, s.gpus_per_node / s.split.tensor, *s.link_within);
}

}  // namespace

Costs costs_of(const Scenario& s, const StageEstimate& stages, const std::vector<Nanos>& pair) {
  Costs costs;
  costs.stages = stages.costs;
  costs.pair = pair;
  costs.microbatch_scale = s.microbatch_scale;
  costs.rank_speed = s.variation.rank_speed;
  costs.links = link_classes(s, stages.bytes);
  for (const StageBytes& bytes : stages.bytes) costs.message_bytes.push_back(bytes.message);
  costs.ranks_per_node = s.ranks_per_node;
  costs.comm = s.comm;
  costs.sharing = link_sharing(s);
  costs.overlap_tax = s.overlap_tax;
  costs.barrier = s.barrier;
  return costs;
}

UpdatePlan update_plan(const Scenario& s, const Shape& shape) {
  return {.replicas = shape.pipelines,
          .optimizer = shape.optimizer,
          .data = s.data * s.split.context,
          .shard = s.shard_optimizer,
          .expert = s.split.expert};
}

void add_updates(StageEstimate& stages, const Scenario& s, const Shape& shape) {
  shard_optimizer(stages, update_plan(s, shape));
  if (s.gpu == nullptr || !s.model || shape.forward_only) return;
  add_update_costs(stages, *s.model, *s.gpu, update_link(s, shape), update_plan(s, shape));
}

}  // namespace stagesim
