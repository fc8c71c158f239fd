// How far the step time of the cpu backend with sleeping ops is from the prediction: every schedule
// on 8 ranks, ops of 10 ms and more, the median of 5 runs. On a machine that does other things too,
// the error is theirs.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "schedules/table.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tools/execute/cpu_backend.hpp"
#include "tools/execute/dispatch.hpp"

using namespace stagesim;

namespace {

constexpr Nanos kMs{1'000'000};

Program program_of(const ScheduleInfo& info) {
  const ScheduleParams wanted{.ranks = 8, .batch = 16};
  ScheduleParams params = wanted;
  params.window = window_of(info, params);
  params.windows = info.rule == VersionRule::kFlush ? 1 : 3;
  Costs costs;
  for (int s = 0; s < 8 * virtual_stages_of(info, params); ++s) {
    costs.stages.push_back({.forward = 10 * kMs,
                            .backward = 20 * kMs,
                            .input_grad = 10 * kMs,
                            .weight_grad = 10 * kMs,
                            .step = 10 * kMs});
    costs.links[0].transfer_time.push_back(kMs);
  }
  const Schedule schedule = make_schedule(info, params, &costs);
  const Program program = lower(schedule, costs);
  if (program.dispatch == Dispatch::kFixed) return program;
  return lower(chosen_order(replay(program), schedule.name), costs);
}

void execute_schedule(benchmark::State& state, const ScheduleInfo* info) {
  const Program program = program_of(*info);
  const double predicted = to_ms(wall(replay(program)).length());
  std::vector<double> measured;
  for (auto _ : state) {
    measured.clear();
    for (int i = 0; i < 5; ++i) {
      const auto backend = cpu_backend(program);
      measured.push_back(to_ms(wall(execute(program, *backend)).length()));
    }
  }
  std::sort(measured.begin(), measured.end());
  state.counters["predicted_ms"] = predicted;
  state.counters["measured_ms"] = measured[2];
  state.counters["error_%"] = 100 * (predicted / measured[2] - 1);
}

}  // namespace

int main(int argc, char** argv) {
  for (const ScheduleInfo& info : schedule_table())
    benchmark::RegisterBenchmark(std::string(info.name).c_str(), execute_schedule, &info)
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
