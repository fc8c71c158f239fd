#pragma once

#include "hwmodels/link_profile.hpp"

namespace stagesim::test {

// Latency 1 us, then 1 GB/s.
inline LinkProfile plain_link() {
  LinkProfile link;
  link.name = "wire";
  link.curve = {{1, 1}, {1000, 1}, {2000, 2}};
  link.latency_us.value = 1;
  return link;
}

}  // namespace stagesim::test
