#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/costs.hpp"
#include "sim/schedule.hpp"

namespace stagesim {

struct ScheduleParams {
  int ranks = 1;
  int batch = 1;    // micro-batches per step
  int window = 0;   // micro-batches per update; 0: the schedule's own choice
  int windows = 1;  // how many windows to lay out
  std::map<std::string, std::string> options{};  // the schedule's own, such as preload=1
  std::string
      batch_from{};  // how `batch` came about, for messages: "batch.global 8 / (batch.micro 8 x 1)"
};

struct ScheduleOption {
  std::string_view name, values, fallback, meaning;
};

// What a paper or a derivation says about a schedule of equal stages, to stand beside what the
// replay finds. Times in units of the stage's own.
struct EqualStages {
  double forward = 0, backward = 0, input_grad = 0, weight_grad = 0, pair = 0;
};
struct ClosedForm {
  std::string_view quantity;  // "wall", "span"; "step": steady time of one batch, no flush
  std::string_view formula, source;
  double value = 0;
};

// One row per schedule. A generator is a pure function of its parameters; it may look at costs
// (null when there are none). Throws InputError for shapes the schedule does not allow, with the
// arithmetic.
struct ScheduleInfo {
  std::string_view name;
  std::vector<std::string_view> aliases;
  std::string_view summary, source;
  VersionRule rule;
  std::vector<ScheduleOption> options;
  int (*window)(const ScheduleParams&);  // micro-batches per update when the user names none
  Schedule (*generate)(const ScheduleParams&, const Costs*);
  // Stages per rank of one pipeline; null: 1.
  int (*virtual_stages)(const ScheduleParams&) = nullptr;
  // The most micro-batches that a rank holds at once, in stages, between F and B (or W) of one
  // step; null: the whole batch.
  int (*most_activations)(const ScheduleParams&, int rank) = nullptr;
  std::vector<ClosedForm> (*closed_forms)(const ScheduleParams&, const EqualStages&) = nullptr;
};

// In the order that lists and help show.
const std::vector<ScheduleInfo>& schedule_table();

// By name or alias. Throws InputError: "unknown schedule '1f1c' (did you mean '1f1b'?); known: …".
const ScheduleInfo& find_schedule(std::string_view name);

// False of forward-only alone, which comparisons, sweeps and plans of all schedules leave out.
bool trains(const ScheduleInfo& info);

// Whether it has the option v, stages per rank.
bool lets_choose_v(const ScheduleInfo& info);

// Checks option names, settles the window, generates, and runs the rule check on the result.
Schedule make_schedule(const ScheduleInfo& info, ScheduleParams params,
                       const Costs* costs = nullptr);

// Throws InputError when so many windows are more than a program can hold; params.window must be
// settled.
void check_run_size(const ScheduleInfo& info, const ScheduleParams& params, std::int64_t windows);

// Stages per rank of one pipeline that this schedule has with these parameters.
int virtual_stages_of(const ScheduleInfo& info, const ScheduleParams& params);

// The window that make_schedule will use.
int window_of(const ScheduleInfo& info, const ScheduleParams& params);

// "amdp:preload=1": the schedule's name and the parameters that differ from their defaults.
std::string display_name(const ScheduleInfo& info,
                         const std::map<std::string, std::string>& options);

// For generators: the value of an option, or its fallback; whole numbers inside [low, high] or
// InputError.
std::string option_text(const ScheduleInfo& info, const ScheduleParams& params,
                        std::string_view name);
int option_int(const ScheduleInfo& info, const ScheduleParams& params, std::string_view name,
               int low, int high);

}  // namespace stagesim
