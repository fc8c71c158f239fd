#include "tests/support/nccl_log.hpp"

#include <fmt/format.h>

namespace stagesim::test {
namespace {

// The printing rule of nccl-tests since v2.0: two decimals below 10000, then fewer.
std::string time_text(double us) {
  if (us >= 10000) return fmt::format("{:.0f}", us);
  return us >= 100 ? fmt::format("{:.1f}", us) : fmt::format("{:.2f}", us);
}

std::string group(const NcclLayout& l, long long bytes, double us, double& sum, int& cells) {
  const bool ms = l.version == "v1.0";
  const std::string time = ms ? fmt::format("{:.3f}", us / 1e3) : time_text(us);
  const double algbw = static_cast<double>(bytes) / us / 1e3;
  sum += algbw * l.factor;
  ++cells;
  const char* error = l.version == "v2.13" || l.version == "v2.17.4" ? "0" : "0e+00";
  std::string text =
      fmt::format("{:>9} {:>7.2f} {:>7.2f} {:>6}", time, algbw, algbw * l.factor, error);
  if (l.version == "inspector") text += fmt::format(" {0} {0} {0} 0.10", time);
  return text;
}

}  // namespace

std::string nccl_log(const NcclLayout& l) {
  std::string text;
  const auto line = [&](const std::string& s) { text += l.prefix + s + "\n"; };
  if (l.version == "v2.17.4")
    line("# nccl-tests version 2.17.4 nccl-headers=22807 nccl-library=22807");
  if (!l.program.empty()) line("# Collective test starting: " + l.program);
  line(
      "# nThread 1 nGpus 1 minBytes 8 maxBytes 67108864 step: 2(factor) warmup iters: 5 iters: 20");
  line("#");
  line("# Using devices");
  for (int rank = 0; rank < l.ranks; ++rank) {
    line(l.version == "v2.0"
             ? fmt::format("#   Rank {:2} Pid {} on node device {:2} [0x0f] Some GPU", rank, rank,
                           rank)
             : fmt::format("#  Rank {:2} Group  0 Pid {} on node device {:2} [0000:0f:00] Some GPU",
                           rank, rank, rank));
  }
  const bool redop = l.version != "v2.0" || l.middle.find("sum") != std::string::npos;
  line(fmt::format("#  {}  type {} time   algbw   busbw  {} time   algbw   busbw  #wrong",
                   l.version == "v1.0" ? " bytes             N " : "     size         count ",
                   redop ? "redop" : "", l.version == "inspector" ? "#wrong i_min" : "#wrong"));
  double sum = 0;
  int cells = 0;
  for (std::size_t i = 0; i < l.sizes.size(); ++i) {
    const long long bytes = l.sizes[i];
    const double us = l.alpha_us + static_cast<double>(bytes) / l.gb_per_s / 1e3;
    std::string row = fmt::format("{:>12} {:>13.0f} {:>9} {}", bytes,
                                  static_cast<double>(bytes) * l.count_per_byte, "float", l.middle);
    row += l.in_place_only ? fmt::format("{:32}", "") : group(l, bytes, us, sum, cells);
    row += fmt::format(" {}", group(l, bytes, us + 0.5, sum, cells));
    if (l.dates) row += " 2025-11-02 10:11:12";
    if (i != l.drop_row) line(row);
    if (!l.chatter.empty()) text += l.chatter + "\n";
  }
  line("# Out of bounds values : 0 OK");
  if (l.trailer) line(fmt::format("# Avg bus bandwidth    : {:g}", sum / cells + l.average_offset));
  line("#");
  return text;
}

}  // namespace stagesim::test
