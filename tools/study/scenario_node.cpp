#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/node_type.hpp"
#include "tools/study/scenario_parts.hpp"

namespace stagesim {
namespace {

// Ports beyond one per GPU are a GPU's own: together they are its card, as in the link of the type.
int cards_of(const NodeType& node) {
  return static_cast<int>(std::min(node.nics_per_node.value, node.gpus_per_node.value));
}

// What a node type stands for, in the order of the printed line. Cards count only where messages
// share them.
std::vector<std::pair<std::string, Json>> cluster_keys(const NodeType& node, bool fair) {
  std::vector<std::pair<std::string, Json>> keys{
      {"gpu", node.gpu},
      {"gpus_per_node", static_cast<int>(node.gpus_per_node.value)},
      {"intra", node.intra},
      {"inter", node.inter}};
  if (fair) keys.emplace_back("nics_per_node", cards_of(node));
  return keys;
}

std::string stands_for(const NodeType& node, bool fair) {
  const auto count = [](const Quantity& q) {
    return fmt::format("{:g} ({}: {})", q.value, text(q.from), q.source);
  };
  const std::string cards =
      fair ? fmt::format(", nics_per_node {}; network ports per node {}", cards_of(node),
                         count(node.nics_per_node))
           : fmt::format("; network ports per node {}, shared only with comm.sharing fair",
                         count(node.nics_per_node));
  return fmt::format("node {}: short for cluster.gpu {}, gpus_per_node {}, intra {}, inter {}{}",
                     node.name, node.gpu, count(node.gpus_per_node), node.intra, node.inter, cards);
}

bool is_fair(const Json& scenario) {
  const auto comm = scenario.find("comm");
  return comm != scenario.end() && comm->is_object() && comm->contains("sharing") &&
         (*comm)["sharing"] == "fair";
}

}  // namespace

std::string expand_node_type(Json& scenario, JsonSource& source) {
  const auto cluster = scenario.find("cluster");
  if (cluster == scenario.end() || !cluster->is_object() || !cluster->contains("node")) return "";
  const std::string where = source.where("cluster.node");
  const Json name = (*cluster)["node"];
  if (!name.is_string())
    throw InputError(
        fmt::format("{}: expected the name of a node type, got {}", where, short_text(name)));
  const NodeType* found = nullptr;
  try {
    found = &node_type(name.get<std::string>());
  } catch (const InputError& error) {  // what else is wrong may be for want of what it stands for
    throw InputError(fmt::format("{}: {}", where, error.what()));
  }
  const bool fair = is_fair(scenario), plain = cluster->contains("p2p");
  if (plain) {
    source.problems->add(
        "{}: a plain link replaces the links of node type '{}'; leave one of the two out, or write "
        "\"gpu\": \"{}\", \"gpus_per_node\": {:g} instead of the node",
        source.where("cluster.p2p"), found->name, found->gpu, found->gpus_per_node.value);
  }
  for (const auto& [key, value] : cluster_keys(*found, fair)) {
    if (plain && key != "gpu" && key != "gpus_per_node") continue;
    const std::string path = "cluster." + key;
    if (!cluster->contains(key)) {
      (*cluster)[key] = value;
      if (value.is_string())
        source.origins[path] = fmt::format("{} ({} of '{}')", where, key, found->name);
    } else if ((*cluster)[key] != value) {
      source.problems->add(
          "{}: {} contradicts cluster.node '{}', whose {} is {}; leave one of the two out: instead "
          "of "
          "the node, write gpu, gpus_per_node, intra and inter",
          source.where(path), short_text((*cluster)[key]), found->name, key, value.dump());
      (*cluster)[key] = value;  // so that nothing else is said that follows from it
    }
  }
  return stands_for(*found, fair);
}

}  // namespace stagesim
