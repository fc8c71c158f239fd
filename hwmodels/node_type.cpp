#include "hwmodels/node_type.hpp"

#include <fmt/format.h>

#include <cmath>

#include "hwmodels/profile_fields.hpp"
#include "hwmodels/profile_files.hpp"
#include "sim/base/embedded.hpp"
#include "sim/base/names.hpp"

namespace stagesim {

extern const EmbeddedFile kEmbeddedNodes[];

namespace {

constexpr double kMostGpus = 1024;  // as cluster.gpus_per_node

Quantity read_count(JsonFields& fields, const std::string& key) {
  const Quantity count = read_quantity(fields, key, 1, kMostGpus);
  if (count.value != std::floor(count.value))
    fields.problem(key, "expected a whole number, got {:g}", count.value);
  return count;
}

std::string read_name(JsonFields& fields, const std::string& key, const char* what) {
  const std::string name = fields.string(key);
  if (name.empty() && fields.any(key).is_string()) fields.wrong(key, what);
  return name;
}

const std::vector<NodeType>& built_in() {
  static const std::vector<NodeType> result = [] {
    std::vector<NodeType> nodes;
    for (const EmbeddedFile* file = kEmbeddedNodes; file->name != nullptr; ++file)
      nodes.push_back(parse_node_type(file->text, std::string(file->name) + ".json"));
    return nodes;
  }();
  return result;
}

}  // namespace

NodeType parse_node_type(std::string_view json, const std::string& file) {
  const Json parsed = parse_json(json, file);
  if (!parsed.is_object()) throw InputError(fmt::format("{}: expected an object", file));
  Problems problems;
  const JsonSource source{.file = file, .origins = {}, .problems = &problems};
  JsonFields top(parsed, source, "");
  NodeType node;
  node.name = top.string("name");
  node.summary = top.string("summary", "");
  top.any("$schema");
  if (top.has("node")) {
    JsonFields fields = top.child("node");
    node.gpu = read_name(fields, "gpu", "the name of a GPU profile");
    node.gpus_per_node = read_count(fields, "gpus_per_node");
    node.nics_per_node = read_count(fields, "nics_per_node");
    node.intra = read_name(fields, "intra", "the name of a link");
    node.inter = read_name(fields, "inter", "the name of a link");
    fields.finish();
  } else {
    top.missing("node");
  }
  top.finish();
  problems.throw_if_any();
  return node;
}

std::vector<ProfileLine> list_node_types() {
  std::vector<ProfileLine> lines;
  for (const NodeType& node : built_in()) lines.push_back({node.name, "node", node.summary});
  return lines;
}

const NodeType& node_type(std::string_view name) {
  if (is_profile_path(name)) return profile_from_file<NodeType>(name, parse_node_type);
  std::vector<std::string> known;
  for (const NodeType& node : built_in()) {
    if (node.name == name) return node;
    known.push_back(node.name);
  }
  throw InputError(unknown_name("node type", name, known));
}

}  // namespace stagesim
