#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/study/scenario_input.hpp"

namespace stagesim {

inline constexpr int kSweepVersion = 1;
inline constexpr std::string_view kScheduleAxis = "schedule";

// A key of the scenario and the values that it takes, as typed.
struct SweepAxis {
  std::string path{};  // kScheduleAxis: values are schedules with parameters
  std::vector<std::string> values{};
};
// "batch.micro=1,2,4", "run.steps=1:4", "batch.global=64:512:64", "parallel.pipeline=2:64:x2",
// "schedule=1f1b,interleaved-1f1b:v=2", "schedule=all" (all that train). Throws InputError.
SweepAxis parse_axis(const std::string& text);

// All combinations of the axes, the last one changing fastest, or their k-th values together.
struct Sweep {
  ScenarioInput base{};
  std::vector<SweepAxis> axes{};
  bool zipped = false;

  std::uint64_t rows() const;
  std::vector<std::string> values(std::uint64_t row) const;  // [axis]
};
// Throws InputError: no axes, one given twice, zipped axes of different lengths, more rows than
// 2^53.
void check_sweep(const Sweep& sweep);

// What one row found, as a JSON object with the columns of sweep_columns(): "row", one column per
// axis, then status "ok", "does not fit" or "refused" with its reason, then the numbers, null where
// there are none. The same row is always the same, on any thread.
nlohmann::ordered_json sweep_row(const Sweep& sweep, std::uint64_t row);
std::vector<std::string> sweep_columns(const Sweep& sweep);

// The first line of a file of rows: what the sweep is, so that it is only ever continued by itself.
nlohmann::ordered_json sweep_header(const Sweep& sweep);

}  // namespace stagesim
