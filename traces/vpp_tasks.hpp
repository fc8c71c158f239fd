#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "traces/rank_trace.hpp"

namespace stagesim {

// Whether a document has a list of tasks of NVIDIA's virtual pipeline simulator (NVIDIA/Megatron-LM
// #5104, finished_tasks.json): {"<any key>": [{"task_id": "pp_0-mbs_3-model_chunk_1-task_type_
// forward", "task_type": "forward", "pp_rank": 0, "microbatch_id": 3, "model_chunk_id": 1,
// "duration": ms, "dependencies": [task ids]}]}.
bool has_vpp_tasks(const nlohmann::json& document);

// The tasks of every rank as ranges "F3.1.0". The file holds durations, no times: a task starts
// when the one before it in the list of its rank and all its dependencies have ended. Throws
// InputError with every problem: fields that are missing, unknown dependencies, tasks that wait for
// each other.
std::vector<RankTrace> read_vpp_tasks(const nlohmann::json& document, const std::string& file);

}  // namespace stagesim
