#include "hwmodels/matmul_table.hpp"

#include <fmt/format.h>

#include "hwmodels/assumptions.hpp"

namespace stagesim {

MatmulTable::MatmulTable(const GpuProfile& gpu, std::string_view dtype) {
  for (const MeasuredMatmuls& matmuls : gpu.measured_matmuls) {
    if (matmuls.dtype != dtype) continue;
    for (const auto& [m, n, k, us] : matmuls.m_n_k_us) us_.emplace(std::array{m, n, k}, us);
    from_ += fmt::format("{}{}", from_.empty() ? "" : "; ",
                         provenance_text(matmuls.from, matmuls.source, {}));
  }
}

std::optional<double> MatmulTable::microseconds(double m, double n, double k) const {
  for (const auto& shape : {std::array{m, n, k}, std::array{n, m, k}}) {
    if (const auto found = us_.find(shape); found != us_.end()) return found->second;
  }
  return {};
}

std::string MatmulTable::text(const std::set<std::array<double, 3>>& shapes) const {
  std::size_t found = 0;
  for (const auto& [m, n, k] : shapes) found += microseconds(m, n, k) ? 1 : 0;
  if (found == 0) return "";
  return fmt::format("matmul: {} of {} shapes as measured, the others by the rate ({})", found,
                     shapes.size(), from_);
}

}  // namespace stagesim
