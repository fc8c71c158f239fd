#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "schedules/table.hpp"
#include "tools/study/scenario_parts.hpp"
#include "tools/study/stage_estimate.hpp"

namespace stagesim {
namespace {

constexpr std::int64_t kMostRanks = 16384;
constexpr std::int64_t kMostScale = 1000;  // of a micro-batch over the one that the costs are of
constexpr std::int64_t kMostMicrobatches = 100'000'000;

// "12", "2.5": a quotient as a person would write it.
std::string quotient_text(double value) { return fmt::format("{:g}", value); }

// Micro-batches of unequal size, in samples.
void read_sizes(JsonFields& batch, Scenario& s) {
  const Json& list = batch.any("sizes");
  if (!list.is_array() || list.empty())
    return batch.wrong("sizes", "a list with the samples of every micro-batch of a step");
  const std::int64_t most = kMostScale * s.micro;
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const double size = list[i].is_number() ? list[i].get<double>() : 0;
    if (size != std::floor(size) || size < 1 || size > static_cast<double>(most)) {
      batch.problem("sizes",
                    "entry {}: expected a whole number from 1 to {} ({} x batch.micro {}), got {}",
                    i, most, kMostScale, s.micro, short_text(list[i]));
      continue;
    }
    sizes.push_back(std::llround(size));
    s.microbatch_scale.push_back(size / s.micro);
  }
  const bool all = sizes.size() <= 16;  // are shown in messages
  const std::vector<std::int64_t> shown(
      sizes.begin(), sizes.begin() + std::min<std::ptrdiff_t>(16, std::ssize(sizes)));
  s.batch = static_cast<int>(list.size());
  if (batch.has("microbatches")) {
    const std::int64_t count = batch.integer("microbatches", 1, kMostMicrobatches, s.batch);
    if (count != s.batch) {
      batch.problem(
          "microbatches",
          "{} does not agree with the {} entries of batch.sizes; give {}, or leave it out", count,
          s.batch, s.batch);
    }
  } else {
    s.batch_from = "the entries of batch.sizes";
  }
  if (batch.has("global") && sizes.size() == list.size()) {
    const std::int64_t sum = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
    const std::int64_t product = sum * s.data;
    const std::int64_t global =
        batch.integer("global", 1, std::numeric_limits<std::int32_t>::max(), product);
    if (global != product) {
      batch.problem(
          "global",
          "{} does not agree with the sum of batch.sizes {}{} = {} x data-parallel copies "
          "{} = {}; give {}, or leave it out",
          global, fmt::join(shown, " + "), all ? "" : " + ...", sum, s.data, product, product);
    }
  }
  s.assumptions.push_back(fmt::format(
      "micro-batch sizes {}{}: times and bytes in proportion to batch.micro {} (assumed)",
      fmt::join(shown, " "), all ? "" : " ...", s.micro));
}

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
  s.nics_per_node = static_cast<int>(cluster.integer("nics_per_node", 1, 1024, 0));
  if (s.nics_per_node == 0) return;
  if (s.gpus_per_node == 0) return cluster.missing("gpus_per_node");
  if (s.gpus_per_node % s.nics_per_node != 0) {
    cluster.problem("nics_per_node",
                    "{} GPUs do not share {} network cards evenly; expected a divisor of {}",
                    s.gpus_per_node, s.nics_per_node, s.gpus_per_node);
  }
}

void read_parallel(JsonFields& cluster, JsonFields& parallel, Scenario& s) {
  s.nodes = static_cast<int>(cluster.integer("nodes", 1, 65536, 1));
  const auto tensor = parallel.integer("tensor", 1, 64, 1);
  const auto context = parallel.integer("context", 1, 1024, 1);
  const auto virtual_stages = parallel.integer("virtual", 1, 1024, 1);
  if (parallel.has("virtual")) s.virtual_stages = static_cast<int>(virtual_stages);
  const bool sized = s.gpus_per_node > 0;
  if (cluster.has("nodes") && !sized) cluster.missing("gpus_per_node");
  s.split.tensor = static_cast<int>(tensor);
  s.split.context = static_cast<int>(context);
  s.split.expert = static_cast<int>(parallel.integer("expert", 1, 1024, 1));
  const std::int64_t split = tensor * context;
  const std::string split_text = context == 1
                                     ? fmt::format("tensor {}", tensor)
                                     : fmt::format("tensor {} x context {}", tensor, context);
  s.shard_optimizer = parallel.integer("zero", 0, 1, 0) == 1;
  s.split.sequence_parallel = parallel.boolean("sequence_parallel", false);
  s.tensor_overlap = parallel.boolean("tensor_overlap", true);
  if (s.split.sequence_parallel && tensor == 1)
    parallel.problem("sequence_parallel", "needs parallel.tensor above 1");
  if (!parallel.has("pipeline") && !sized) {
    parallel.missing("pipeline");
    return;
  }
  const std::int64_t total = std::int64_t{s.nodes} * s.gpus_per_node;
  if (!parallel.has("pipeline") && total > kMostRanks) {
    parallel.problem("pipeline",
                     "missing, and the cluster has {} GPUs, more than the {} ranks of one "
                     "pipeline; say how many it has",
                     total, kMostRanks);
    return;
  }
  s.ranks = static_cast<int>(
      parallel.integer("pipeline", 1, kMostRanks, sized ? std::min(total, kMostRanks) : 1));
  if (s.ranks * virtual_stages > kMostStages) {
    parallel.problem("virtual", "{} ranks x {} stages per rank are {} stages, expected at most {}",
                     s.ranks, virtual_stages, s.ranks * virtual_stages, kMostStages);
  }
  if (parallel.has("data")) {
    s.data = static_cast<int>(parallel.integer("data", 1, 1'000'000, 1));
    const std::int64_t needed = std::int64_t{s.ranks} * split * s.data;
    if (sized && needed != total) {
      // Blame what the user typed, if it was one of these.
      const Origins& typed = parallel.source().origins;
      const bool nodes_typed =
          typed.count("cluster.nodes") + typed.count("cluster.gpus_per_node") > 0;
      JsonFields& where = nodes_typed ? cluster : parallel;
      const char* key = typed.count("parallel.pipeline") ? "pipeline"
                        : typed.count("cluster.nodes")   ? "nodes"
                        : nodes_typed                    ? "gpus_per_node"
                                                         : "data";
      where.problem(key,
                    "parallel.pipeline {} x {} x data {} = {} GPUs, but the cluster has "
                    "{} (nodes {} x gpus_per_node {})",
                    s.ranks, split_text, s.data, needed, total, s.nodes, s.gpus_per_node);
    }
    return;
  }
  if (!sized) return;
  if (total % (s.ranks * split) != 0) {
    parallel.problem(
        "pipeline",
        "{} GPUs (cluster.nodes {} x gpus_per_node {}) / (parallel.pipeline {} x {}) = {} "
        "data-parallel copies, "
        "expected a whole number",
        total, s.nodes, s.gpus_per_node, s.ranks, split_text,
        quotient_text(static_cast<double>(total) / static_cast<double>(s.ranks * split)));
    return;
  }
  s.data = static_cast<int>(total / (s.ranks * split));
}

void read_batch(JsonFields& batch, Scenario& s) {
  const std::int64_t micro = batch.integer("micro", 1, 1'000'000, 1);
  s.micro = static_cast<int>(micro);
  if (batch.has("sizes")) return read_sizes(batch, s);
  if (batch.has("microbatches")) {
    s.batch = static_cast<int>(batch.integer("microbatches", 1, kMostMicrobatches, 1));
    if (batch.has("global")) {
      const std::int64_t global =
          batch.integer("global", 1, std::numeric_limits<std::int32_t>::max(), 1);
      const double product = static_cast<double>(micro) * s.batch * s.data;
      if (static_cast<double>(global) != product) {
        batch.problem("global",
                      "{} does not agree with batch.microbatches {} x batch.micro {} x "
                      "data-parallel copies {} = {:.0f}; give one of the two",
                      global, s.batch, micro, s.data, product);
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
    try {
      s.schedule = parse_schedule_spec(field.get<std::string>());
      find_schedule(s.schedule.name);
    } catch (const InputError& error) {
      top.problem("schedule", "{}", error.what());
    }
    return;
  }
  if (!field.is_object())
    return top.wrong(
        "schedule",
        "a name such as \"amdp:preload=1\", or an object with the name and its parameters");
  JsonFields schedule = top.child("schedule");
  s.schedule.name = schedule.string("name");
  try {
    if (!s.schedule.name.empty()) find_schedule(s.schedule.name);
  } catch (const InputError& error) {
    schedule.problem("name", "{}", error.what());
  }
  // The parameters belong to the named schedule, which checks them.
  for (const auto& [key, value] : field.items()) {
    if (key == "name") continue;
    const bool whole = value.is_number_float() &&
                       value.get<double>() == std::floor(value.get<double>()) &&
                       std::abs(value.get<double>()) < 1e9;
    s.schedule.options[key] = value.is_string() ? value.get<std::string>()
                              : whole ? fmt::format("{}", std::llround(value.get<double>()))
                                      : value.dump();
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
  const std::size_t problems_before = comm.source().problems->lines().size();
  s.fair_links = comm.one_of("sharing", {"none", "fair"}, "none") == "fair";
  const bool misspelt = comm.source().problems->lines().size() != problems_before;
  if (s.nics_per_node > 0 && !s.fair_links && !misspelt) {
    comm.problem("sharing",
                 "cluster.nics_per_node has an effect only where messages share links: expected "
                 "\"fair\" here, or no nics_per_node");
  }
  read_overlap_tax(comm, s);
  comm.finish();
}

}  // namespace stagesim
