#pragma once

#include <ostream>
#include <string>

#include "tools/study/sweep_file.hpp"

namespace stagesim {

struct SweepReport {
  bool table = true;
  std::string sort{};       // a column whose smallest comes first; empty: as they are
  std::string crossover{};  // an axis along which schedules overtake each other
};

// Checks the names of a report's columns and axes. Throws InputError.
void check_report(const SweepReport& report, const Sweep& sweep);

// Table, how many rows ran, fit and were refused, the Pareto front of time per sample, memory of
// the worst rank and mismatch, and the crossovers.
void print_sweep(std::ostream& out, const Sweep& sweep, const SweepFile& file,
                 const SweepReport& report);

// Comma-separated, a header line with the columns; text that needs it in quotes.
void write_sweep_csv(std::ostream& out, const Sweep& sweep, const SweepFile& file);

}  // namespace stagesim
