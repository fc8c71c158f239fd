#pragma once

#include <functional>
#include <optional>
#include <string>

#include "hwmodels/profile.hpp"

namespace stagesim {

// What a scenario takes from profiles.
struct FittedNumbers {
  std::optional<GpuProfile> gpu{};
  std::optional<LinkProfile> link_within{}, link_between{};
};

// A number or a curve that comes with an error: who it is ("a100-sxm-80gb matmul_efficiency",
// "hdr200x8", "nvlink3 all_reduce of 8 GPUs"), its relative error, and how to multiply it. A rate
// stays at or below the peak that it is a fraction of; a curve is multiplied as a whole, latency
// included.
struct FittedNumber {
  std::string what{};
  double error = 0;
  std::function<void(double)> multiply{};  // points into the FittedNumbers
};

// In an order that depends on nothing but the profiles. Capacities and peaks are not among them.
std::vector<FittedNumber> numbers_with_errors(FittedNumbers& numbers);

}  // namespace stagesim
