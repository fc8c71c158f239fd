// A trace of a million ops with all their messages, flows and counters, to a file.

#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>

#include "schedules/table.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "traces/chrome_trace.hpp"

using namespace stagesim;

namespace {

void write_trace(benchmark::State& state) {
  const int microbatches = static_cast<int>(state.range(0));
  Costs costs;
  costs.stages.assign(64, {.forward = Nanos(10'123'456), .backward = Nanos(20'654'321)});
  costs.links[0].transfer_time.assign(64, Nanos(70'000));
  const Timeline timeline = replay(
      lower(make_schedule(find_schedule("1f1b"), {.ranks = 64, .batch = microbatches}), costs));
  const Versions versions_of_run = versions(timeline);
  const MemoryInputs memory{std::vector<StageBytes>(64, {.activation = 4'000'000'000}),
                            std::vector<int>(64, 1)};
  const auto path = std::filesystem::temp_directory_path() / "stagesim_bench_trace.json";
  ChromeTraceStats stats;
  for (auto _ : state) {
    std::ofstream file(path, std::ios::binary);
    stats = write_chrome_trace(file, timeline, versions_of_run, memory, {.title = "bench"});
    file.close();
  }
  std::filesystem::remove(path);
  state.counters["ops"] = 128.0 * microbatches;
  state.counters["MB"] = static_cast<double>(stats.bytes) / 1e6;
}

BENCHMARK(write_trace)->Arg(7813)->Unit(benchmark::kSecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
