// Any bytes as a config.json: refused with a text, or a model whose numbers are numbers.

#include <cmath>

#include "hwmodels/hf_config.hpp"
#include "tests/fuzz/fuzz_support.hpp"

using namespace stagesim;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz::refuse_or_run([&] {
    const ModelFile file = read_hf_config(text, "config.json");
    fuzz::require(file.model.layers > 0 && file.model.hidden > 0 && file.model.heads > 0,
                  "sizes are there");
    fuzz::require(file.model.seq == 0, "the training length is never guessed");
  });
  return 0;
}
