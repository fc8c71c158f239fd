#include "tools/study/scenario.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/base/embedded.hpp"
#include "sim/base/names.hpp"
#include "tools/study/scenario_parts.hpp"

namespace stagesim {

extern const EmbeddedFile kEmbeddedScenarios[];

std::string ScheduleSpec::text() const {
  std::string out = name;
  for (const auto& [key, value] : options) out += fmt::format(":{}={}", key, value);
  return out;
}

ScheduleSpec parse_schedule_spec(std::string_view text) {
  ScheduleSpec spec;
  std::size_t at = text.find(':');
  spec.name = std::string(text.substr(0, at));
  while (at != std::string_view::npos) {
    const std::size_t end = text.find(':', at + 1);
    const std::string_view part =
        text.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      throw InputError(fmt::format(
          "schedule '{}': expected name:parameter=value, got '{}' after the colon", text, part));
    }
    const auto [entry, fresh] =
        spec.options.emplace(part.substr(0, equals), part.substr(equals + 1));
    if (!fresh)
      throw InputError(
          fmt::format("schedule '{}': parameter '{}' is given twice", text, entry->first));
    at = end;
  }
  if (spec.name.empty()) throw InputError(fmt::format("schedule '{}': the name is missing", text));
  return spec;
}

std::vector<ScheduleSpec> schedule_list(const std::string& text) {
  std::vector<ScheduleSpec> specs;
  const std::string list = text + ",";
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t comma = list.find(',', at);
    if (comma == at) throw InputError(fmt::format("--schedules: a name is missing in '{}'", text));
    specs.push_back(parse_schedule_spec(list.substr(at, comma - at)));
    at = comma + 1;
  }
  return specs;
}

Scenario read_scenario(const Json& json, const std::string& file, const Origins& origins,
                       const Origins& options) {
  Problems problems;
  JsonSource source{file, origins, &problems, options};
  if (!json.is_object())
    throw InputError(fmt::format("{}: expected a JSON object, got {}", file, short_text(json)));
  Scenario s;
  s.json = json;
  // "partition": "balanced" is short for {"layers": "balanced"}.
  if (const auto partition = s.json.find("partition");
      partition != s.json.end() && partition->is_string()) {
    *partition = Json{{"layers", *partition}};
  }
  // Before the import: a launch script says less than the scenario.
  if (const std::string node = expand_node_type(s.json, source); !node.empty())
    s.assumptions.push_back(node);
  const ModelImport import = import_model(s.json, file, source.origins, problems);
  JsonFields top(s.json, source, "");
  s.name = top.string("name", "unnamed");
  top.string("summary", "");
  top.expect({"schedule", "run", "comm", "variation"});

  JsonFields cluster = top.child("cluster");
  JsonFields parallel = top.child("parallel");
  JsonFields batch = top.child("batch");
  JsonFields model = top.child("model", false);
  JsonFields partition = top.child("partition");
  JsonFields overheads = top.child("overheads");
  cluster.expect(
      {"gpu", "node", "nodes", "gpus_per_node", "nics_per_node", "intra", "inter", "p2p"});
  parallel.expect({"pipeline", "tensor", "context", "expert", "sequence_parallel", "tensor_overlap",
                   "data", "zero", "virtual"});
  partition.expect({"layers"});
  overheads.expect({"launch_us"});
  read_cluster(cluster, s);
  read_link_profiles(cluster, s);
  read_parallel(cluster, parallel, s);
  read_batch(batch, s);
  read_schedule_field(top, s);
  read_run(top, s);
  read_variation(top, s);
  for (JsonFields* part : {&top, &cluster, &parallel, &batch, &partition, &overheads})
    part->finish();
  // Costs are checked even where the shape is wrong, so that everything is reported together.
  if (model.has("stage_times")) {
    for (const auto& [key, gpus] :
         {std::pair{"tensor", s.split.tensor}, std::pair{"context", s.split.context},
          std::pair{"expert", s.split.expert}}) {
      if (gpus == 1) continue;
      parallel.problem(key,
                       "expected 1, got {}: model.stage_times are given for the GPUs of a rank as "
                       "they are, split or not",
                       gpus);
    }
    read_stage_times(model, partition, overheads, s);
    model.finish();  // read_model finishes a transformer's fields
  } else if (top.has("model")) {
    read_transformer(model, parallel, partition, overheads, import, s);
  }
  read_links(cluster, s);
  problems.throw_if_any();
  s.json["name"] = s.name;
  return s;
}

std::vector<ScenarioLine> list_scenarios() {
  std::vector<ScenarioLine> lines;
  for (const EmbeddedFile* file = kEmbeddedScenarios; file->name != nullptr; ++file) {
    const Json json = parse_json(file->text, file->name);
    lines.push_back({file->name, json.value("summary", "")});
  }
  return lines;
}

std::string scenario_text(const std::string& name_or_path) {
  std::vector<std::string> known;
  for (const EmbeddedFile* file = kEmbeddedScenarios; file->name != nullptr; ++file) {
    if (name_or_path == file->name) return file->text;
    known.emplace_back(file->name);
  }
  if (std::filesystem::is_directory(name_or_path)) {
    throw InputError(fmt::format("{}: is a folder, expected a scenario file", name_or_path));
  }
  errno = 0;
  std::ifstream in(name_or_path, std::ios::binary);
  if (in) return {std::istreambuf_iterator<char>(in), {}};
  const int reason = errno;
  if (reason != ENOENT || name_or_path.find('/') != std::string::npos ||
      name_or_path.find(".json") != std::string::npos) {
    throw InputError(
        fmt::format("{}: cannot read this file: {}; 'stagesim list' shows the ready-made scenarios",
                    name_or_path, std::strerror(reason)));
  }
  throw InputError(
      fmt::format("{} (and there is no such file)", unknown_name("scenario", name_or_path, known)));
}

}  // namespace stagesim
