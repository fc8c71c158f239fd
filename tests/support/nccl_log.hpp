#pragma once

#include <string>
#include <vector>

// Own nccl-tests output in the layouts of its versions, of a link that takes alpha + size / rate.
namespace stagesim::test {

struct NcclLayout {
  std::string version = "v2.13";  // "v1.0", "v2.0", "v2.13", "v2.17.4" or "inspector" (-I 1)
  std::string middle =
      "sum      -1";     // the columns between type and times, as that test prints them
  std::string prefix{};  // of every line, as a launcher puts it
  std::string program{};
  std::string chatter{};  // a line of a library between the rows
  bool dates = false;     // -S
  bool in_place_only = false;
  int ranks = 2;
  double factor = 1;  // busbw / algbw
  double alpha_us = 20, gb_per_s = 25;
  std::vector<long long> sizes{1 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20, 32 << 20, 64 << 20};
  double count_per_byte = 0.25;  // elements a byte; divided by ranks where size is the total
  double average_offset = 0;     // added to the true mean in the trailer
  bool trailer = true;
  std::size_t drop_row = 99;  // which row an editor cut out
};

std::string nccl_log(const NcclLayout& layout);

}  // namespace stagesim::test
