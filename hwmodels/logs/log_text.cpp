#include "hwmodels/logs/log_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace stagesim {
namespace {

constexpr std::size_t kMostQuotes = 3, kLongestQuote = 80;
constexpr std::string_view kBlanks = " \t\r\v\f";

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, kLongestQuote)) result += c >= ' ' && c <= '~' ? c : '?';
  return result + (text.size() > kLongestQuote ? "..." : "");
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  std::size_t at = 0;
  while ((at = line.find_first_not_of(kBlanks, at)) != std::string_view::npos) {
    const std::size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const std::size_t comma = line.find(',');
    cells.push_back(trimmed(line.substr(0, comma)));
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::optional<std::string_view> after(std::string_view text, std::string_view part) {
  const std::size_t at = text.find(part);
  if (at == std::string_view::npos) return std::nullopt;
  return trimmed(text.substr(at + part.size()));
}

std::optional<double> number_in(std::string_view word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(value)) return {};
  return value;
}

std::optional<long long> count_in(std::string_view word) {
  long long value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || value < 0) return {};
  return value;
}

double rounding_of(std::string_view word) {
  const std::size_t e = word.find_first_of("eE");
  const std::string_view digits = word.substr(0, e);
  const std::size_t dot = digits.find('.');
  const double decimals =
      dot == std::string_view::npos ? 0 : static_cast<double>(digits.size() - dot - 1);
  double exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view power = word.substr(e + 1);
    if (!power.empty() && power.front() == '+') power.remove_prefix(1);
    exponent = number_in(power).value_or(0);
  }
  return 0.5 * std::pow(10.0, std::clamp(exponent - decimals, -300.0, 300.0));
}

void skip_line(LogReading& reading, std::size_t line, std::string_view text) {
  ++reading.skipped;
  if (reading.quotes.size() < kMostQuotes)
    reading.quotes.push_back(fmt::format("line {}: {}", line, printable(trimmed(text))));
}

void add_device(LogReading& reading, std::string_view name) {
  const std::string clean = printable(trimmed(name));
  if (clean.empty()) return;
  auto& known = reading.devices;
  if (std::find(known.begin(), known.end(), clean) == known.end()) known.push_back(clean);
}

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::size_t middle = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace stagesim
