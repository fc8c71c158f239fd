#pragma once

#include "tools/study/scenario.hpp"

namespace stagesim {

// The sections of a scenario, one function each; problems go to the fields' source.
void read_cluster(JsonFields& cluster, Scenario& s);
// Settles ranks and data: GPUs / (pipeline x tensor) copies unless parallel.data says otherwise.
void read_parallel(JsonFields& cluster, JsonFields& parallel, Scenario& s);
// Settles micro and batch: given, or global / (micro x data), or one per entry of sizes. Never
// truncated.
void read_batch(JsonFields& batch, Scenario& s);
void read_schedule_field(JsonFields& top, Scenario& s);
void read_run(JsonFields& top, Scenario& s);  // "run" and "comm"
void read_stage_times(JsonFields& model, JsonFields& partition, JsonFields& overheads, Scenario& s);
void read_transformer(JsonFields& model, JsonFields& partition, JsonFields& overheads, Scenario& s);
void read_links(JsonFields& cluster, Scenario& s);

}  // namespace stagesim
