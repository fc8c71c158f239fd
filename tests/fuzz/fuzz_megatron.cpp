// Any bytes as a launch script: refused with a text, or a model and defaults with a source each.

#include "hwmodels/megatron_args.hpp"
#include "tests/fuzz/fuzz_support.hpp"

using namespace stagesim;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz::refuse_or_run([&] {
    const MegatronLaunch launch = read_megatron_args(text, "train.sh");
    const Model& m = launch.file.model;
    fuzz::require(m.layers > 0 && m.hidden > 0 && m.heads > 0 && m.seq > 0, "sizes are there");
    for (const ScenarioDefault& one : launch.defaults)
      fuzz::require(!one.path.empty() && one.from.compare(0, 2, "--") == 0, "a default has a flag");
  });
  return 0;
}
