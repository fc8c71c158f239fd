#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "tools/study/gate.hpp"

namespace stagesim {
namespace {

std::string verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kRegression:
      return "regression";
    case Verdict::kNoVerdict:
      return "no verdict";
  }
  return "";
}

std::string change_text(const GateRow& row) {
  if (!row.baseline) return "";
  if (*row.baseline == 0) return fmt::format("{:+g}", row.now - *row.baseline);
  return fmt::format("{:+.2f} %", 100 * (row.now / *row.baseline - 1));
}

std::string allowed_text(const GateRow& row) {
  std::string text;
  if (row.baseline) {
    if (row.tolerance.relative > kSameNumber)
      text = fmt::format("{:g} %", 100 * row.tolerance.relative);
    if (row.tolerance.absolute > 0)
      text += fmt::format("{}{:g}", text.empty() ? "" : " or ", row.tolerance.absolute);
    if (text.empty()) text = "none";
  }
  if (row.limit) text += fmt::format("{}limit {:.9g}", text.empty() ? "" : ", ", *row.limit);
  return text;
}

std::string xml(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

}  // namespace

std::string gate_markdown(const GateResult& result, const std::string& title) {
  std::string text = fmt::format("## {}: {}\n\n", title, verdict_text(result.verdict));
  for (const std::string& reason : result.reasons) text += fmt::format("- {}\n", reason);
  if (result.verdict == Verdict::kNoVerdict) return text;
  std::string table;
  std::size_t same = 0;
  for (const GateRow& row : result.rows) {
    const bool unchanged =
        row.baseline && std::abs(row.now - *row.baseline) <= kSameNumber * std::abs(*row.baseline);
    if (unchanged && !row.worse && !row.limit) {
      ++same;
      continue;
    }
    table += fmt::format("| {} | {} | {} | {:.9g} | {} | {} | {} |\n", row.schedule, row.metric,
                         row.baseline ? fmt::format("{:.9g}", *row.baseline) : "", row.now,
                         change_text(row), allowed_text(row),
                         row.worse ? fmt::format("**worse**: {}", row.reason) : "good");
  }
  if (!table.empty()) {
    text +=
        "| schedule | metric | baseline | now | change | allowed | "
        "|\n|---|---|---|---|---|---|---|\n" +
        table;
  }
  if (same > 0)
    text += fmt::format("{}{} of {} metrics unchanged{}\n", table.empty() ? "" : "\n", same,
                        result.rows.size(), table.empty() ? "" : ", not shown");
  return text;
}

std::string gate_junit(const GateResult& result, const std::string& title) {
  std::size_t failures = 0;
  for (const GateRow& row : result.rows) failures += row.worse ? 1 : 0;
  const bool none = result.verdict == Verdict::kNoVerdict;
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{}\" "
      "tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
      xml(title), none ? 1 : result.rows.size(), none ? 0 : failures, none ? 1 : 0);
  if (none) {
    text += fmt::format(
        "  <testcase classname=\"{}\" name=\"verdict\"><error message=\"{}\"/></testcase>\n",
        xml(title), xml(fmt::format("{}", fmt::join(result.reasons, "; "))));
  } else {
    for (const GateRow& row : result.rows) {
      text += fmt::format("  <testcase classname=\"{}\" name=\"{}\">", xml(row.schedule),
                          xml(row.metric));
      if (row.worse) text += fmt::format("<failure message=\"{}\"/>", xml(row.reason));
      text += "</testcase>\n";
    }
  }
  return text + "</testsuite>\n</testsuites>\n";
}

}  // namespace stagesim
