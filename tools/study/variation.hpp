#pragma once

#include <cstdint>
#include <vector>

namespace stagesim {

// How ranks and ops differ from their costs. rank_speed changes the run itself; the rest is drawn
// anew for every sample of an interval (uncertainty.hpp) and leaves the run as it is.
struct Variation {
  enum class Shape : std::uint8_t { kLogNormal, kNormal };
  std::vector<double> rank_speed;  // [rank], of every pipeline group; empty: all 1
  double jitter = 0;               // standard deviation of an op's time over its mean
  Shape jitter_shape = Shape::kLogNormal;
  double straggler_share = 0;  // how likely a rank is a straggler
  double straggler_speed = 1;  // what its speed is multiplied by
  std::uint64_t seed = 1;
  bool random() const { return jitter > 0 || straggler_share > 0; }
};

}  // namespace stagesim
