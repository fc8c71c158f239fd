#include "tests/papers/paper_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>

#include "tests/support/catch.hpp"

namespace stagesim::test {
namespace {

std::vector<double> sorted_sizes(const Errors& errors) {
  std::vector<double> sizes;
  for (const double e : errors.percent) sizes.push_back(std::abs(e));
  std::sort(sizes.begin(), sizes.end());
  REQUIRE(!sizes.empty());
  return sizes;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<double> result;
  for (const double v : values) {
    const auto below = std::count_if(values.begin(), values.end(), [&](double w) { return w < v; });
    const auto equal = std::count(values.begin(), values.end(), v);
    result.push_back(static_cast<double>(below) + static_cast<double>(equal - 1) / 2);
  }
  return result;
}

}  // namespace

double Errors::add(double predicted, double published) {
  percent.push_back(100 * (predicted / published - 1));
  return percent.back();
}
double Errors::mean_size() const { return mean(sorted_sizes(*this)); }
double Errors::median_size() const {
  const std::vector<double> sizes = sorted_sizes(*this);
  return (sizes[(sizes.size() - 1) / 2] + sizes[sizes.size() / 2]) / 2;
}
double Errors::p90_size() const {
  const std::vector<double> sizes = sorted_sizes(*this);
  return sizes[(sizes.size() * 9 + 9) / 10 - 1];
}
double Errors::max_size() const { return sorted_sizes(*this).back(); }
std::string Errors::summary() const {
  return fmt::format("{} rows: median {:.1f} %, p90 {:.1f} %, max {:.1f} %, mean {:+.1f} %",
                     percent.size(), median_size(), p90_size(), max_size(), mean(percent));
}

double rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double mx = mean(x), my = mean(y);
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
  }
  return xy / std::sqrt(xx * yy);
}

void check_table(const std::string& name, const std::string& text) {
  const std::string path = std::string(STAGESIM_PAPERS) + "/" + name + ".txt";
  if (std::getenv("STAGESIM_PRINT_PAPERS") != nullptr) std::printf("%s\n", text.c_str());
  if (std::getenv("STAGESIM_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  INFO("STAGESIM_UPDATE_GOLDEN=1 rewrites " << name << ".txt; look at what changed");
  CHECK(golden.str() == text);
}

}  // namespace stagesim::test
