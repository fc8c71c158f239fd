#pragma once

#include <vector>

#include "hwmodels/stage_kernels.hpp"
#include "tools/study/scenario.hpp"

namespace stagesim {

inline constexpr int kMostStages = 65535;  // of one pipeline: stages are 16-bit numbers

// Costs, bytes, parameters and assumptions of scenario.ranks x virtual_stages stages. Explicit
// costs given per rank are divided by virtual_stages (message, workspace and checkpoint are not):
// stage s takes the entry of rank s mod ranks. A transformer's even or balanced layers are split
// anew. Throws ShapeError with the arithmetic and the way out, without the schedule's name, when
// the scenario cannot give so many stages.
StageEstimate stage_estimate(const Scenario& scenario, int virtual_stages);

// What stage_estimate does for a transformer; scenario.model and gpu must be there, source settled.
// Throws InputError for layers that do not add up, ShapeError for those that do not divide.
StageEstimate split_transformer(const Scenario& scenario, int virtual_stages);

// The layers of each stage: the list, even, or balanced (also where the fastest are asked for).
std::vector<int> layers_per_stage(const Scenario& scenario, int virtual_stages);

// What the GPUs of these stages run, with the updates of a schedule of that shape.
std::vector<StageKernels> kernels_of(const Scenario& scenario, const std::vector<int>& layers,
                                     const Shape& shape);

// [stage]: time of an overlapped pair, as Costs::pair; empty when none is given. Same errors.
std::vector<Nanos> pair_times(const Scenario& scenario, int virtual_stages);

// Message times of every stage on the scenario's links, as Costs::links.
std::vector<LinkClass> link_classes(const Scenario& scenario, const std::vector<StageBytes>& bytes);

// comm.sharing and cluster.nics_per_node, as Costs::sharing.
LinkSharing link_sharing(const Scenario& scenario);

}  // namespace stagesim
