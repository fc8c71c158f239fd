#pragma once

#include <string>
#include <string_view>

#include "hwmodels/profile.hpp"

namespace stagesim {

// Profiles as the JSON that parse_gpu_profile and parse_link_profile read back to the same values;
// a stand-alone link goes into a file of its own. What the text of the profile they were made from
// holds beyond these values stays as it is. Numbers keep six digits, as logs print them.
std::string profile_json(const GpuProfile& gpu, std::string_view base = "");
std::string profile_json(const LinkProfile& link, std::string_view base = "");

}  // namespace stagesim
