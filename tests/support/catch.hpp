#pragma once

// Catch2 2 or 3, whichever is installed (STAGESIM_CATCH comes from CMake).
#if STAGESIM_CATCH == 2
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
using Catch::Approx;
#endif

// Part of an error text; the two versions name the matcher differently.
inline auto contains(const std::string& part) {
#if STAGESIM_CATCH == 2
  return Catch::Matchers::Contains(part);
#else
  return Catch::Matchers::ContainsSubstring(part);
#endif
}
