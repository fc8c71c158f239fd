#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hwmodels/node_type.hpp"
#include "hwmodels/profile.hpp"

namespace stagesim {

// Everything a profile holds as rows to print, each number with its unit and where it is from.
struct SheetNumber {
  std::string name{}, unit{};  // name: path in the file, "kernel_efficiency.softmax"
  double value = 0;
  std::string from{}, source{};
  std::optional<double> error{};  // relative
};

struct SheetTable {
  std::string name{};  // "nvlink3 all_reduce, 8 GPUs"
  std::vector<std::string> columns{};
  std::vector<std::vector<double>> rows{};
  std::string from{}, source{};
  std::optional<double> error{};
};

struct SheetName {
  std::string key{}, value{};  // "intra", "nvlink3"
};

struct Sheet {
  std::string kind{}, name{}, summary{};
  std::vector<SheetName> names{};
  std::vector<SheetNumber> numbers{};
  std::vector<SheetTable> tables{};
};

Sheet sheet_of(const GpuProfile& gpu);
Sheet sheet_of(const LinkProfile& link);
Sheet sheet_of(const NodeType& node);

}  // namespace stagesim
