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
  std::int64_t warm = 0, measured = 0, total = 1;
};

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

Windows windows_of(const ScheduleInfo& info, const ScheduleParams& params, int steps) {
  if (info.rule == VersionRule::kFlush) {
    if (steps <= 1) return {};
    return {1, steps - 1, steps};
  }
  const int asked = steps == 0 ? 4 : steps;
  const std::int64_t edge =
      std::max<std::int64_t>(1, ceil_div(std::max(params.batch, params.ranks), params.window));
  const std::int64_t measured =
      std::max<std::int64_t>(asked, ceil_div(std::int64_t{asked} * params.batch, params.window));
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

// What the replicas and data-parallel copies of a stage reduce over: the slowest link among them.
LinkProfile update_link(const Scenario& s, const Shape& shape) {
  const bool replicas_apart =
      shape.pipelines > 1 && s.ranks_per_node > 0 && s.ranks_per_node < s.ranks;
  const bool copies_apart = s.nodes > 1 && s.data > s.gpus_per_node;
  LinkProfile none;  // a single rank has no link and reduces with nobody
  none.curve = {{1, 1}, {2, 2}};
  return (replicas_apart || copies_apart ? s.link_between : s.link_within).value_or(none);
}

// Everything held at once at the very most must fit 64 bits.
void check_memory_size(const StageEstimate& stages, const Shape& shape) {
  double most = 0;
  for (const StageBytes& b : stages.bytes) {
    most +=
        (static_cast<double>(b.activation) + static_cast<double>(b.message)) * shape.microbatches +
        (static_cast<double>(b.weights) * shape.stages + static_cast<double>(b.gradients) +
         static_cast<double>(b.optimizer) + static_cast<double>(b.workspace)) *
            shape.pipelines;
  }
  if (most > 9e18) {
    throw InputError(
        fmt::format("model.stage_bytes: {} micro-batches could hold {:.3g} bytes, and at most 9e18 "
                    "can be counted; use smaller sizes",
                    shape.microbatches, most));
  }
}

}  // namespace

Run run_schedule(const Scenario& s, const ScheduleSpec& spec) {
  const ScheduleInfo& info = find_schedule(spec.name);
  ScheduleParams params{
      .ranks = s.ranks, .batch = s.batch, .options = spec.options, .batch_from = s.batch_from};
  params.window = window_of(info, params);
  const Windows windows = windows_of(info, params, s.steps);
  check_run_size(info, params, windows.total);
  params.windows = static_cast<int>(windows.total);
  StageEstimate stages = s.stages;
  const Costs compute = costs_of(s, stages);
  Run run;
  run.order = make_schedule(info, params, &compute);
  const Shape& shape = run.order.shape;
  const std::size_t shared_assumptions = stages.assumptions.size();
  if (s.gpu != nullptr && s.model) {
    add_update_costs(stages, *s.gpu, update_link(s, shape), shape.pipelines, shape.optimizer,
                     s.data);
  }
  check_memory_size(stages, shape);
  run.timeline = replay(lower(run.order, costs_of(s, stages)));
  if (run.order.dispatch != Dispatch::kFixed)
    run.order = chosen_order(run.timeline, run.order.name);
  run.memory = {.stages = stages.bytes, .weight_copies = {}};
  RunInputs inputs{.name = display_name(info, spec.options),
                   .family = std::string(info.name),
                   .batch = s.batch,
                   .warm_windows = static_cast<int>(windows.warm),
                   .measured_windows = static_cast<int>(windows.measured),
                   .tokens_per_microbatch = stages.tokens_per_microbatch * s.data,
                   .flops_per_microbatch = stages.flops_per_microbatch,
                   .memory_known = s.has_bytes,
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
    try {
      attempt.run = run_schedule(s, spec);
    } catch (const ShapeError& error) {
      attempt.refusal = error.what();
    }
  }
  return attempts;
}

}  // namespace stagesim
