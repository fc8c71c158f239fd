// Configurations per second of a sweep with all analyses, into a file, by threads; the same rows
// computed in a bare loop beside it; and the program itself, alone and under mpirun.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>

#include "tools/study/sweep_run.hpp"

using namespace stagesim;

namespace {

Sweep field_sweep(const std::vector<std::string>& axes) {
  Sweep sweep{.base = {.file = "field-p4-m8"}};
  sweep.base.json = parse_json(scenario_text("field-p4-m8"), "field-p4-m8");
  for (const std::string& axis : axes) sweep.axes.push_back(parse_axis(axis));
  return sweep;
}

// 1,000 rows of p <= 16 and m <= 128.
Sweep small() {
  return field_sweep({"schedule=gpipe,1f1b,zb-h1,zb-v,amdp", "parallel.pipeline=4,8,12,16",
                      "batch.microbatches=32:128:2"});
}

// p = 64, m = 1024: 260,096 ops and messages each.
Sweep large() {
  return field_sweep({"schedule=1f1b", "parallel.pipeline=64", "batch.microbatches=1024",
                      "model.stage_times.F=1:8"});
}

void sweep_to_file(benchmark::State& state, const Sweep& sweep) {
  for (auto _ : state) {
    SweepFile file("", sweep);
    run_sweep(sweep, file, {.threads = static_cast<int>(state.range(0))});
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(sweep.rows()));
}

void bare_loop(benchmark::State& state, const Sweep& sweep) {
  for (auto _ : state) {
    for (std::uint64_t row = 0; row < sweep.rows(); ++row)
      benchmark::DoNotOptimize(sweep_row(sweep, row));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(sweep.rows()));
}

// 912 rows, by processes; their start is in it. With mpirun one of them writes, the others compute
// on one core each.
void program(benchmark::State& state) {
  const auto processes = state.range(0);
  const std::string command = fmt::format(
      "{} {} sweep field-p4-m8 --vary schedule=gpipe,1f1b,zb-h1,amdp "
      "--vary parallel.pipeline=4:16:4 --vary batch.microbatches=16:128:2 --threads {} > /dev/null",
      processes > 1 ? fmt::format("{} -n {}", STAGESIM_MPIEXEC, processes) : "", STAGESIM_PROGRAM,
      processes > 1 ? 1 : 2);
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
  setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0);
  for (auto _ : state) {
    if (std::system(command.c_str()) != 0) return state.SkipWithError(command.c_str());
  }
  state.SetItemsProcessed(state.iterations() * 4 * 4 * 57);
}

BENCHMARK(program)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);
#ifdef STAGESIM_WITH_MPI
BENCHMARK(program)->Arg(2)->Arg(3)->UseRealTime()->Unit(benchmark::kMillisecond);
#endif
BENCHMARK_CAPTURE(bare_loop, p16_m128, small())->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sweep_to_file, p16_m128, small())
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bare_loop, p64_m1024, large())->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sweep_to_file, p64_m1024, large())
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
