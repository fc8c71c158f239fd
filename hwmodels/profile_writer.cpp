#include "hwmodels/profile_writer.hpp"

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>

namespace stagesim {
namespace {

constexpr std::size_t kWidth = 110;

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string provenance(Provenance from, const std::string& source,
                       const std::optional<double>& error) {
  return fmt::format("\"from\": \"{}\", \"source\": {}{}", text(from), quoted(source),
                     error ? fmt::format(", \"error\": {:.3g}", *error) : "");
}

// "key": [[1, 2], [3, 4]], filled lines below the opening bracket's.
template <typename Rows>
std::string rows_json(const std::string& key, const Rows& rows, std::size_t indent,
                      const std::function<std::string(std::size_t)>& row_text) {
  const std::string pad(indent, ' ');
  std::string result = fmt::format("{}\"{}\": [", pad, key);
  const std::string inner = "\n" + pad + "  ";
  std::string all = inner;
  std::size_t length = indent + 2;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string row = row_text(i) + (i + 1 < rows.size() ? "," : "");
    if (length > indent + 2 && length + 1 + row.size() > kWidth) {
      all += inner;
      length = indent + 2;
    } else if (length > indent + 2) {
      all += ' ';
      ++length;
    }
    all += row;
    length += row.size();
  }
  result += all;
  result += "\n" + pad + "]";
  return result;
}

std::string curve_json(const std::string& key, const Curve& curve, std::size_t indent) {
  return rows_json(key, curve, indent, [&](std::size_t i) {
    return fmt::format("[{:.12g}, {:.6g}]", curve[i].first, curve[i].second);
  });
}

std::string collective_json(const CollectiveProfile& c, std::size_t indent) {
  const std::string pad(indent, ' ');
  return fmt::format("{0}{{\n{0}  \"kind\": \"{1}\", \"participants\": {2},\n{3},\n{0}  {4}\n{0}}}",
                     pad, text(c.kind), c.participants,
                     curve_json("curve_bytes_us", c.curve, indent + 2),
                     provenance(c.from, c.source, c.error));
}

// The members of a link between its braces.
std::string link_members(const LinkProfile& link, std::size_t indent, bool with_summary) {
  const std::string pad(indent, ' ');
  std::string result;
  if (with_summary && !link.summary.empty())
    result += fmt::format("{}\"summary\": {},\n", pad, quoted(link.summary));
  result += curve_json("curve_bytes_us", link.curve, indent) + ",\n";
  if (!link.exchange.empty())
    result += curve_json("exchange_bytes_us", link.exchange, indent) + ",\n";
  if (!link.collectives.empty()) {
    result += pad + "\"collectives\": [\n";
    for (std::size_t i = 0; i < link.collectives.size(); ++i) {
      result += collective_json(link.collectives[i], indent + 2);
      result += i + 1 < link.collectives.size() ? ",\n" : "\n";
    }
    result += pad + "],\n";
  }
  return result + pad + provenance(link.from, link.source, link.error) + "\n";
}

std::string quantity_json(const char* key, const Quantity& q) {
  return fmt::format("    \"{}\": {{\"value\": {:.6g}, {}}}", key, q.value,
                     provenance(q.from, q.source, q.error));
}

std::string matmuls_json(const MeasuredMatmuls& table) {
  return fmt::format("      {{\n        \"dtype\": {}, {},\n{}\n      }}", quoted(table.dtype),
                     provenance(table.from, table.source, {}),
                     rows_json("m_n_k_us", table.m_n_k_us, 8, [&](std::size_t i) {
                       const auto& [m, n, k, us] = table.m_n_k_us[i];
                       return fmt::format("[{:.12g}, {:.12g}, {:.12g}, {:.5g}]", m, n, k, us);
                     }));
}

std::string head(const std::string& name, const std::string& summary) {
  return fmt::format("{{\n  \"name\": {},\n  \"summary\": {},\n", quoted(name), quoted(summary));
}

}  // namespace

std::string profile_json(const GpuProfile& gpu) {
  std::string result = head(gpu.name, gpu.summary) + "  \"gpu\": {\n";
  const std::pair<const char*, const Quantity*> quantities[] = {
      {"memory_gib", &gpu.memory_gib},
      {"peak_tflops", &gpu.peak_tflops},
      {"matmul_efficiency", &gpu.matmul_efficiency},
      {"memory_gb_per_s", &gpu.memory_gb_per_s},
      {"memory_efficiency", &gpu.memory_efficiency},
      {"kernel_us", &gpu.kernel_us},
      {"launch_us", &gpu.launch_us}};
  bool first = true;
  for (const auto& [key, quantity] : quantities) {
    result += (first ? "" : ",\n") + quantity_json(key, *quantity);
    first = false;
  }
  if (gpu.matmul_us) result += ",\n" + quantity_json("matmul_us", *gpu.matmul_us);
  if (!gpu.measured_matmuls.empty()) {
    result += ",\n    \"measured_matmuls\": [\n";
    for (std::size_t i = 0; i < gpu.measured_matmuls.size(); ++i)
      result += (i == 0 ? "" : ",\n") + matmuls_json(gpu.measured_matmuls[i]);
    result += "\n    ]";
  }
  result += "\n  },\n  \"links\": {";
  for (std::size_t i = 0; i < gpu.links.size(); ++i) {
    result += fmt::format("{}\n    {}: {{\n", i == 0 ? "" : ",", quoted(gpu.links[i].name));
    result += link_members(gpu.links[i], 6, true) + "    }";
  }
  return result + (gpu.links.empty() ? "}\n}\n" : "\n  }\n}\n");
}

std::string profile_json(const LinkProfile& link) {
  return head(link.name, link.summary) + "  \"link\": {\n" + link_members(link, 4, false) +
         "  }\n}\n";
}

}  // namespace stagesim
