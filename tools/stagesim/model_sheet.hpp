#pragma once

#include <string>

#include "hwmodels/profile_sheet.hpp"

namespace stagesim {

// Fields of a model (from: given or default) and what follows from them (derived, with its
// formula). A preset's name, a Hugging Face config.json, a Megatron-LM launch script, or a .json
// with the fields themselves; what a file does not say is in the summary. Throws InputError with
// the nearest name.
Sheet model_sheet(const std::string& name_or_path);

}  // namespace stagesim
