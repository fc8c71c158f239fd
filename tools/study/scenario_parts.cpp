#include "tools/study/scenario_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/names.hpp"

namespace stagesim {
namespace {

constexpr std::int64_t kMostRanks = 16384;  // stages are 16-bit numbers
constexpr std::int64_t kMostMicrobatches = 100'000'000;

// "12", "2.5": a quotient as a person would write it.
std::string quotient_text(double value) { return fmt::format("{:g}", value); }

}  // namespace

void read_cluster(JsonFields& cluster, Scenario& s) {
  const std::string gpu = cluster.string("gpu", "");
  if (!gpu.empty()) {
    try {
      s.gpu = &gpu_profile(gpu);
    } catch (const InputError& error) {
      cluster.problem("gpu", "{}", error.what());
    }
  }
  s.gpus_per_node = static_cast<int>(cluster.integer("gpus_per_node", 1, 1024, 0));
}

void read_parallel(JsonFields& cluster, JsonFields& parallel, Scenario& s) {
  s.nodes = static_cast<int>(cluster.integer("nodes", 1, 65536, 1));
  const auto tensor = parallel.integer("tensor", 1, 64, 1);
  const auto virtual_stages = parallel.integer("virtual", 1, 1024, 1);
  const bool sized = s.gpus_per_node > 0;
  if (cluster.has("nodes") && !sized) cluster.missing("gpus_per_node");
  if (tensor > 1) {
    parallel.problem("tensor",
                     "expected 1, got {}: tensor parallelism is not modelled yet; give stage_times "
                     "of one tensor-parallel group",
                     tensor);
  }
  if (virtual_stages > 1) {
    parallel.problem(
        "virtual",
        "expected 1, got {}: no schedule here has several stages per rank of one pipeline yet",
        virtual_stages);
  }
  if (!parallel.has("pipeline") && !sized) {
    parallel.missing("pipeline");
    return;
  }
  const std::int64_t total = std::int64_t{s.nodes} * s.gpus_per_node;
  s.ranks = static_cast<int>(
      parallel.integer("pipeline", 1, kMostRanks, sized ? std::min(total, kMostRanks) : 1));
  if (parallel.has("data")) {
    s.data = static_cast<int>(parallel.integer("data", 1, 1'000'000, 1));
    const std::int64_t needed = std::int64_t{s.ranks} * tensor * s.data;
    if (sized && needed != total) {
      parallel.problem("data",
                       "parallel.pipeline {} x tensor {} x data {} = {} GPUs, but the cluster has "
                       "{} (nodes {} x gpus_per_node {})",
                       s.ranks, tensor, s.data, needed, total, s.nodes, s.gpus_per_node);
    }
    return;
  }
  if (!sized) return;
  if (total % (s.ranks * tensor) != 0) {
    parallel.problem(
        "pipeline",
        "{} GPUs (cluster.nodes {} x gpus_per_node {}) / (parallel.pipeline {} x tensor {}) = {} "
        "data-parallel copies, "
        "expected a whole number",
        total, s.nodes, s.gpus_per_node, s.ranks, tensor,
        quotient_text(static_cast<double>(total) / static_cast<double>(s.ranks * tensor)));
    return;
  }
  s.data = static_cast<int>(total / (s.ranks * tensor));
}

void read_batch(JsonFields& batch, Scenario& s) {
  const std::int64_t micro = batch.integer("micro", 1, 1'000'000, 1);
  if (batch.has("microbatches")) {
    s.batch = static_cast<int>(batch.integer("microbatches", 1, kMostMicrobatches, 1));
    if (batch.has("global")) {
      const std::int64_t global =
          batch.integer("global", 1, std::numeric_limits<std::int32_t>::max(), 1);
      if (global != micro * s.batch * s.data) {
        batch.problem("global",
                      "{} does not agree with batch.microbatches {} x batch.micro {} x "
                      "data-parallel copies {} = {}; give one of the two",
                      global, s.batch, micro, s.data, micro * s.batch * s.data);
      }
    }
    return;
  }
  if (!batch.has("global")) {
    batch.missing("microbatches");
    return;
  }
  const std::size_t before = batch.source().problems->lines().size();
  const std::int64_t global =
      batch.integer("global", 1, std::numeric_limits<std::int32_t>::max(), 1);
  if (batch.source().problems->lines().size() > before) return;
  const std::int64_t per = micro * s.data;
  s.batch_from = fmt::format("batch.global {} / (batch.micro {} x data-parallel copies {})", global,
                             micro, s.data);
  if (global % per != 0) {
    const std::int64_t below = global / per * per;
    batch.problem(
        "global", "{} = {} micro-batches, expected a whole number; use {}", s.batch_from,
        quotient_text(static_cast<double>(global) / static_cast<double>(per)),
        below == 0 ? fmt::format("{}", per) : fmt::format("{} or {}", below, below + per));
    return;
  }
  if (global / per > kMostMicrobatches) {
    batch.problem("global", "{} = {} micro-batches, expected at most {}", s.batch_from,
                  global / per, kMostMicrobatches);
    return;
  }
  s.batch = static_cast<int>(global / per);
}

void read_schedule_field(JsonFields& top, Scenario& s) {
  const Json& field = top.any("schedule");
  if (field.is_null()) return;
  if (field.is_string()) {
    s.schedule = parse_schedule_spec(field.get<std::string>());
    return;
  }
  JsonFields schedule = top.child("schedule");
  if (!field.is_object()) return;  // reported by child()
  s.schedule.name = schedule.string("name");
  // The parameters belong to the named schedule, which checks them.
  for (const auto& [key, value] : field.items()) {
    if (key == "name") continue;
    s.schedule.options[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
}

void read_run(JsonFields& top, Scenario& s) {
  JsonFields run = top.child("run");
  s.steps = static_cast<int>(run.integer("steps", 1, 1'000'000, 0));
  s.barrier = run.boolean("barrier", false);
  run.finish();
  JsonFields comm = top.child("comm");
  const std::string mode = comm.one_of("mode", {"overlapped", "blocking"}, "overlapped");
  s.comm = mode == "blocking" ? CommMode::kBlocking : CommMode::kOverlapped;
  comm.finish();
}

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
    }
  }
}

}  // namespace

void read_stage_times(JsonFields& model, JsonFields& partition, JsonFields& overheads,
                      Scenario& s) {
  const auto stages = static_cast<std::size_t>(s.ranks);
  JsonFields times = model.child("stage_times");
  const std::string unit = times.one_of("unit", {"ms", "us", "ns", "s"}, "ms");
  times.one_of("per", {"stage", "rank"},
               "stage");  // the same while every rank has one stage of a pipeline
  const double scale = nanos_per(unit);
  const double longest = static_cast<double>(kLongestOp.count()) / scale;
  s.stages.costs.assign(stages, {});
  const auto read = [&](JsonFields& from, const char* key, Nanos StageCosts::*field) {
    const std::vector<double> values = from.numbers(key, stages, 0, longest);
    for (std::size_t i = 0; i < stages; ++i)
      s.stages.costs[i].*field = rounded_nanos(values[i] * scale);
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
  overheads.number("launch_us", 0, 1e6, 0.0);
  s.assumptions.push_back(
      "stage times: as given (model.stage_times)" +
      std::string(model.has("update_time")
                      ? ""
                      : "; the optimizer step takes no time (model.update_time not given)"));
  s.assumptions.push_back(
      "collectives of the update: no time (explicit stage_times bring no byte counts for them)");
}

void read_transformer(JsonFields& fields, JsonFields& partition, JsonFields& overheads,
                      JsonFields& batch, Scenario& s) {
  s.model = read_model(fields);
  const double launch = overheads.number("launch_us", 0, 1e6, s.gpu ? s.gpu->launch_us.value : 0);
  const auto micro = static_cast<int>(batch.integer("micro", 1, 1'000'000, 1));
  if (s.gpu == nullptr) {
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
      plan.layers = balanced_layers(*s.model, s.ranks);
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

namespace {

// A plain link as a profile with a curve of two points, for the collectives of the update.
LinkProfile plain_profile(const LinkClass& link, double gb_per_s) {
  LinkProfile profile;
  profile.name = "p2p";
  profile.source = "cluster.p2p, as given";
  const double us = static_cast<double>(link.latency.count()) / 1e3;
  profile.latency_us.value = us;
  profile.curve = {{1e6, us + 1e3 / gb_per_s}, {2e6, us + 2e3 / gb_per_s}};
  return profile;
}

void read_plain_link(JsonFields& cluster, Scenario& s) {
  if (cluster.has("intra") || cluster.has("inter")) {
    cluster.problem("p2p", "a plain link replaces intra and inter; leave one of the two out");
  }
  JsonFields p2p = cluster.child("p2p");
  LinkClass link;
  link.name = "p2p";
  link.latency = rounded_nanos(1e3 * p2p.number("latency_us", 0, 1e9, 0.0));
  const bool finite = p2p.has("gb_per_s") && !p2p.any("gb_per_s").is_null();
  const double rate = finite ? p2p.number("gb_per_s", 1e-6, 1e9) : 0;
  for (const StageBytes& stage : s.stages.bytes) {
    const double ns = finite ? static_cast<double>(stage.message) / rate : 0;
    link.transfer_time.push_back(link.latency + rounded_nanos(std::min(ns, 1e12)));
  }
  p2p.finish();
  s.links = {link};
  s.update_link = plain_profile(link, finite ? rate : std::numeric_limits<double>::infinity());
  s.assumptions.push_back(fmt::format(
      "p2p: {:g} us latency, {} (cluster.p2p, as given); one message at a time per link direction",
      static_cast<double>(link.latency.count()) / 1e3,
      finite ? fmt::format("{:g} GB/s", rate) : "infinitely fast"));
}

const LinkProfile* named_link(JsonFields& cluster, const char* key, const Scenario& s) {
  const std::string name = cluster.string(key, "");
  if (name.empty()) return nullptr;
  if (s.gpu == nullptr) {
    cluster.problem(key, "a link profile needs cluster.gpu beside it; or give cluster.p2p");
    return nullptr;
  }
  try {
    return &link_profile(*s.gpu, name);
  } catch (const InputError& error) {
    cluster.problem(key, "{}", error.what());
    return nullptr;
  }
}

}  // namespace

void read_links(JsonFields& cluster, Scenario& s) {
  if (cluster.has("p2p")) return read_plain_link(cluster, s);
  const JsonSource& source = cluster.source();
  const LinkProfile* within = named_link(cluster, "intra", s);
  const LinkProfile* between = named_link(cluster, "inter", s);
  if (!source.problems->empty()) return;
  if (s.model && std::int64_t{s.ranks} * s.data > 1) {
    if (within == nullptr) {
      source.problems->add(
          "{}: missing field 'cluster.intra': which link joins the GPUs of a node (or give "
          "cluster.p2p)",
          source.file);
    }
    if (s.nodes > 1 && between == nullptr) {
      source.problems->add("{}: missing field 'cluster.inter': which network joins the {} nodes",
                           source.file, s.nodes);
    }
    if (!source.problems->empty()) return;
  }
  if (within == nullptr) {
    s.links = {LinkClass{}};
    s.assumptions.push_back("p2p: messages take no time (no cluster.p2p or cluster.intra given)");
    return;
  }
  s.update_link = s.nodes > 1 ? *between : *within;
  for (const LinkProfile* link : {within, between}) {
    if (link == nullptr || (link == between && s.nodes == 1)) continue;
    s.links.push_back(link_costs(*link, s.stages.bytes));
    std::string error = link->error ? fmt::format(", fit error {:.0f} %", 100 * *link->error) : "";
    s.assumptions.push_back(
        fmt::format("link {}: {} ({}: {}{}); one message at a time per direction", link->name,
                    link->summary, text(link->from), link->source, error));
  }
  if (s.nodes == 1) return;
  // Megatron-LM's order: data-parallel copies next to each other, pipeline ranks outermost.
  s.ranks_per_node = std::max(1, s.gpus_per_node / s.data);
  s.assumptions.push_back(
      fmt::format("placement: {} pipeline ranks per node (data-parallel copies side by side)",
                  s.ranks_per_node));
}

}  // namespace stagesim
