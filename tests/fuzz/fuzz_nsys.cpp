// Any bytes as an export of Nsight Systems: read, or refused with a message.

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/fuzz/fuzz_support.hpp"
#include "traces/nsys.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stagesim;
  static const std::string path =
      (std::filesystem::temp_directory_path() / ("stagesim_fuzz_nsys_" + std::to_string(getpid())))
          .string();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  fuzz::refuse_or_run([&] {
    for (const RankTrace& trace : read_nsys(path))
      fuzz::require(!trace.ranges.empty(), "a trace has ranges");
  });
  std::filesystem::remove(path);
  return 0;
}
