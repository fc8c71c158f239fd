#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/runs.hpp"
#include "tests/traces/hand_made.hpp"
#include "traces/chrome_trace.hpp"

namespace stagesim::test {

using Json = nlohmann::json;

// A written trace, parsed again.
struct TraceText {
  std::string text;
  ChromeTraceStats stats;
  Json json;

  // The events of one phase ("X", "s", "f", "C", "M"), in file order.
  std::vector<Json> events(const std::string& phase) const {
    std::vector<Json> result;
    for (const Json& event : json.at("traceEvents")) {
      if (event.at("ph") == phase) result.push_back(event);
    }
    return result;
  }
};

inline TraceText trace(const Timeline& timeline, const ChromeTraceOptions& options = {},
                       const MemoryInputs& memory = {}) {
  std::ostringstream out;
  TraceText result;
  result.stats = write_chrome_trace(out, timeline, versions(timeline), memory, options);
  result.text = out.str();
  result.json = Json::parse(result.text);
  return result;
}

// Microseconds with three decimals, back to whole nanoseconds.
inline std::int64_t nanos(const Json& micros) { return std::llround(micros.get<double>() * 1000); }

}  // namespace stagesim::test
