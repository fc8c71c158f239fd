#include "sim/base/time.hpp"

#include <cmath>

#include "sim/base/error.hpp"

namespace stagesim {

Nanos rounded_nanos(double ns) {
  STAGESIM_CHECK(ns >= 0 && ns <= static_cast<double>(kLongestOp.count()));
  return Nanos(std::llround(ns));
}

}  // namespace stagesim
