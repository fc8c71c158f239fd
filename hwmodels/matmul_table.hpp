#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "hwmodels/profile.hpp"

namespace stagesim {

// The matrix products that a profile lists as measured, of one dtype.
class MatmulTable {
 public:
  MatmulTable(const GpuProfile& gpu, std::string_view dtype);

  // As measured, rows and columns either way round: the transposed product is the same call of a
  // BLAS, and tables differ in which of the two they call m. Nothing for other shapes.
  std::optional<double> microseconds(double m, double n, double k) const;

  // How many of those shapes it has, for a report; empty if none.
  std::string text(const std::set<std::array<double, 3>>& shapes) const;

 private:
  std::map<std::array<double, 3>, double> us_;
  std::string from_;
};

}  // namespace stagesim
