#pragma once

#include "tools/study/scenario.hpp"

namespace stagesim {

// What model.hf_config or model.megatron_args says.
struct ModelImport {
  std::string key, from;        // which of the two, and which file; empty: neither is given
  std::optional<Model> base{};  // sizes that it does not say are 0
  int longest = 0;              // tokens the model has positions for; 0: not said
  std::vector<std::string> notes{};
};

// Reads that file, relative to the scenario's, and fills in what the scenario leaves open, with
// where it came from in `origins`. Throws InputError with all that is wrong with the file.
ModelImport import_model(Json& scenario, const std::string& file, Origins& origins,
                         Problems& problems);

// Writes the keys that cluster.node is short for beside it and returns what it stands for, in
// words;
// "" without a node. What contradicts them is a problem; throws InputError where there is no such
// node type.
std::string expand_node_type(Json& scenario, JsonSource& source);

// The sections of a scenario, one function each; problems go to the fields' source.
void read_cluster(JsonFields& cluster, Scenario& s);
// Looks up intra and inter, which a tensor split needs before the costs.
void read_link_profiles(JsonFields& cluster, Scenario& s);
// Settles ranks, tensor split and data: GPUs / (pipeline x tensor) copies unless parallel.data says
// otherwise.
void read_parallel(JsonFields& cluster, JsonFields& parallel, Scenario& s);
// Settles micro and batch: given, or global / (micro x data), or one per entry of sizes. Never
// truncated.
void read_batch(JsonFields& batch, Scenario& s);
void read_schedule_field(JsonFields& top, Scenario& s);
void read_run(JsonFields& top, Scenario& s);  // "run" and "comm"
void read_overlap_tax(JsonFields& comm, Scenario& s);
void read_variation(JsonFields& top, Scenario& s);
void read_stage_times(JsonFields& model, JsonFields& partition, JsonFields& overheads, Scenario& s);
void read_transformer(JsonFields& model, JsonFields& parallel, JsonFields& partition,
                      JsonFields& overheads, const ModelImport& import, Scenario& s);
// partition.layers of a transformer: a list, a layout string, or how to split.
void read_layers(JsonFields& partition, Scenario& s);
void read_links(JsonFields& cluster, Scenario& s);

}  // namespace stagesim
