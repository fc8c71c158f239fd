#pragma once

#include <string>
#include <vector>

namespace stagesim::test {

// Signed relative errors in percent of predictions against published numbers.
struct Errors {
  std::vector<double> percent{};

  // Adds one and returns it.
  double add(double predicted, double published);
  double mean_size() const;  // of the absolute values, as the next three
  double median_size() const;
  double p90_size() const;
  double max_size() const;
  // "12 rows: median 2.1 %, p90 4.0 %, max 5.2 %, mean -0.3 %"
  std::string summary() const;
};

// 1 when both lists put their items in the same order, -1 in the opposite one (Spearman).
double rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

// Checks tests/papers/<name>.txt against `text`; with STAGESIM_UPDATE_GOLDEN set writes it, with
// STAGESIM_PRINT_PAPERS set prints it too. The accuracy claims are checks of their own: this only
// keeps the table that people read up to date.
void check_table(const std::string& name, const std::string& text);

}  // namespace stagesim::test
