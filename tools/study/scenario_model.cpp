#include <fmt/format.h>

#include <cmath>

#include "tools/study/scenario_parts.hpp"

namespace stagesim {
namespace {

double nanos_per(const std::string& unit) {
  if (unit == "s") return 1e9;
  if (unit == "ms") return 1e6;
  return unit == "us" ? 1e3 : 1;
}

void read_stage_bytes(JsonFields& model, std::size_t stages, Scenario& s) {
  s.stages.bytes.assign(stages, {});
  if (!model.has("stage_bytes")) return;
  s.has_bytes = true;
  JsonFields bytes = model.child("stage_bytes");
  const auto read = [&](const char* key, std::int64_t StageBytes::*field) {
    if (!bytes.has(key)) return;
    const std::vector<double> values = bytes.numbers(key, stages, 0, 1e15);
    for (std::size_t i = 0; i < stages; ++i) s.stages.bytes[i].*field = std::llround(values[i]);
  };
  read("activation", &StageBytes::activation);
  read("activation_after_I", &StageBytes::activation_after_i);
  read("message", &StageBytes::message);
  read("weights", &StageBytes::weights);
  read("gradients", &StageBytes::gradients);
  read("optimizer", &StageBytes::optimizer);
  read("workspace", &StageBytes::workspace);
  bytes.finish();
  for (std::size_t i = 0; i < stages; ++i) {
    if (s.stages.bytes[i].activation_after_i > s.stages.bytes[i].activation) {
      bytes.problem("activation_after_I",
                    "stage {}: {} bytes stay after I, more than the whole activation of {}", i,
                    s.stages.bytes[i].activation_after_i, s.stages.bytes[i].activation);
      break;
    }
  }
}

}  // namespace

void read_stage_times(JsonFields& model, JsonFields& partition, JsonFields& overheads,
                      Scenario& s) {
  // 0: the number of stages is not known, because the shape has problems already reported.
  const bool shape_ok = model.source().problems->empty();
  const std::size_t stages = shape_ok ? static_cast<std::size_t>(s.ranks) : 0;
  JsonFields times = model.child("stage_times");
  const std::string unit = times.one_of("unit", {"ms", "us", "ns", "s"}, "ms");
  times.one_of("per", {"stage", "rank"},
               "stage");  // the same while every rank has one stage of a pipeline
  const double scale = nanos_per(unit);
  const double longest = static_cast<double>(kLongestOp.count()) / scale;
  s.stages.costs.assign(stages, {});
  const auto read = [&](JsonFields& from, const char* key, Nanos StageCosts::*field) {
    const std::vector<double> values = from.numbers(key, stages, 0, longest);
    for (std::size_t i = 0; i < stages; ++i) {
      s.stages.costs[i].*field = rounded_nanos(values[i] * scale);
      if (values[i] > 0 && s.stages.costs[i].*field == Nanos{0}) {
        from.problem(key, "stage {}: {} {} is less than half a nanosecond and would count as 0", i,
                     values[i], unit);
        break;
      }
    }
  };
  read(times, "F", &StageCosts::forward);
  const bool split = times.has("I") || times.has("W");
  if (split) {
    read(times, "I", &StageCosts::input_grad);
    read(times, "W", &StageCosts::weight_grad);
    for (StageCosts& stage : s.stages.costs) stage.backward = stage.input_grad + stage.weight_grad;
  }
  if (times.has("B") || !split) read(times, "B", &StageCosts::backward);
  times.finish();
  if (model.has("update_time")) read(model, "update_time", &StageCosts::step);
  read_stage_bytes(model, stages, s);
  if (partition.has("layers"))
    partition.problem(
        "layers",
        "explicit stage_times already say what each stage costs; leave one of the two out");
  if (overheads.has("launch_us")) {
    overheads.problem(
        "launch_us",
        "explicit stage_times have no kernels to launch; add it to the times, or leave it out");
  }
  s.assumptions.push_back(
      "stage times: as given (model.stage_times)" +
      std::string(model.has("update_time")
                      ? ""
                      : "; the optimizer step takes no time (model.update_time not given)"));
  s.assumptions.push_back(
      "collectives of the update, data-parallel ones included: no time (not modelled with explicit "
      "stage_times)");
}

void read_transformer(JsonFields& fields, JsonFields& partition, JsonFields& overheads,
                      JsonFields& batch, Scenario& s) {
  s.model = read_model(fields);
  const double launch = overheads.number("launch_us", 0, 1e6, s.gpu ? s.gpu->launch_us.value : 0);
  const auto micro = static_cast<int>(batch.integer("micro", 1, 1'000'000, 1));
  if (s.gpu == nullptr && fields.source().problems->empty()) {
    fields.source().problems->add(
        "{}: missing field 'cluster.gpu': a model needs a GPU to run on (or give "
        "model.stage_times)",
        fields.source().file);
  }
  if (!fields.source().problems->empty()) return;
  StagePlan plan{{}, micro};
  const Json& layers = partition.any("layers");
  try {
    if (layers.is_array()) {
      for (const double n :
           partition.numbers("layers", static_cast<std::size_t>(s.ranks), 0, 1e6)) {
        if (n != std::floor(n))
          partition.problem("layers", "expected whole numbers of layers, got {}", n);
        plan.layers.push_back(static_cast<int>(n));
      }
    } else if (partition.one_of("layers", {"even", "balanced"}, "even") == "balanced") {
      plan.layers = balanced_layers(*s.model, *s.gpu, s.ranks, micro, launch);
    } else {
      plan.layers = even_layers(s.model->layers, s.ranks);
    }
    if (!fields.source().problems->empty()) return;
    s.stages = transformer_stages(*s.model, *s.gpu, plan, launch);
  } catch (const InputError& error) {
    const std::string text = error.what();  // already names partition.layers
    fields.source().problems->add("{}: {}", fields.source().file, text);
    return;
  }
  s.has_bytes = true;
  s.assumptions.push_back(
      fmt::format("layers per stage: {}; embedding on stage 0, output layer and loss on stage {}",
                  fmt::join(plan.layers, " "), s.ranks - 1));
  s.assumptions.insert(s.assumptions.end(), s.stages.assumptions.begin(),
                       s.stages.assumptions.end());
}

}  // namespace stagesim
