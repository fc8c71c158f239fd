#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/logs/reading.hpp"

// Matrices of numbers between devices, which nvbandwidth and p2pBandwidthLatencyTest print.
namespace stagesim {

struct CopyMatrix {
  std::string test{};
  std::vector<std::vector<std::string>> cells{};  // without row ids; "N/A" where not measured
};

// What an nvbandwidth test name says: "device_to_device_memcpy_write_ce" is a one-way copy between
// GPUs. False for tests that say nothing about a link (all_to_*, local copies).
bool describe_test(std::string_view name, LogRate& rate);

// The median over the cells that are numbers above 0; those of the diagonal stay out when the
// matrix is square and between GPUs. Bidirectional tests print both directions together, so half of
// it is one direction. Counts a row and adds the rate, or a note when nothing was measured.
void add_matrix(LogReading& reading, const CopyMatrix& matrix, LogRate rate, bool halve);

}  // namespace stagesim
