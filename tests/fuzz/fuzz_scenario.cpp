// Any bytes as a scenario file: read or refused, and a small one runs under every schedule or is
// refused by it.

#include <cmath>

#include "schedules/table.hpp"
#include "tests/fuzz/fuzz_support.hpp"
#include "tools/study/run.hpp"

using namespace stagesim;
using fuzz::require;

namespace {

constexpr double kMostOps = 20'000;

// A run has at most this many windows beside the measured ones at either edge; an upper bound of
// the ops of a run that does not copy the program's own arithmetic.
bool small(const Scenario& s, const ScheduleSpec& spec) {
  const ScheduleInfo& info = find_schedule(spec.name);
  const int window = window_of(info, {.ranks = s.ranks, .batch = s.batch, .options = spec.options});
  const double steps = s.steps == 0 ? 4 : s.steps;
  const double run =
      steps * std::max(s.batch, window) + 2.0 * (std::max(s.batch, s.ranks) + window);
  return 2.0 * s.ranks * run <= kMostOps;
}

void run_if_small(const Scenario& s, const ScheduleSpec& spec) {
  if (!small(s, spec)) return;
  const Run run = run_schedule(s, spec);
  const ScheduleResult& r = run.result;
  require(r.step_time.count() >= 0 && r.wall >= r.step_time, "0 <= step time <= wall");
  require(std::isfinite(r.bubble.bubble) && r.bubble.bubble >= 0 && r.bubble.bubble <= 1,
          "0 <= bubble <= 1");
  require(std::isfinite(r.bubble.over_ideal), "over ideal is a number");
  require(std::isfinite(r.tokens_per_s) && (!r.mfu || std::isfinite(*r.mfu)), "rates are numbers");
  for (const RankMemory& rank : r.memory) require(rank.peak >= 0, "memory does not overflow");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz::refuse_or_run([&] {
    const Scenario scenario = read_scenario(parse_json(text, "fuzz.json"), "fuzz.json", {});
    require(scenario.ranks >= 1 && scenario.data >= 1 && scenario.batch >= 1, "a usable shape");
    for (const ScheduleInfo& info : schedule_table()) {
      fuzz::refuse_or_run([&] { run_if_small(scenario, {std::string(info.name), {}}); });
    }
    if (!scenario.schedule.name.empty()) run_if_small(scenario, scenario.schedule);
  });
  return 0;
}
