// Any bytes as a GEMM table, NCCL Inspector's objects or the probe's report.

#include "hwmodels/logs/readers.hpp"
#include "tests/fuzz/fuzz_logs.hpp"

using namespace stagesim;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz::refuse_or_run([&] { fuzz::use_reading(read_log(text, "fuzz.log")); });
  fuzz::use_reading(read_gemm_table(text, "fuzz.csv"));
  fuzz::use_reading(read_message_table(text, "fuzz.csv"));
  fuzz::use_reading(read_nccl_inspector(text, "fuzz.log"));
  fuzz::use_reading(read_probe(text, "fuzz.json"));
  return 0;
}
