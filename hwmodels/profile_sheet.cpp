#include "hwmodels/profile_sheet.hpp"

#include <fmt/format.h>

namespace stagesim {
namespace {

SheetNumber number(std::string name, std::string unit, const Quantity& q) {
  return {.name = std::move(name),
          .unit = std::move(unit),
          .value = q.value,
          .from = std::string(text(q.from)),
          .source = q.source,
          .error = q.error};
}

SheetTable curve_table(std::string name, const Curve& curve) {
  SheetTable table{.name = std::move(name), .columns = {"bytes", "us"}};
  for (const auto& [bytes, us] : curve) table.rows.push_back({bytes, us});
  return table;
}

// `of` is empty for a link that stands alone.
void add_link(Sheet& sheet, const LinkProfile& link, const std::string& of) {
  const std::string prefix = of.empty() ? "" : of + " ";
  const auto add_message = [&](const char* what, const Curve& curve) {
    SheetTable table = curve_table(prefix + what, curve);
    table.from = text(link.from);
    table.source = link.source;
    table.error = link.error;
    sheet.tables.push_back(std::move(table));
  };
  add_message("message, one way", link.curve);
  if (!link.exchange.empty()) add_message("exchange, each way", link.exchange);
  for (const CollectiveProfile& c : link.collectives) {
    SheetTable table =
        curve_table(fmt::format("{}{}, {} GPUs", prefix, text(c.kind), c.participants), c.curve);
    table.from = text(c.from);
    table.source = c.source;
    table.error = c.error;
    sheet.tables.push_back(std::move(table));
  }
}

}  // namespace

Sheet sheet_of(const GpuProfile& gpu) {
  Sheet sheet{.kind = "gpu", .name = gpu.name, .summary = gpu.summary};
  sheet.numbers = {number("memory_gib", "GiB", gpu.memory_gib),
                   number("peak_tflops", "TFLOP/s", gpu.peak_tflops),
                   number("matmul_efficiency", "of peak_tflops", gpu.matmul_efficiency),
                   number("memory_gb_per_s", "GB/s", gpu.memory_gb_per_s),
                   number("memory_efficiency", "of memory_gb_per_s", gpu.memory_efficiency)};
  for (std::size_t kind = 1; kind < kKernelKinds; ++kind) {
    if (!gpu.kernel_efficiency[kind]) continue;
    const bool flops = of_flops(static_cast<KernelKind>(kind));
    sheet.numbers.push_back(number(fmt::format("kernel_efficiency.{}", kKernelKindNames[kind]),
                                   flops ? "of peak_tflops" : "of memory_gb_per_s",
                                   *gpu.kernel_efficiency[kind]));
  }
  sheet.numbers.push_back(number("kernel_us", "us", gpu.kernel_us));
  sheet.numbers.push_back(number("launch_us", "us", gpu.launch_us));
  if (gpu.matmul_us) sheet.numbers.push_back(number("matmul_us", "us", *gpu.matmul_us));
  for (const LinkProfile& link : gpu.links) {
    sheet.names.push_back({"link", fmt::format("{}: {}", link.name, link.summary)});
    add_link(sheet, link, link.name);
  }
  for (const MeasuredMatmuls& matmuls : gpu.measured_matmuls) {
    SheetTable table{.name = fmt::format("measured_matmuls, {}", matmuls.dtype),
                     .columns = {"m", "n", "k", "us"},
                     .rows = {},
                     .from = std::string(text(matmuls.from)),
                     .source = matmuls.source};
    for (const auto& row : matmuls.m_n_k_us) table.rows.emplace_back(row.begin(), row.end());
    sheet.tables.push_back(std::move(table));
  }
  return sheet;
}

Sheet sheet_of(const LinkProfile& link) {
  Sheet sheet{.kind = "link", .name = link.name, .summary = link.summary};
  add_link(sheet, link, "");
  return sheet;
}

Sheet sheet_of(const NodeType& node) {
  Sheet sheet{.kind = "node", .name = node.name, .summary = node.summary};
  sheet.names = {{"gpu", node.gpu}, {"intra", node.intra}, {"inter", node.inter}};
  sheet.numbers = {number("gpus_per_node", "GPUs", node.gpus_per_node),
                   number("nics_per_node", "network ports", node.nics_per_node)};
  return sheet;
}

}  // namespace stagesim
