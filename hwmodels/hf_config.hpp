#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/model.hpp"

namespace stagesim {

// A model as a file of another project describes it.
struct ModelFile {
  Model model;                     // sizes that the file does not give are 0
  int longest = 0;                 // tokens it has positions for; 0: not said
  std::vector<std::string> notes;  // what was assumed, and what the file says that is not modelled
};

// Reads a Hugging Face config.json by its model_type (huggingface/transformers,
// configuration_*.py). seq stays 0: max_position_embeddings is the longest input, not the training
// length. Throws one InputError with all problems: an unknown model_type, missing fields, what
// would need another model.
ModelFile read_hf_config(std::string_view text, const std::string& file);

std::vector<std::string> hf_model_types();

}  // namespace stagesim
