// Catch2 2 has its main here; Catch2 3 brings its own.
#if STAGESIM_CATCH == 2
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#else
#include "tests/support/catch.hpp"
#endif
