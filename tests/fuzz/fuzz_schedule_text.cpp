// Any bytes as the text form of a schedule: read or refused, and what passes the rule check reads
// back to an equal schedule, replays, and can be asked everything.

#include <sstream>

#include "sim/compare.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tests/fuzz/fuzz_support.hpp"
#include "traces/chrome_trace.hpp"
#include "traces/ops_csv.hpp"
#include "viz/text_grid.hpp"

using namespace stagesim;
using fuzz::require;

namespace {

bool equal(const Schedule& a, const Schedule& b) {
  return a.name == b.name && a.ops_of_rank == b.ops_of_rank && a.shape.ranks == b.shape.ranks &&
         a.shape.stages == b.shape.stages && a.shape.pipelines == b.shape.pipelines &&
         a.shape.microbatches == b.shape.microbatches && a.shape.window == b.shape.window &&
         a.shape.rule == b.shape.rule && a.shape.optimizer == b.shape.optimizer &&
         a.shape.rank_of_stage == b.shape.rank_of_stage;
}

// Costs that differ per stage, so that nothing is equal by accident.
Costs costs_for(const Shape& shape) {
  Costs costs;
  for (int stage = 0; stage < shape.stages; ++stage) {
    costs.stages.push_back({.forward = Nanos(100 + stage % 7),
                            .backward = Nanos(200 + stage % 5),
                            .input_grad = Nanos(90 + stage % 3),
                            .weight_grad = Nanos(110),
                            .reduce = Nanos(stage % 4),
                            .step = Nanos(10),
                            .broadcast = Nanos(stage % 2)});
    costs.message_bytes.push_back(1000);
    costs.links[0].transfer_time.push_back(Nanos(15));
  }
  costs.links[0].latency = Nanos(5);
  return costs;
}

void ask_everything(const Timeline& timeline) {
  RunInputs inputs{.name = "fuzz", .family = "fuzz", .batch = timeline.shape().window};
  inputs.memory.stages.assign(
      static_cast<std::size_t>(timeline.shape().stages),
      {.activation = 8, .activation_after_i = 3, .message = 2, .weights = 5, .gradients = 7});
  const ScheduleResult result = summarise(timeline, inputs);
  require(result.bubble.bubble >= 0 && result.bubble.bubble <= 1, "0 <= bubble <= 1");
  for (const RankIdle& rank : result.bubble.ranks) {
    Nanos caused{0};
    for (const Nanos part : rank.by_cause) caused += part;
    require(caused == rank.idle, "the causes of idle time add up to it");
    require(rank.busy + rank.idle == rank.interval.length(), "busy and idle fill the interval");
  }
  for (const RankMemory& rank : result.memory)
    require(rank.peak >= rank.resting, "peak >= resting");
  inputs.memory.weight_copies.assign(result.versions.stages.size(), 1);
  std::ostringstream files;
  write_chrome_trace(files, timeline, result.versions, inputs.memory, {});
  write_ops_csv(files, timeline, result.versions);
  require(!text_grid(timeline, 80).empty(), "a grid shows something");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  fuzz::refuse_or_run([&] {
    const Schedule schedule = parse_schedule(input, "fuzz.txt");
    if (!schedule_problems(schedule).empty()) {
      bool refused = false;
      try {
        check_schedule(schedule);
      } catch (const InputError&) {
        refused = true;
      }
      require(refused, "check_schedule refuses what schedule_problems finds");
      return;
    }
    require(equal(parse_schedule(schedule_text(schedule), "fuzz.txt"), schedule),
            "text reads back to an equal schedule");
    for (const CommMode mode : {CommMode::kOverlapped, CommMode::kBlocking}) {
      fuzz::refuse_or_run([&] {
        Costs costs = costs_for(schedule.shape);
        costs.comm = mode;
        costs.barrier = mode == CommMode::kBlocking;
        ask_everything(replay(lower(schedule, costs)));
      });
    }
  });
  return 0;
}
