#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hwmodels/model.hpp"
#include "hwmodels/profile.hpp"

namespace stagesim {

// "log: microsoft/vidur A100 linear layers; error 6 %"
std::string provenance_text(Provenance from, const std::string& source,
                            std::optional<double> error);

// What the stage times and bytes rest on, one line each.
std::vector<std::string> stage_assumptions(const Model& model, const GpuProfile& gpu, int stages,
                                           double launch_us);

// What experts, latent attention and BERT's ends add to them (kernels_moe.cpp).
std::vector<std::string> layer_assumptions(const Model& model);

}  // namespace stagesim
