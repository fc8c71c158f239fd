#include "hwmodels/profile_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace stagesim {
namespace {

using Ordered = nlohmann::ordered_json;  // keys stay in the order people wrote them

constexpr std::size_t kWidth = 110;

void add_provenance(Ordered& json, Provenance from, const std::string& source,
                    const std::optional<double>& error) {
  json["from"] = text(from);
  json["source"] = source;
  if (error) json["error"] = std::round(*error * 1e4) / 1e4;
}

Ordered quantity(const Quantity& q) {
  Ordered json{{"value", q.value}};
  add_provenance(json, q.from, q.source, q.error);
  return json;
}

Ordered link_json(const LinkProfile& link, bool with_summary) {
  Ordered json = Ordered::object();
  if (with_summary && !link.summary.empty()) json["summary"] = link.summary;
  json["curve_bytes_us"] = link.curve;
  if (!link.exchange.empty()) json["exchange_bytes_us"] = link.exchange;
  for (const CollectiveProfile& c : link.collectives) {
    Ordered entry{
        {"kind", text(c.kind)}, {"participants", c.participants}, {"curve_bytes_us", c.curve}};
    add_provenance(entry, c.from, c.source, c.error);
    json["collectives"].push_back(std::move(entry));
  }
  add_provenance(json, link.from, link.source, link.error);
  return json;
}

Ordered gpu_json(const GpuProfile& gpu) {
  Ordered json{{"memory_gib", quantity(gpu.memory_gib)},
               {"peak_tflops", quantity(gpu.peak_tflops)},
               {"matmul_efficiency", quantity(gpu.matmul_efficiency)},
               {"memory_gb_per_s", quantity(gpu.memory_gb_per_s)},
               {"memory_efficiency", quantity(gpu.memory_efficiency)},
               {"kernel_us", quantity(gpu.kernel_us)},
               {"launch_us", quantity(gpu.launch_us)}};
  for (std::size_t kind = 0; kind < kKernelKinds; ++kind) {
    if (const auto& share = gpu.kernel_efficiency[kind])
      json["kernel_efficiency"][kKernelKindNames[kind]] = quantity(*share);
  }
  if (gpu.matmul_us) json["matmul_us"] = quantity(*gpu.matmul_us);
  for (const MeasuredMatmuls& table : gpu.measured_matmuls) {
    Ordered entry{{"dtype", table.dtype}, {"m_n_k_us", table.m_n_k_us}};
    add_provenance(entry, table.from, table.source, {});
    json["measured_matmuls"].push_back(std::move(entry));
  }
  return json;
}

// Members of `fresh` replace those of `base`; objects `levels` deep are merged instead. An error
// belongs to the value beside it, so one that is not given again goes.
void merge(Ordered& base, const Ordered& fresh, int levels) {
  if (!fresh.contains("error")) base.erase("error");
  for (const auto& [key, value] : fresh.items()) {
    if (levels > 0 && value.is_object() && base.contains(key) && base[key].is_object()) {
      merge(base[key], value, levels - 1);
    } else {
      base[key] = value;
    }
  }
}

// Text comes from logs and command lines, which need not be UTF-8.
std::string plain(const Ordered& value) {
  return value.dump(-1, ' ', false, Ordered::error_handler_t::replace);
}

std::string scalar(const Ordered& value) {
  if (!value.is_number_float()) return plain(value);
  const auto number = value.get<double>();
  const bool whole = number == std::floor(number) && std::abs(number) < 1e15;
  return whole ? fmt::format("{:.0f}", number) : fmt::format("{:.6g}", number);
}

bool flat(const Ordered& value) {
  return std::none_of(value.begin(), value.end(),
                      [](const Ordered& member) { return member.is_structured(); });
}

// An object or a list of scalars is one line, a list of such lists fills lines, all else has a line
// per member.
std::string print(const Ordered& value, std::size_t indent) {
  if (!value.is_structured()) return scalar(value);
  const char open = value.is_object() ? '{' : '[', close = value.is_object() ? '}' : ']';
  const bool one_line = flat(value);
  const bool filled = value.is_array() && !one_line &&
                      std::all_of(value.begin(), value.end(),
                                  [](const Ordered& row) { return row.is_array() && flat(row); });
  const std::string pad(indent, ' ');
  const std::string line_start = fmt::format("\n{}  ", pad);
  std::string result(1, open);
  if (!one_line) result += line_start;
  std::size_t column = indent + 2;
  bool first = true;
  for (const auto& [key, member] : value.items()) {
    std::string text = value.is_object() ? plain(key) + ": " : "";
    text += print(member, indent + 2);
    if (!first) {
      const bool wrap = !one_line && (!filled || column + 2 + text.size() > kWidth);
      result += wrap ? fmt::format(",{}", line_start) : ", ";
      column = wrap ? indent + 2 : column + 2;
    }
    result += text;
    column += text.size();
    first = false;
  }
  if (!one_line) result += fmt::format("\n{}", pad);
  return result + close;
}

std::string merged(const Ordered& fresh, std::string_view base) {
  if (base.empty()) return print(fresh, 0) + "\n";
  Ordered all = Ordered::parse(base, nullptr, true, true);
  merge(all, fresh, 2);  // into "gpu", and into each link of "links"
  return print(all, 0) + "\n";
}

}  // namespace

std::string profile_json(const GpuProfile& gpu, std::string_view base) {
  Ordered json{{"name", gpu.name}, {"summary", gpu.summary}, {"gpu", gpu_json(gpu)}};
  json["links"] = Ordered::object();
  for (const LinkProfile& link : gpu.links) json["links"][link.name] = link_json(link, true);
  return merged(json, base);
}

std::string profile_json(const LinkProfile& link, std::string_view base) {
  return merged({{"name", link.name}, {"summary", link.summary}, {"link", link_json(link, false)}},
                base);
}

}  // namespace stagesim
