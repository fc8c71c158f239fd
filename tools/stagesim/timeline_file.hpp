#pragma once

#include <string>
#include <vector>

#include "tools/study/run.hpp"
#include "traces/timeline_json.hpp"

namespace stagesim {

// What --timeline writes: this timeline of the run, made by a replay or an execution.
TimelineFile timeline_file(const Scenario& scenario, const Run& run, const Timeline& timeline,
                           const std::string& made_by, double scale = 1);

// Every input that is not the same in both, in words.
std::vector<std::string> differing_inputs(const TimelineFile& a, const TimelineFile& b);

// What a file knows of the inputs of its run; bytes are not in it.
RunInputs inputs_of(const TimelineFile& file);

// Throws InputError where it cannot be opened.
std::string text_of_file(const std::string& path);

}  // namespace stagesim
