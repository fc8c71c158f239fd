#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "sim/base/error.hpp"

namespace stagesim::fuzz {

// A broken promise that throws nothing. abort() so that the fuzzer keeps the input.
inline void require(bool promise, const char* what) {
  if (promise) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// Input that is refused must be refused as InputError and say something; whatever else escapes
// (InternalError, bad_alloc, the standard library's exceptions) ends the fuzzer as a crash.
template <typename Try>
void refuse_or_run(Try&& attempt) {
  try {
    attempt();
  } catch (const InputError& error) {
    require(error.what()[0] != '\0', "an error has a text");
  }
}

}  // namespace stagesim::fuzz
