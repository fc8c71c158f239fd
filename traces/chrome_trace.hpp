#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "sim/memory.hpp"
#include "sim/timeline.hpp"
#include "sim/versions.hpp"

namespace stagesim {

struct ChromeTraceOptions {
  std::string title;  // shown in the metadata, any bytes
  bool transfers = true, flows = true, counters = true;
};

struct ChromeTraceStats {
  std::int64_t bytes = 0, slices = 0, flows = 0, counters = 0;
};

// Writes the Chrome trace event format (chrome://tracing, Perfetto, speedscope) as it goes along:
// strict JSON, microseconds with three decimals (so nothing is rounded), one process per rank with
// pid rank + 1, tracks compute / optimizer / one or more per outgoing link, one flow per transfer,
// counters for memory and weight versions. Throws InputError when the stream fails.
ChromeTraceStats write_chrome_trace(std::ostream& out, const Timeline& timeline,
                                    const Versions& versions, const MemoryInputs& memory,
                                    const ChromeTraceOptions& options);

}  // namespace stagesim
