// Any bytes as output of the benchmarks of one link.

#include "hwmodels/logs/readers.hpp"
#include "tests/fuzz/fuzz_logs.hpp"

using namespace stagesim;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz::refuse_or_run([&] { fuzz::use_reading(read_log(text, "fuzz.log")); });
  fuzz::use_reading(read_nvbandwidth_text(text, "fuzz.log"));
  fuzz::use_reading(read_nvbandwidth_json(text, "fuzz.json"));
  fuzz::use_reading(read_p2p_bandwidth(text, "fuzz.log"));
  fuzz::use_reading(read_osu(text, "fuzz.log"));
  fuzz::use_reading(read_perftest(text, "fuzz.log"));
  return 0;
}
