#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/study/scenario_parts.hpp"
#include "tools/study/stage_estimate.hpp"

namespace stagesim {
namespace {

double nanos_per(const std::string& unit) {
  if (unit == "s") return 1e9;
  if (unit == "ms") return 1e6;
  return unit == "us" ? 1e3 : 1;
}

// One entry per stage, or per rank; the first list is remembered for messages.
std::vector<double> entries(JsonFields& from, const char* key, std::size_t count, double high,
                            Scenario& s) {
  if (from.any(key).is_array() && s.source.listed.empty() && !s.source.per_rank)
    s.source.listed = from.path_of(key);
  return from.numbers(key, count, 0, high);
}

void read_stage_bytes(JsonFields& model, std::size_t stages, Scenario& s) {
  s.stages.bytes.assign(stages, {});
  if (!model.has("stage_bytes")) return;
  s.has_bytes = true;
  JsonFields bytes = model.child("stage_bytes");
  const auto read = [&](const char* key, std::int64_t StageBytes::*field) {
    if (!bytes.has(key)) return;
    const std::vector<double> values = entries(bytes, key, stages, 1e15, s);
    for (std::size_t i = 0; i < stages; ++i) s.stages.bytes[i].*field = std::llround(values[i]);
  };
  read("activation", &StageBytes::activation);
  read("activation_after_I", &StageBytes::activation_after_i);
  read("message", &StageBytes::message);
  for (StageBytes& b : s.stages.bytes) b.checkpoint = std::min(b.message, b.activation);
  read("checkpoint", &StageBytes::checkpoint);
  read("weights", &StageBytes::weights);
  read("gradients", &StageBytes::gradients);
  read("optimizer", &StageBytes::optimizer);
  read("workspace", &StageBytes::workspace);
  bytes.finish();
  const auto check = [&](const char* key, std::int64_t StageBytes::*part, const char* what) {
    for (std::size_t i = 0; i < stages; ++i) {
      if (s.stages.bytes[i].*part <= s.stages.bytes[i].activation) continue;
      bytes.problem(key, "stage {}: {} bytes {}, more than the whole activation of {}", i,
                    s.stages.bytes[i].*part, what, s.stages.bytes[i].activation);
      return;
    }
  };
  check("activation_after_I", &StageBytes::activation_after_i, "stay after I");
  check("checkpoint", &StageBytes::checkpoint, "stay after F");
}

// What is computed again is another forward inside the backward.
void add_recompute(JsonFields& model, Scenario& s) {
  const std::string mode = model.one_of("recompute", {"none", "full", "full-both"}, "none");
  if (mode == "none") return;
  const bool both = mode == "full-both";
  s.recompute = both ? RecomputeIn::kBoth : RecomputeIn::kInputGrad;
  for (StageCosts& stage : s.stages.costs) {
    stage.backward += stage.forward;
    stage.input_grad += stage.forward;
    if (both) stage.weight_grad += stage.forward;
  }
  for (std::size_t i = 0; i < s.pair.size(); ++i) s.pair[i] += s.stages.costs[i].forward;
  s.assumptions.push_back(
      fmt::format("recompute {}: F is added to B, {} (model.recompute); F leaves the checkpoint{}",
                  mode, both ? "I, W and FB" : "I and FB",
                  s.has_bytes ? " of stage_bytes (its message when not given)" : ""));
}

// With what the file leaves open and the scenario must say as problems of their own.
std::optional<Model> base_of(JsonFields& fields, const ModelImport& import) {
  std::optional<Model> base = import.base;
  if (base && base->seq == 0 && !fields.has("seq")) {
    fields.problem("seq",
                   "missing: {} does not say how long the training sequences are{}; give their "
                   "tokens",
                   import.from,
                   import.longest == 0
                       ? ""
                       : fmt::format(" (its {} positions are the longest input)", import.longest));
    base->seq = 1;
  }
  if (base && base->vocab == 0 && !fields.has("vocab")) {
    fields.problem("vocab", "missing: {} does not say it (--vocab-size), only the tokenizer knows",
                   import.from);
    base->vocab = 1;
  }
  return base;
}

// What a context split needs.
void check_context(JsonFields& parallel, const Model& model, const Scenario& s) {
  const int c = s.split.context;
  if (c == 1) return;
  if (!model.flash) {
    parallel.problem("context",
                     "a context split is ring attention, which has no score matrix; it needs "
                     "model.flash true");
  }
  // Megatron-LM gives each GPU a part from either end, so that causal attention is balanced.
  const int parts = 2 * c * (s.split.sequence_parallel ? s.split.tensor : 1);
  if (model.seq % parts != 0) {
    parallel.problem("context", "{} tokens (model.seq) are not {} equal parts, two for each GPU",
                     model.seq, parts);
  }
  const bool apart = s.gpus_per_node > 0 && s.split.gpus() > s.gpus_per_node;
  if (parallel.source().problems->empty() && !(apart ? s.link_between : s.link_within)) {
    parallel.problem("context", "a split over {} GPUs needs cluster.{}, the link between them", c,
                     apart ? "inter" : "intra");
  }
}

// What a split of the experts needs.
void check_experts(JsonFields& parallel, const Model& model, const Scenario& s) {
  const int e = s.split.expert, copies = s.data * s.split.context;
  if (e == 1) return;
  if (model.experts == 0) {
    parallel.problem("expert", "expected 1, got {}: the model has no experts", e);
  } else if (model.experts % e != 0) {
    parallel.problem("expert", "{} GPUs cannot share {} experts (model.experts) evenly", e,
                     model.experts);
  }
  if (copies % e != 0) {
    parallel.problem(
        "expert",
        "experts are shared by GPUs that are there anyway, with their own tokens: data-parallel "
        "copies {} x context {} = {}, and {} does not divide that",
        s.data, s.split.context, copies, e);
  }
  const bool apart = s.gpus_per_node > 0 && s.split.tensor * e > s.gpus_per_node;
  if (parallel.source().problems->empty() && !(apart ? s.link_between : s.link_within)) {
    parallel.problem("expert", "experts on {} GPUs need cluster.{}, the link between them", e,
                     apart ? "inter" : "intra");
  }
}

// What a tensor split needs of the model and the cluster.
void check_split(JsonFields& parallel, const Model& model, const Scenario& s) {
  check_context(parallel, model, s);
  check_experts(parallel, model, s);
  const int t = s.split.tensor;
  if (t == 1) return;
  const auto divides = [&](const char* what, int count) {
    if (count % t != 0)
      parallel.problem("tensor", "{} GPUs cannot share {} {} evenly", t, count, what);
  };
  divides("heads (model.heads)", model.heads);
  if (model.kv_heads > t) divides("heads of keys and values (model.kv_heads)", model.kv_heads);
  divides("columns of the MLP (model.ffn)", model.ffn_width());
  if (model.experts > 0) divides("columns of an expert (model.expert_ffn)", model.expert_width());
  if (s.split.sequence_parallel) divides("tokens (model.seq)", model.seq);
  if (s.gpus_per_node > 0 && s.gpus_per_node % t != 0) {
    parallel.problem("tensor",
                     "{} GPUs of a split must lie in one node, and nodes have {} "
                     "(cluster.gpus_per_node)",
                     t, s.gpus_per_node);
  }
  if (!s.link_within && parallel.source().problems->empty())
    parallel.problem("tensor", "a split over {} GPUs needs cluster.intra, the link between them",
                     t);
}

}  // namespace

void read_stage_times(JsonFields& model, JsonFields& partition, JsonFields& overheads,
                      Scenario& s) {
  JsonFields times = model.child("stage_times");
  const std::string unit = times.one_of("unit", {"ms", "us", "ns", "s"}, "ms");
  s.source.per_rank = times.one_of("per", {"stage", "rank"}, "stage") == "rank";
  s.source.virtual_stages = s.source.per_rank ? 1 : std::max(1, s.virtual_stages);
  // 0: the number of stages is not known, because the shape has problems already reported.
  const bool shape_ok = model.source().problems->empty();
  const auto stages = static_cast<std::size_t>(shape_ok ? s.ranks * s.source.virtual_stages : 0);
  const double scale = nanos_per(unit);
  const double longest = static_cast<double>(kLongestOp.count()) / scale;
  s.stages.costs.assign(stages, {});
  const auto read_times = [&](JsonFields& from, const char* key) {
    const std::vector<double> values = entries(from, key, stages, longest, s);
    std::vector<Nanos> result(stages);
    for (std::size_t i = 0; i < stages; ++i) {
      result[i] = rounded_nanos(values[i] * scale);
      if (values[i] > 0 && result[i] == Nanos{0}) {
        from.problem(key, "stage {}: {} {} is less than half a nanosecond and would count as 0", i,
                     values[i], unit);
        break;
      }
    }
    return result;
  };
  const auto read = [&](JsonFields& from, const char* key, Nanos StageCosts::*field) {
    const std::vector<Nanos> values = read_times(from, key);
    for (std::size_t i = 0; i < stages; ++i) s.stages.costs[i].*field = values[i];
  };
  read(times, "F", &StageCosts::forward);
  const bool split = times.has("I") || times.has("W");
  if (split) {
    read(times, "I", &StageCosts::input_grad);
    read(times, "W", &StageCosts::weight_grad);
    for (StageCosts& stage : s.stages.costs) stage.backward = stage.input_grad + stage.weight_grad;
  }
  if (times.has("B") || !split) read(times, "B", &StageCosts::backward);
  s.split_given = split;
  if (!split) {
    for (StageCosts& stage : s.stages.costs) {
      stage.weight_grad = stage.backward / 2;
      stage.input_grad = stage.backward - stage.weight_grad;
    }
  }
  if (times.has("FB")) s.pair = read_times(times, "FB");
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
  add_recompute(model, s);
  s.assumptions.push_back(
      "collectives of the update, data-parallel ones included: no time (not modelled with explicit "
      "stage_times)");
}

void read_transformer(JsonFields& fields, JsonFields& parallel, JsonFields& partition,
                      JsonFields& overheads, const ModelImport& import, Scenario& s) {
  s.model = read_model(fields, base_of(fields, import));
  for (const std::string& note : import.notes)
    s.assumptions.push_back(fmt::format("{}: {}", import.from, note));
  if (import.longest > 0 && s.model->seq > import.longest) {
    s.assumptions.push_back(fmt::format("{}: made for {} tokens at most, model.seq is {}",
                                        import.from, import.longest, s.model->seq));
  }
  StageSource& source = s.source;
  source.launch_us = overheads.number("launch_us", 0, 1e6, s.gpu ? s.gpu->launch_us.value : 0);
  if (s.gpu == nullptr && fields.source().problems->empty()) {
    fields.source().problems->add(
        "{}: missing field 'cluster.gpu': a model needs a GPU to run on (or give "
        "model.stage_times)",
        fields.source().file);
  }
  check_split(parallel, *s.model, s);
  if (!fields.source().problems->empty()) return;
  source.virtual_stages = std::max(1, s.virtual_stages);
  read_layers(partition, s);
  if (!fields.source().problems->empty()) return;
  try {
    s.stages = split_transformer(s, source.virtual_stages);
  } catch (const InputError& error) {
    const std::string text = error.what();  // already names partition.layers
    fields.source().problems->add("{}: {}", fields.source().file, text);
    return;
  }
  s.has_bytes = true;
  // The first line says the layers, which differ by schedule where the fastest are asked for.
  const auto own = source.split == LayerSplit::kFastest ? 1 : 0;
  s.assumptions.insert(s.assumptions.end(), s.stages.assumptions.begin() + own,
                       s.stages.assumptions.end());
}

}  // namespace stagesim
