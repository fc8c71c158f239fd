// Replay beside a bare std::priority_queue that handles the same (end, task) pairs in the same
// pattern, in the same run: machines differ and are noisy, the ratio is what counts.

#include <benchmark/benchmark.h>

#include <queue>
#include <random>

#include "schedules/table.hpp"
#include "sim/bubble.hpp"
#include "sim/lower.hpp"
#include "sim/memory.hpp"
#include "sim/replay.hpp"
#include "sim/versions.hpp"

using namespace stagesim;

namespace {

constexpr int kRanks = 64;

Costs costs_of(int ranks) {
  Costs costs;
  costs.stages.assign(static_cast<std::size_t>(ranks),
                      {.forward = Nanos(10'000'000), .backward = Nanos(20'000'000)});
  costs.links[0].latency = Nanos(8'000);
  costs.links[0].transfer_time.assign(static_cast<std::size_t>(ranks), Nanos(70'000));
  return costs;
}

Schedule schedule_of(int microbatches) {
  return make_schedule(find_schedule("1f1b"), {.ranks = kRanks, .batch = microbatches});
}

// Durations jittered by +-10 %, so that no two events meet by construction. Links keep T >=
// latency.
Program jittered(int microbatches) {
  Program program = lower(schedule_of(microbatches), costs_of(kRanks));
  std::mt19937 random(1);
  std::uniform_real_distribution<double> factor(0.9, 1.1);
  for (Nanos& d : program.duration)
    d = Nanos(static_cast<std::int64_t>(static_cast<double>(d.count()) * factor(random)));
  return program;
}

double bytes_per_activity(const Program& program, const ReplayBuffers& buffers) {
  const Activities& what = *program.what;
  const std::size_t bytes = what.op.size() * sizeof(Op) + what.lane.size() * sizeof(LaneId) +
                            what.transfers.size() * sizeof(Transfer) +
                            program.duration.size() * sizeof(Nanos) + program.unmet.size() * 4 +
                            program.first_next.size() * 4 + program.next.size() * sizeof(TaskId) +
                            buffers.start.size() * sizeof(Nanos) +
                            buffers.end.size() * sizeof(Nanos);
  return static_cast<double>(bytes) / what.size();
}

void replay_1f1b(benchmark::State& state) {
  const Program program = jittered(static_cast<int>(state.range(0)));
  ReplayBuffers buffers;
  replay_into(program,
              buffers);  // the arrays are reused: their first pages are no part of the loop
  for (auto _ : state) {
    replay_into(program, buffers);
    benchmark::DoNotOptimize(buffers.end.data());
  }
  const std::int64_t tasks = program.what->size();
  state.counters["activities"] = static_cast<double>(tasks);
  state.counters["bytes/activity"] = bytes_per_activity(program, buffers);
  state.SetItemsProcessed(state.iterations() * tasks);
}

struct Pair {
  Nanos end;
  TaskId task;
};
struct Later {
  bool operator()(const Pair& a, const Pair& b) const {
    return static_cast<int>(a.end > b.end) |
           (static_cast<int>(a.end == b.end) & static_cast<int>(a.task > b.task));
  }
};

// The pattern of a replay: after each pop, how many tasks were pushed and which.
struct Pattern {
  std::vector<Pair> pushed;          // in push order
  std::vector<std::uint8_t> pushes;  // after the k-th pop
  std::size_t at_start = 0;
};

Pattern pattern_of(const Program& program) {
  ReplayBuffers buffers;
  replay_into(program, buffers);
  Pattern pattern;
  std::vector<std::uint32_t> unmet = program.unmet;
  std::priority_queue<Pair, std::vector<Pair>, Later> queue;
  const auto push = [&](TaskId t) {
    pattern.pushed.push_back({buffers.end[t], t});
    queue.push(pattern.pushed.back());
  };
  for (TaskId t = 0; t < program.what->size(); ++t) {
    if (unmet[t] == 0) push(t);
  }
  pattern.at_start = pattern.pushed.size();
  while (!queue.empty()) {
    const TaskId t = queue.top().task;
    queue.pop();
    std::uint8_t pushes = 0;
    for (std::uint32_t i = program.first_next[t]; i < program.first_next[t + 1]; ++i) {
      if (--unmet[program.next[i]] == 0) push(program.next[i]), ++pushes;
    }
    pattern.pushes.push_back(pushes);
  }
  return pattern;
}

void bare_priority_queue(benchmark::State& state) {
  const Program program = jittered(static_cast<int>(state.range(0)));
  const Pattern pattern = pattern_of(program);
  for (auto _ : state) {
    std::priority_queue<Pair, std::vector<Pair>, Later> queue;
    std::size_t next = 0;
    std::int64_t sum = 0;
    while (next < pattern.at_start) queue.push(pattern.pushed[next++]);
    for (const std::uint8_t pushes : pattern.pushes) {
      sum += queue.top().end.count();
      queue.pop();
      for (std::uint8_t i = 0; i < pushes; ++i) queue.push(pattern.pushed[next++]);
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(pattern.pushed.size()));
}

void generate_and_check(benchmark::State& state) {
  std::int64_t ops = 0;
  for (auto _ : state) {
    const Schedule schedule = schedule_of(static_cast<int>(state.range(0)));
    ops += static_cast<std::int64_t>(kRanks * schedule.ops_of_rank[0].size());
  }
  state.SetItemsProcessed(ops);
}

void lower_1f1b(benchmark::State& state) {
  const Schedule schedule = schedule_of(static_cast<int>(state.range(0)));
  const Costs costs = costs_of(kRanks);
  std::int64_t tasks = 0;
  for (auto _ : state) tasks += lower(schedule, costs).what->size();
  state.SetItemsProcessed(tasks);
}

void analyse_1f1b(benchmark::State& state) {
  const Timeline timeline = replay(jittered(static_cast<int>(state.range(0))));
  const MemoryInputs inputs{std::vector<StageBytes>(kRanks, {.activation = 1}),
                            std::vector<int>(kRanks, 1)};
  for (auto _ : state) {
    benchmark::DoNotOptimize(bubble(timeline, {}));
    benchmark::DoNotOptimize(memory(timeline, inputs));
    benchmark::DoNotOptimize(versions(timeline));
  }
  state.SetItemsProcessed(state.iterations() * timeline.what->size());
}

// 64 ranks: 254 activities per micro-batch and 64 updates; 1024 micro-batches are 260,096 ops and
// messages.
BENCHMARK(bare_priority_queue)->Arg(1024)->Arg(10007)->Unit(benchmark::kMillisecond);
BENCHMARK(replay_1f1b)->Arg(1024)->Arg(10007)->Arg(118117)->Unit(benchmark::kMillisecond);
BENCHMARK(generate_and_check)->Arg(1024)->Unit(benchmark::kMillisecond);
BENCHMARK(lower_1f1b)->Arg(1024)->Unit(benchmark::kMillisecond);
BENCHMARK(analyse_1f1b)->Arg(1024)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
