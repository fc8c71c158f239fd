#include <sstream>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/bubble.hpp"
#include "sim/clock_alignment.hpp"
#include "sim/critical_path.hpp"
#include "sim/versions.hpp"
#include "traces/timeline_json.hpp"

using namespace stagesim;

// What reads is analysed without a broken promise, and written and read again is the same.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  try {
    const TimelineFile file =
        read_timeline({reinterpret_cast<const char*>(data), size}, "fuzz.json");
    std::ostringstream once, twice;
    write_timeline(once, file);
    write_timeline(twice, read_timeline(once.str(), "again.json"));
    if (once.str() != twice.str()) __builtin_trap();
    if (messages_back_in_time(file.timeline) > 0) return 0;
    bubble(file.timeline, {IntervalKind::kWall});
    critical_path(file.timeline);
    versions(file.timeline);
    clock_alignment(file.timeline);
  } catch (const InputError&) {
  }
  return 0;
}
