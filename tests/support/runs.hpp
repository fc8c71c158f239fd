#pragma once

#include <string>
#include <vector>

#include "schedules/table.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"

namespace stagesim::test {

// One unit of teaching time; even, so that halves are exact.
inline constexpr Nanos kUnit{1000};
inline Nanos units(double n) { return rounded_nanos(n * 1000); }
inline double in_units(Nanos t) { return static_cast<double>(t.count()) / 1000; }

Costs unit_costs(int stages, double forward, double backward, double latency = 0);
Costs stage_costs(const std::vector<double>& forward, const std::vector<double>& backward,
                  double latency = 0);

struct Wanted {
  std::string schedule;
  int ranks = 1, batch = 1, windows = 1, window = 0;
  std::map<std::string, std::string> options{};
};
Schedule make(const Wanted& wanted);
Timeline run(const Wanted& wanted, const Costs& costs);

// Last end of the update of `window` on any rank, in units.
double update_end(const Timeline& timeline, int window);

}  // namespace stagesim::test
