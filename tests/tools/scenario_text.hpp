#pragma once

#include <string>

#include "tools/study/run.hpp"

namespace stagesim::test {

inline Scenario read(const std::string& text, const Origins& origins = {}) {
  return read_scenario(parse_json(text, "s.json"), "s.json", origins);
}

// Everything that is wrong with a scenario, or "" if nothing is.
inline std::string problems_of(const std::string& text, const Origins& origins = {}) {
  try {
    read(text, origins);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

// Equal stages of F = 1 ms and B = 2 ms, with more fields as JSON text (", ..." or nothing).
inline std::string unit(int ranks, int microbatches, const std::string& more = "") {
  return R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": )" +
         std::to_string(ranks) + R"(}, "batch": {"microbatches": )" + std::to_string(microbatches) +
         "}" + more + "}";
}

inline ScheduleResult result(const std::string& text, const std::string& schedule) {
  return run_schedule(read(text), parse_schedule_spec(schedule)).result;
}

inline double step_ms(const std::string& text, const std::string& schedule) {
  return to_ms(result(text, schedule).step_time);
}

}  // namespace stagesim::test
