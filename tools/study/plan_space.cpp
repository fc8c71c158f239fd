#include "tools/study/plan_space.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "schedules/table.hpp"

namespace stagesim {
namespace {

constexpr int kMostMicro = 16;
// Stages of another number of layers repeat their constants; the bounds leave room for that.
constexpr double kSlack = 0.99;

std::vector<int> divisors(int n) {
  std::vector<int> found;
  for (int d = 1; d <= n; ++d)
    if (n % d == 0) found.push_back(d);
  return found;
}

template <typename Value>
void set(ScenarioInput& input, const std::string& path, const Value& value) {
  input.set(path, fmt::format("{}", value), "plan's " + path, path);
}

void forget(ScenarioInput& input, const char* group, const std::vector<const char*>& keys) {
  if (!input.json.contains(group) || !input.json[group].is_object()) return;
  for (const char* key : keys) input.json[group].erase(key);
}

void add_bounds(PlanSetting& setting) {
  const Scenario& s = setting.scenario;
  Nanos pass{0};
  for (const StageCosts& stage : s.stages.costs) pass += stage.forward + stage.backward;
  // batch micro-batches of micro samples each: the micro-batches cancel out.
  setting.bound_ms = kSlack * to_ms(pass) / s.ranks / (s.micro * s.data);
  std::int64_t bytes = 0;
  for (const StageBytes& stage : s.stages.bytes) bytes += stage.weights + stage.gradients;
  setting.bound_gib = kSlack * gib(bytes) / s.ranks;
}

std::vector<PlanChoice> choices_on(const PlanSpace& space, int nodes) {
  std::vector<PlanChoice> choices;
  const int gpus = nodes * space.gpus_per_node;
  for (const int pipeline : divisors(gpus)) {
    for (const int tensor : divisors(space.gpus_per_node)) {
      if (gpus % (pipeline * tensor) != 0) continue;
      for (int micro = 1; micro <= std::min(kMostMicro, space.global_batch); micro *= 2) {
        for (const char* recompute : {"none", "selective", "full"}) {
          if (space.flash && recompute == std::string_view("selective")) continue;  // no gain
          for (const char* partition : {"even", "balanced"})
            choices.push_back({nodes, pipeline, tensor, micro, recompute, partition, {}});
        }
      }
    }
  }
  return choices;
}

}  // namespace

PlanSpace plan_space(const ScenarioInput& base) {
  const auto gives = [&](const char* group, const char* key) {
    return base.json.contains(group) && base.json[group].is_object() &&
           base.json[group].contains(key);
  };
  // Read on one rank and one micro-batch, so that nothing of what is chosen is in its way.
  ScenarioInput input = base;
  forget(input, "parallel", {"data", "virtual", "tensor", "sequence_parallel"});
  forget(input, "partition", {"layers"});
  set(input, "parallel.pipeline", 1);
  set(input, "batch.micro", 1);
  const bool from_flags = gives("model", "megatron_args");
  if (!from_flags) {
    forget(input, "batch", {"global", "sizes"});
    set(input, "batch.microbatches", 1);
  }
  const Scenario s = input.read();
  if (!s.model || s.gpu == nullptr || s.gpus_per_node < 1)
    throw InputError("plan: needs a model and GPUs to choose for: model.preset and cluster.node");
  if (!gives("batch", "global") && !from_flags)
    throw InputError("plan: needs batch.global, which all plans share");
  int global = s.samples();
  if (gives("batch", "global")) {
    const Json& given = base.json["batch"]["global"];
    if (!given.is_number_integer() || given < 1 || given > 1'000'000'000)
      throw InputError(fmt::format("{}: batch.global: expected a whole number from 1, got {}",
                                   base.file, given.dump()));
    global = given.get<int>();
  }
  return {.base = base,
          .nodes = std::max(1, s.nodes),
          .gpus_per_node = s.gpus_per_node,
          .global_batch = global,
          .flash = s.model->flash,
          .sequence_parallel_given = gives("parallel", "sequence_parallel")};
}

ScenarioInput input_of(const PlanSpace& space, const PlanChoice& choice) {
  ScenarioInput input = space.base;
  forget(input, "parallel", {"data", "virtual"});
  input.json.erase("schedule");
  set(input, "cluster.nodes", choice.nodes);
  set(input, "parallel.pipeline", choice.pipeline);
  set(input, "parallel.tensor", choice.tensor);
  // As Megatron-LM recommends: the same bytes on the wire, less memory.
  if (!space.sequence_parallel_given && choice.tensor > 1)
    set(input, "parallel.sequence_parallel", true);
  set(input, "batch.micro", choice.micro);
  set(input, "model.recompute", choice.recompute);
  set(input, "partition.layers", choice.partition);
  return input;
}

std::vector<PlanSetting> plan_settings(const PlanSpace& space, int nodes, std::size_t& refused) {
  const std::vector<PlanChoice> choices = choices_on(space, nodes);
  std::vector<std::optional<PlanSetting>> read(choices.size());
  tbb::parallel_for(std::size_t{0}, choices.size(), [&](std::size_t i) {
    try {
      PlanSetting setting{.choice = choices[i], .scenario = input_of(space, choices[i]).read()};
      add_bounds(setting);
      read[i] = std::move(setting);
    } catch (const InputError&) {
    }
  });
  std::vector<PlanSetting> settings;
  for (std::optional<PlanSetting>& setting : read)
    if (setting) settings.push_back(std::move(*setting));
  refused = choices.size() - settings.size();
  return settings;
}

std::vector<ScheduleSpec> plan_schedules(const std::vector<std::string>& names) {
  std::vector<std::string> wanted = names;
  if (wanted.empty()) {
    for (const ScheduleInfo& info : schedule_table())
      if (trains(info)) wanted.emplace_back(info.name);
  }
  std::vector<ScheduleSpec> specs;
  for (const std::string& name : wanted) {
    ScheduleSpec spec = parse_schedule_spec(name);
    const ScheduleInfo& info = find_schedule(spec.name);
    spec.name = info.name;
    if (!lets_choose_v(info) || spec.options.count("v")) {
      specs.push_back(spec);
      continue;
    }
    for (const char* v : {"2", "4"}) {
      specs.push_back(spec);
      specs.back().options["v"] = v;
    }
  }
  return specs;
}

}  // namespace stagesim
