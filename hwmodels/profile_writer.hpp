#pragma once

#include <string>

#include "hwmodels/profile.hpp"

namespace stagesim {

// Profiles as the JSON that parse_gpu_profile and parse_link_profile read back to the same values;
// a stand-alone link goes into a file of its own. Numbers keep four to six digits, as logs print
// them.
std::string profile_json(const GpuProfile& gpu);
std::string profile_json(const LinkProfile& link);

}  // namespace stagesim
