#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hwmodels/logs/reading.hpp"

// What the text and the JSON of nccl-tests have in common: rows of one run, and the checks on them.
namespace stagesim {

struct NcclCell {  // out-of-place or in-place half of a row
  double us = 0, algbw = 0, busbw = 0;
  double us_rounding = 0, algbw_rounding = 0, busbw_rounding = 0;  // half a printed digit
};

struct NcclRow {
  std::size_t line = 0;  // or the position in "results", from 1
  double bytes = 0, count = 0;
  std::string type{}, redop{};  // redop "" where the row has none
  std::optional<long long> root{};
  std::optional<NcclCell> out_of_place{}, in_place{};
};

struct NcclRun {
  std::string program{};  // "all_reduce_perf", "" before v2.16.9
  int participants = 0;
  bool redop_column = false;  // in the header, whatever the rows hold
  std::vector<NcclRow> rows{};
  std::optional<double> average{};  // "Avg bus bandwidth"
  double average_rounding = 0;
};

// Size of one element in bytes, or 0 for a name that is no type of nccl-tests.
int nccl_type_bytes(std::string_view type);

// busbw over algbw: 2(n-1)/n for all-reduce, (n-1)/n for gathers, scatters and all-to-all, else 1
// (PERFORMANCE.md of NVIDIA/nccl-tests).
double bus_factor(Timed what, int participants);

// The number of nccl.h as people write it: 21903 is 2.19.3, 2708 is 2.7.8.
std::string nccl_version(double number);

// Checks algbw = size / time of each cell and the average over all cells, finds out the collective
// when the log does not name it, and adds the rows as points.
void add_run(LogReading& reading, const NcclRun& run);

}  // namespace stagesim
