#include "viz/grid_words.hpp"

#include <fmt/format.h>

#include <array>

namespace stagesim {
namespace {

// One unit for all times of a grid, so that header and axis agree.
struct TimeUnit {
  std::int64_t ns;
  std::string_view name;
};

TimeUnit unit_of(Nanos t) {
  for (const TimeUnit unit :
       {TimeUnit{1'000'000'000, "s"}, TimeUnit{1'000'000, "ms"}, TimeUnit{1'000, "us"}}) {
    if (t.count() >= unit.ns) return unit;
  }
  return {1, "ns"};
}

// Exact, without trailing zeros.
std::string number(Nanos t, const TimeUnit& unit) {
  std::string text = fmt::format("{}", t.count() / unit.ns);
  const std::int64_t rest = t.count() % unit.ns;
  if (rest == 0) return text;
  const std::size_t digits = fmt::formatted_size("{}", unit.ns) - 1;
  text += fmt::format(".{:0{}}", rest, digits);
  return text.substr(0, text.find_last_not_of('0') + 1);
}

std::string with_unit(Nanos t, const TimeUnit& unit) {
  return fmt::format("{} {}", number(t, unit), unit.name);
}

// Breaks at blanks, so that no line is wider than `width`.
std::string wrapped(std::string text, std::size_t width) {
  std::size_t line = 0;
  while (text.size() - line > width) {
    const std::size_t blank = text.rfind(' ', line + width);
    if (blank == std::string::npos || blank <= line + 2) break;
    text.replace(blank, 1, "\n  ");
    line = blank + 1;
  }
  return text + '\n';
}

std::string variants_text(const GridCells& cells, LabelStyle style) {
  if (style == LabelStyle::kFull) {
    return fmt::format("{}{}", cells.stages_per_rank > 1 ? "; before the letter: stage" : "",
                       cells.pipelines > 1 ? "; after @: pipeline" : "");
  }
  if (cells.variants() == 1) return "";
  if (cells.pipelines > 1) {
    return cells.pipelines == 2 ? "; lower case: pipeline 1" : "; lower case: odd pipelines";
  }
  return cells.variants() == 2 ? "; lower case: second stage of the rank"
                               : "; lower case: every second stage of the rank";
}

}  // namespace

std::string grid_header(const GridCells& cells, const GridPlan& plan) {
  const GridScale& scale = plan.scale;
  const TimeUnit unit = unit_of(cells.length);
  std::string text =
      scale.unit.count() % scale.columns == 0
          ? "one column = " + with_unit(scale.unit / scale.columns, unit)
          : fmt::format("{} columns = {}", scale.columns, with_unit(scale.unit, unit));
  if (!plan.sampled && !scale.exact) text += " (borders rounded)";
  text += fmt::format("; {} in all", with_unit(cells.length, unit));
  if (cells.start != Nanos(0)) text += ", from " + with_unit(cells.start, unit);
  if (plan.sampled || plan.style == LabelStyle::kLetter) {
    const auto needed = static_cast<std::size_t>(columns_needed(cells, LabelStyle::kShort));
    text += fmt::format(
        "; letters only, because {} ops with their numbers do not fit {} columns "
        "(they need {})",
        cells.drawn, plan.width, needed + plan.margin.size());
  }
  if (cells.without_length > 0) {
    text += fmt::format("; {} ops of zero length not drawn", cells.without_length);
  }
  return wrapped(text, plan.width);
}

std::string grid_axis(const GridCells& cells, const GridPlan& plan) {
  const TimeUnit unit = unit_of(cells.length);
  Nanos tick(1);  // 1, 2, 5, 10, 20, …: the first that leaves room for a number and a gap
  for (int i = 0; plan.scale.column(tick) < 10; ++i) tick = i % 3 == 1 ? tick / 2 * 5 : tick * 2;
  std::string line = fmt::format("{:>{}}  ", unit.name, plan.margin.size() - 2);
  for (Nanos t{}; t <= cells.length; t += tick) {
    const std::string text = number(t, unit);
    const auto at = plan.margin.size() + static_cast<std::size_t>(plan.scale.column(t));
    if (at + text.size() > plan.width) break;
    line.resize(at, ' ');
    line += text;
  }
  return line + '\n';
}

std::string grid_legend(const GridCells& cells, const GridPlan& plan) {
  constexpr std::array<std::string_view, 5> kMeanings{"F forward", "B backward", "I input gradient",
                                                      "W weight gradient", "U update"};
  std::array<bool, kMeanings.size()> used{};
  for (const auto& row : cells.of_rank) {
    for (const GridCell& cell : row) {
      used[kGridLetters.find(letter(cells, cell.op)) % kMeanings.size()] = true;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < kMeanings.size(); ++i) {
    if (used[i]) text += fmt::format("{}, ", kMeanings[i]);
  }
  text += ". idle";
  if (plan.sampled) {
    text += "; a column shows what most of its work is, or . if more than half of it is idle";
  } else if (plan.style != LabelStyle::kLetter) {
    text += used[4] ? "; number: micro-batch, of U the window" : "; number: micro-batch";
  }
  if (cells.pairs) text += "; an overlapped pair: two halves, F then B";
  return wrapped(text + variants_text(cells, plan.style), plan.width);
}

}  // namespace stagesim
