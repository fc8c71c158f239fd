#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/profile.hpp"

namespace stagesim {

// A kind of machine: short for the keys of a scenario's "cluster" that it names, and nothing more.
struct NodeType {
  std::string name{}, summary{};
  std::string gpu{};         // a GPU profile
  std::string intra{};       // a link of that GPU, or a stand-alone one, between its GPUs
  std::string inter{};       // a stand-alone link between nodes: one message on one port
  Quantity gpus_per_node{};  // GPUs that intra joins; of a rack with one NVLink domain, all
  Quantity nics_per_node{};  // ports of the network that trains, storage ports left out
};

std::vector<ProfileLine> list_node_types();

// A name of the list, or a path that ends in ".json". Throws InputError with the nearest name.
const NodeType& node_type(std::string_view name);

// Throws InputError with every problem. Whether the profiles exist is asked where they are used.
NodeType parse_node_type(std::string_view json, const std::string& file);

}  // namespace stagesim
