#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/profile.hpp"
#include "hwmodels/profile_fields.hpp"
#include "sim/base/json_fields.hpp"

namespace stagesim {
namespace {

constexpr double kSmallest = 0.001, kLargest = 1e6;

// Calls read(fields of entry) for each entry of an optional list of objects.
template <typename Read>
void read_list(JsonFields& parent, const std::string& key, Read&& read) {
  if (!parent.has(key)) return;
  const Json& entries = parent.any(key);
  if (!entries.is_array()) return parent.wrong(key, "a list of objects");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string path = fmt::format("{}[{}]", parent.path_of(key), i);
    if (!entries[i].is_object()) {
      parent.problem(key, "entry {}: expected an object, got {}", i, short_text(entries[i]));
      continue;
    }
    JsonFields fields(entries[i], parent.source(), path);
    read(fields);
    fields.finish();
  }
}

CollectiveProfile read_collective(JsonFields& fields) {
  constexpr CollectiveKind kAll[] = {CollectiveKind::kAllReduce,     CollectiveKind::kReduce,
                                     CollectiveKind::kBroadcast,     CollectiveKind::kAllGather,
                                     CollectiveKind::kReduceScatter, CollectiveKind::kAllToAll};
  std::vector<std::string> names;
  for (const CollectiveKind kind : kAll) names.emplace_back(text(kind));
  CollectiveProfile collective;
  const std::string name = fields.one_of("kind", names);
  const auto at =
      static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  if (at < names.size()) collective.kind = kAll[at];
  collective.participants = static_cast<int>(fields.integer("participants", 2, 1'000'000));
  collective.curve = read_curve(fields);
  collective.from = read_provenance(fields);
  collective.source = read_source(fields);
  collective.error = read_error(fields);
  return collective;
}

MeasuredMatmuls read_matmuls(JsonFields& fields) {
  const std::string key = "m_n_k_us";
  MeasuredMatmuls result;
  result.dtype = fields.string("dtype");
  result.from = read_provenance(fields);
  result.source = read_source(fields);
  const Json& rows = fields.any(key);
  if (!rows.is_array() || rows.empty()) {
    fields.wrong(key, "a list of [m, n, k, microseconds]");
    return result;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Json& row = rows[i];
    const bool good =
        row.is_array() && row.size() == 4 && std::all_of(row.begin(), row.end(), [](const Json& n) {
          return n.is_number() && n.get<double>() > 0 && n.get<double>() <= 1e9;
        });
    if (!good) {
      fields.problem(key, "row {}: expected [m, n, k, microseconds], all above 0, got {}", i,
                     short_text(row));
      return result;
    }
    result.m_n_k_us.push_back(
        {row[0].get<double>(), row[1].get<double>(), row[2].get<double>(), row[3].get<double>()});
  }
  return result;
}

LinkProfile read_link(JsonFields& fields, std::string name) {
  LinkProfile link;
  link.name = std::move(name);
  link.summary = fields.string("summary", "");
  link.curve = read_curve(fields);
  if (fields.has("exchange_bytes_us")) link.exchange = read_curve(fields, "exchange_bytes_us");
  read_list(fields, "collectives",
            [&](JsonFields& entry) { link.collectives.push_back(read_collective(entry)); });
  link.from = read_provenance(fields);
  link.source = read_source(fields);
  link.error = read_error(fields);
  fields.finish();
  if (!link.curve.empty()) {
    link.latency_us = {.value = link.curve.front().second,
                       .from = link.from,
                       .source = link.source,
                       .error = link.error};
  }
  return link;
}

// "kernel_efficiency": {"softmax": {"value": 0.7, "from": .., "source": ..}}, any of the kinds.
void read_kernel_efficiency(JsonFields& gpu_fields, GpuProfile& gpu) {
  if (!gpu_fields.has("kernel_efficiency")) return;
  JsonFields fields = gpu_fields.child("kernel_efficiency");
  for (std::size_t kind = 1; kind < kKernelKinds; ++kind) {
    const std::string name(kKernelKindNames[kind]);
    if (fields.has(name)) gpu.kernel_efficiency[kind] = read_quantity(fields, name, kSmallest, 1);
  }
  fields.finish();
}

GpuProfile read_gpu(JsonFields& top) {
  GpuProfile gpu;
  gpu.name = top.string("name");
  gpu.summary = top.string("summary", "");
  top.any("$schema");
  if (top.has("gpu")) {
    JsonFields fields = top.child("gpu");
    gpu.memory_gib = read_quantity(fields, "memory_gib", kSmallest, kLargest);
    gpu.peak_tflops = read_quantity(fields, "peak_tflops", kSmallest, kLargest);
    gpu.matmul_efficiency = read_quantity(fields, "matmul_efficiency", kSmallest, 1);
    gpu.memory_gb_per_s = read_quantity(fields, "memory_gb_per_s", kSmallest, kLargest);
    gpu.memory_efficiency = read_quantity(fields, "memory_efficiency", kSmallest, 1);
    read_kernel_efficiency(fields, gpu);
    gpu.kernel_us = read_quantity(fields, "kernel_us", 0, kLargest);
    gpu.launch_us = read_quantity(fields, "launch_us", 0, kLargest);
    if (fields.has("matmul_us")) gpu.matmul_us = read_quantity(fields, "matmul_us", 0, kLargest);
    read_list(fields, "measured_matmuls",
              [&](JsonFields& entry) { gpu.measured_matmuls.push_back(read_matmuls(entry)); });
    fields.finish();
  } else {
    top.missing("gpu");
  }
  JsonFields links = top.child("links");
  if (top.any("links").is_object()) {
    for (const auto& [name, value] : top.any("links").items()) {
      if (!value.is_object()) {
        links.wrong(name, "an object with curve_bytes_us, from and source");
        continue;
      }
      JsonFields fields = links.child(name);
      gpu.links.push_back(read_link(fields, name));
    }
  }
  top.finish();
  return gpu;
}

}  // namespace

GpuProfile parse_gpu_profile(std::string_view json, const std::string& file) {
  const Json parsed = parse_json(json, file);
  if (!parsed.is_object()) throw InputError(fmt::format("{}: expected an object", file));
  Problems problems;
  const JsonSource source{.file = file, .origins = {}, .problems = &problems};
  JsonFields top(parsed, source, "");
  GpuProfile gpu = read_gpu(top);
  problems.throw_if_any();
  return gpu;
}

LinkProfile parse_link_profile(std::string_view json, const std::string& file) {
  const Json parsed = parse_json(json, file);
  if (!parsed.is_object()) throw InputError(fmt::format("{}: expected an object", file));
  Problems problems;
  const JsonSource source{.file = file, .origins = {}, .problems = &problems};
  JsonFields top(parsed, source, "");
  const std::string name = top.string("name");
  const std::string summary = top.string("summary", "");
  top.any("$schema");
  LinkProfile link;
  if (top.has("link")) {
    JsonFields fields = top.child("link");
    link = read_link(fields, name);
    if (link.summary.empty()) link.summary = summary;
  } else {
    top.missing("link");
  }
  top.finish();
  problems.throw_if_any();
  return link;
}

}  // namespace stagesim
