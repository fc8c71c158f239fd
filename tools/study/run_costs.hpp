#pragma once

#include <vector>

#include "tools/study/scenario.hpp"

namespace stagesim {

// What a scenario's stages cost a schedule of their number, in the form that lower() takes.
Costs costs_of(const Scenario& scenario, const StageEstimate& stages,
               const std::vector<Nanos>& pair);

// Who takes part in its updates.
UpdatePlan update_plan(const Scenario& scenario, const Shape& shape);

// Takes optimizer states to what a GPU keeps; fills in reduce, step and broadcast for a transformer
// on a GPU, and leaves them as they are without one or without updates.
void add_updates(StageEstimate& stages, const Scenario& scenario, const Shape& shape);

}  // namespace stagesim
