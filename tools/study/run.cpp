#include "tools/study/run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "schedules/table.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"

namespace stagesim {
namespace {

// How many windows to lay out (DESIGN "Step time"): an asynchronous run has start-up windows, the
// measured ones and a drain; where a window is shorter than the batch or the pipeline, as many as
// fill it.
struct Windows {
  int warm = 0, measured = 0, total = 1;
};

int ceil_div(std::int64_t a, std::int64_t b) { return static_cast<int>((a + b - 1) / b); }

Windows windows_of(const ScheduleInfo& info, const ScheduleParams& params, int steps) {
  if (info.rule == VersionRule::kFlush) {
    if (steps <= 1) return {};
    return {1, steps - 1, steps};
  }
  const int asked = steps == 0 ? 4 : steps;
  const int edge = std::max(1, ceil_div(std::max(params.batch, params.ranks), params.window));
  const int measured = std::max(asked, ceil_div(std::int64_t{asked} * params.batch, params.window));
  return {edge, measured, edge + measured + edge};
}

Costs costs_of(const Scenario& s, const StageEstimate& stages) {
  Costs costs;
  costs.stages = stages.costs;
  costs.links = s.links;
  for (const StageBytes& bytes : stages.bytes) costs.message_bytes.push_back(bytes.message);
  costs.ranks_per_node = s.ranks_per_node;
  costs.comm = s.comm;
  costs.barrier = s.barrier;
  return costs;
}

}  // namespace

Run run_schedule(const Scenario& s, const ScheduleSpec& spec) {
  const ScheduleInfo& info = find_schedule(spec.name);
  ScheduleParams params{
      .ranks = s.ranks, .batch = s.batch, .options = spec.options, .batch_from = s.batch_from};
  params.window = window_of(info, params);
  const Windows windows = windows_of(info, params, s.steps);
  params.windows = windows.total;
  StageEstimate stages = s.stages;
  const Costs compute = costs_of(s, stages);
  const Schedule schedule = make_schedule(info, params, &compute);
  Run run;
  const Shape& shape = schedule.shape;
  const std::size_t shared_assumptions = stages.assumptions.size();
  if (s.gpu != nullptr && s.model) {
    LinkProfile none;  // a single rank has no link and reduces with nobody
    none.curve = {{1, 1}, {2, 2}};
    add_update_costs(stages, *s.gpu, s.update_link.value_or(none), shape.pipelines, shape.optimizer,
                     s.data);
  }
  run.timeline = replay(lower(schedule, costs_of(s, stages)));
  run.memory = {.stages = stages.bytes, .weight_copies = {}};
  RunInputs inputs{.name = display_name(info, spec.options),
                   .family = std::string(info.name),
                   .batch = s.batch,
                   .warm_windows = windows.warm,
                   .measured_windows = windows.measured,
                   .tokens_per_microbatch = stages.tokens_per_microbatch * s.data,
                   .flops_per_microbatch = stages.flops_per_microbatch,
                   .memory = run.memory};
  if (s.gpu != nullptr && s.has_bytes)
    inputs.capacity = static_cast<std::int64_t>(s.gpu->memory_gib.value * 1024 * 1024 * 1024);
  if (s.gpu != nullptr) inputs.peak_flops = s.gpu->peak_tflops.value * 1e12;
  run.result = summarise(run.timeline, inputs);
  for (const StageVersions& stage : run.result.versions.stages)
    run.memory.weight_copies.push_back(stage.copies);
  run.assumptions.assign(
      stages.assumptions.begin() + static_cast<std::ptrdiff_t>(shared_assumptions),
      stages.assumptions.end());
  return run;
}

std::vector<Attempt> run_schedules(const Scenario& s, const std::vector<ScheduleSpec>& specs) {
  std::vector<Attempt> attempts;
  for (const ScheduleSpec& spec : specs) {
    Attempt& attempt = attempts.emplace_back();
    attempt.spec = spec;
    find_schedule(spec.name);  // a name nobody knows is no refusal but a mistake: let it through
    try {
      attempt.run = run_schedule(s, spec);
    } catch (const InputError& error) {
      attempt.refusal = error.what();
    }
  }
  return attempts;
}

}  // namespace stagesim
