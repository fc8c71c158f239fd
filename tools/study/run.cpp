#include "tools/study/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "schedules/table.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tools/study/fastest_layers.hpp"
#include "tools/study/run_costs.hpp"
#include "tools/study/stage_estimate.hpp"

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

// Everything held at once at the very most must fit 64 bits.
void check_memory_size(const StageEstimate& stages, const Shape& shape, double scale) {
  double most = 0;
  for (const StageBytes& b : stages.bytes) {
    most += (static_cast<double>(b.activation) + static_cast<double>(b.message)) * scale *
                shape.microbatches +
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

// Mean and largest size of a micro-batch over the one that the costs are of.
double mean_scale(const Scenario& s) {
  if (s.microbatch_scale.empty()) return 1;
  return std::accumulate(s.microbatch_scale.begin(), s.microbatch_scale.end(), 0.0) /
         static_cast<double>(s.microbatch_scale.size());
}
double largest_scale(const Scenario& s) {
  if (s.microbatch_scale.empty()) return 1;
  return *std::max_element(s.microbatch_scale.begin(), s.microbatch_scale.end());
}

// parallel.virtual is for a schedule that has an option for it which the user left alone; 1 says
// that nobody chose.
void settle_virtual_stages(const ScheduleInfo& info, const Scenario& s, ScheduleParams& params) {
  if (lets_choose_v(info) && s.virtual_stages > 1)
    params.options.emplace("v", std::to_string(s.virtual_stages));
}

// Of the schedule's shape; a refusal names the schedule.
struct Stages {
  StageEstimate estimate;
  std::vector<Nanos> pair;
};
Stages stages_of(const ScheduleInfo& info, const Scenario& s, int v) {
  try {
    return {stage_estimate(s, v), pair_times(s, v)};
  } catch (const ShapeError& error) {
    throw ShapeError(fmt::format("{}: {}", info.name, error.what()));
  }
}

// What this schedule's number of stages brings in.
std::vector<std::string> stage_lines(const ScheduleInfo& info, const ScheduleParams& params,
                                     const Scenario& s, int v, const StageEstimate& stages) {
  const std::string name = display_name(info, params.options);
  std::vector<std::string> lines;
  if (s.virtual_stages > 1 && s.virtual_stages != v) {
    lines.push_back(fmt::format(
        "{}: {} stage{} per rank (parallel.virtual {} is for schedules that let one choose{})",
        name, v, v == 1 ? "" : "s", s.virtual_stages,
        params.options.count("v") > 0 ? " and are given no v" : ""));
  }
  if (!s.model && v > 1 && !s.source.per_rank && s.source.listed.empty()) {
    lines.push_back(fmt::format(
        "{}: stage times are per stage, and it has {} per rank: {} times the work of a "
        "schedule with one; \"per\": \"rank\" in model.stage_times compares like with like",
        name, v, v));
  }
  for (const std::string& line : stages.assumptions) {
    if (std::find(s.assumptions.begin(), s.assumptions.end(), line) == s.assumptions.end())
      lines.push_back(fmt::format("{}: {}", name, line));
  }
  return lines;
}

bool any_op(const Schedule& schedule, bool (*is)(const Op&)) {
  return std::any_of(
      schedule.ops_of_rank.begin(), schedule.ops_of_rank.end(),
      [&](const std::vector<Op>& ops) { return std::any_of(ops.begin(), ops.end(), is); });
}

// Groups of sends and receives that wait for each other are a property of the order: Megatron-LM
// runs interleaved and zero-bubble orders with calls placed by hand.
Timeline replay_or_refuse(const ScheduleInfo& info, const Scenario& s, const Program& program) {
  try {
    return replay(program);
  } catch (const DeadlockError& error) {
    if (s.comm != CommMode::kBlocking) throw;
    throw ShapeError(
        fmt::format("{}: hangs with comm.mode \"blocking\", where one group of sends and receives "
                    "stands between two ops of a rank; use \"overlapped\" ({})",
                    info.name, error.what()));
  }
}

}  // namespace

std::int64_t gpu_bytes(const Scenario& s) {
  return static_cast<std::int64_t>(s.gpu->memory_gib.value * 1024 * 1024 * 1024);
}

Run run_schedule(const Scenario& s, const ScheduleSpec& spec) {
  const ScheduleInfo& info = find_schedule(spec.name);
  ScheduleParams params{
      .ranks = s.ranks, .batch = s.batch, .options = spec.options, .batch_from = s.batch_from};
  settle_virtual_stages(info, s, params);
  params.window = window_of(info, params);
  const Windows windows = windows_of(info, params, s.steps);
  check_run_size(info, params, windows.total);
  params.windows = static_cast<int>(windows.total);
  const int v = virtual_stages_of(info, params);
  if (s.model && s.source.split == LayerSplit::kFastest) return fastest_run(s, spec, v);
  auto [stages, pair] = stages_of(info, s, v);
  const Costs compute = costs_of(s, stages, pair);
  Run run;
  run.options = params.options;
  run.order = make_schedule(info, params, &compute);
  const Shape shape = run.order.shape;
  if (shape.forward_only && s.steps > 1) {
    throw ShapeError(
        fmt::format("{}: has no updates, so several steps have no border; use more micro-batches "
                    "instead of run.steps",
                    info.name));
  }
  run.assumptions = stage_lines(info, params, s, v, stages);
  if (!s.split_given &&
      any_op(run.order, [](const Op& op) { return op.kind == OpKind::kInputGrad; })) {
    run.assumptions.push_back(
        "split backward: I and W take half of B each (assumed; model.stage_times.I and W not "
        "given)");
  }
  if (any_op(run.order, [](const Op& op) { return op.pair != PairPart::kNone; })) {
    run.assumptions.push_back(
        pair.empty() ? "overlapped pairs: no gain assumed, F and B one after the other "
                       "(model.stage_times.FB not given)"
                     : "overlapped pairs: FB as given");
  }
  const auto before_updates = static_cast<std::ptrdiff_t>(stages.assumptions.size());
  add_updates(stages, s, shape);
  check_memory_size(stages, shape, largest_scale(s));
  run.costs = costs_of(s, stages, pair);
  run.timeline = replay_or_refuse(info, s, lower(run.order, run.costs));
  run.layers = stages.layers;
  if (run.order.dispatch != Dispatch::kFixed) {
    run.online = std::move(run.order);
    run.order = chosen_order(run.timeline, run.online.name);
  }
  run.memory = {.stages = stages.bytes,
                .weight_copies = {},
                .recompute = s.recompute,
                .microbatch_scale = s.microbatch_scale};
  const double mean = mean_scale(s);  // tokens and FLOPs count the real samples
  run.inputs = {.name = display_name(info, params.options),
                .family = std::string(info.name),
                .batch = s.batch,
                .warm_windows = static_cast<int>(windows.warm),
                .measured_windows = static_cast<int>(windows.measured),
                .tokens_per_microbatch = stages.tokens_per_microbatch * mean * s.data,
                .flops_per_microbatch = stages.flops_per_microbatch * mean,
                .memory_known = s.has_bytes,
                .memory = run.memory};
  if (s.gpu != nullptr && s.has_bytes) run.inputs.capacity = gpu_bytes(s);
  if (s.gpu != nullptr) run.inputs.peak_flops = s.gpu->peak_tflops.value * 1e12;
  run.result = summarise(run.timeline, run.inputs);
  for (const StageVersions& stage : run.result.versions.stages)
    run.memory.weight_copies.push_back(stage.copies);
  run.assumptions.insert(run.assumptions.end(), stages.assumptions.begin() + before_updates,
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
