// Any bytes as a profile or a node type: read, or refused with a message; what was read can be
// shown and written.

#include <cmath>
#include <string>

#include "hwmodels/profile_sheet.hpp"
#include "hwmodels/profile_writer.hpp"
#include "tests/fuzz/fuzz_support.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stagesim;
  const std::string text(data, data + size);
  fuzz::refuse_or_run([&] {
    const GpuProfile gpu = parse_gpu_profile(text, "fuzz");
    fuzz::require(sheet_of(gpu).numbers.size() >= 7, "a GPU shows what it must have");
    fuzz::require(!profile_json(gpu).empty(), "a GPU can be written");
  });
  fuzz::refuse_or_run([&] {
    const LinkProfile link = parse_link_profile(text, "fuzz");
    fuzz::require(!sheet_of(link).tables.empty(), "a link shows its times");
    fuzz::require(link.microseconds(1e6) > 0, "a message takes time");
    fuzz::require(!profile_json(link).empty(), "a link can be written");
  });
  fuzz::refuse_or_run([&] {
    const NodeType node = parse_node_type(text, "fuzz");
    const double gpus = node.gpus_per_node.value;
    fuzz::require(gpus >= 1 && gpus == std::floor(gpus), "a node has a number of GPUs");
    fuzz::require(sheet_of(node).numbers.size() == 2, "a node shows both numbers");
  });
  return 0;
}
