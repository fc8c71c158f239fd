#pragma once

#include <ostream>

#include "sim/timeline.hpp"
#include "sim/versions.hpp"

namespace stagesim {

// Every op of every rank in the order it ran, then every transfer: when, which versions, mismatch
// and delay, what it waited for and how long, and the op whose end let it start. One header line;
// times in whole nanoseconds. Throws InputError when the stream fails.
void write_ops_csv(std::ostream& out, const Timeline& timeline, const Versions& versions);

}  // namespace stagesim
