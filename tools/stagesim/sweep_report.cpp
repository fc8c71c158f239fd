#include "tools/stagesim/sweep_report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "sim/base/names.hpp"

namespace stagesim {
namespace {

using Row = nlohmann::ordered_json;

struct Column {
  const char* title;
  const char* key;
  const char* format;
  double scale;
};
constexpr Column kColumns[] = {{"step ms", "step_time_ms", "{:.3f}", 1},
                               {"ms/sample", "ms_per_sample", "{:.4f}", 1},
                               {"tokens/s", "tokens_per_s", "{:.0f}", 1},
                               {"MFU %", "mfu", "{:.1f}", 100},
                               {"bubble %", "bubble", "{:.2f}", 100},
                               {"/ideal %", "bubble_over_ideal", "{:.2f}", 100},
                               {"peak GiB", "peak_memory_gib", "{:.2f}", 1},
                               {"acts", "peak_activations", "{:g}", 1},
                               {"copies", "weight_copies", "{:g}", 1},
                               {"mismatch", "max_mismatch", "{:.0f}", 1},
                               {"GPUs", "gpus", "{:.0f}", 1}};

bool ran(const Row& row) { return row["status"] != "refused"; }

std::string plain(const Row& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string cell(const Row& row, const Column& column) {
  const Row& value = row[column.key];
  if (!value.is_number()) return "-";
  return fmt::format(fmt::runtime(column.format), column.scale * value.get<double>());
}

// Columns that say something in some row.
std::vector<Column> used_columns(const SweepFile& file) {
  std::vector<bool> used(std::size(kColumns), false);
  file.each([&](const Row& row) {
    for (std::size_t c = 0; c < used.size(); ++c)
      used[c] = used[c] || !row[kColumns[c].key].is_null();
  });
  std::vector<Column> columns;
  for (std::size_t c = 0; c < used.size(); ++c)
    if (used[c]) columns.push_back(kColumns[c]);
  return columns;
}

// Widths are known before the rows: of an axis the longest value.
void print_header(std::ostream& out, const Sweep& sweep, const std::vector<Column>& columns,
                  std::vector<std::size_t>& widths) {
  std::string line;
  for (const SweepAxis& axis : sweep.axes) {
    std::size_t width = axis.path.size();
    for (const std::string& value : axis.values) width = std::max(width, value.size());
    widths.push_back(width);
    line += fmt::format("{:<{}}  ", axis.path, width);
  }
  for (const Column& column : columns) line += fmt::format("{:>9}  ", column.title);
  fmt::print(out, "{}status\n", line);
}

void print_row(std::ostream& out, const Sweep& sweep, const std::vector<Column>& columns,
               const std::vector<std::size_t>& widths, const Row& row) {
  std::string line;
  for (std::size_t a = 0; a < sweep.axes.size(); ++a)
    line += fmt::format("{:<{}}  ", plain(row[sweep.axes[a].path]), widths[a]);
  for (const Column& column : columns)
    line += ran(row) ? fmt::format("{:>9}  ", cell(row, column)) : "";
  fmt::print(out, "{}{}{}\n", line, plain(row["status"]),
             row["reason"].is_null() ? "" : fmt::format(": {}", plain(row["reason"])));
}

void print_table(std::ostream& out, const Sweep& sweep, const SweepFile& file,
                 const std::string& sort) {
  const std::vector<Column> columns = used_columns(file);
  std::vector<std::size_t> widths;
  print_header(out, sweep, columns, widths);
  if (sort.empty())
    return file.each([&](const Row& row) { print_row(out, sweep, columns, widths, row); });
  std::vector<Row> rows;
  file.each([&](const Row& row) { rows.push_back(row); });
  const auto key = [&](const Row& row) {
    return row[sort].is_number() ? row[sort].get<double>() : INFINITY;
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Row& a, const Row& b) { return key(a) < key(b); });
  for (const Row& row : rows) print_row(out, sweep, columns, widths, row);
}

// What a row is of, in words; without the axes that `skip` names.
std::string values_of(const Sweep& sweep, const Row& row,
                      const std::vector<std::string_view>& skip = {}) {
  std::string text;
  for (const SweepAxis& axis : sweep.axes) {
    if (std::find(skip.begin(), skip.end(), axis.path) != skip.end()) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ", ",
                        axis.path == kScheduleAxis
                            ? plain(row[axis.path])
                            : fmt::format("{} {}", axis.path, plain(row[axis.path])));
  }
  return text;
}

// Less is better in each; memory counts only where all rows know it.
class ParetoFront {
 public:
  void add(const Row& row) {
    if (row["status"] != "ok") return;
    const Point point{row["ms_per_sample"].get<double>(),
                      row["peak_memory_gib"].is_null() ? 0 : row["peak_memory_gib"].get<double>(),
                      std::abs(row["max_mismatch"].get<double>())};
    for (const auto& [other, unused] : front_)
      if (no_worse(other, point)) return;
    std::erase_if(front_, [&](const auto& other) { return no_worse(point, other.first); });
    front_.emplace_back(point, row);
  }

  void print(std::ostream& out, const Sweep& sweep) {
    std::sort(front_.begin(), front_.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    fmt::print(out,
               "\nPareto front: no other row is as good in time per sample, memory of the worst "
               "rank and mismatch, and better in one\n");
    for (const auto& [point, row] : front_) {
      fmt::print(out, "  {:.4f} ms/sample, {}mismatch {:.0f}: {}\n", point[0],
                 row["peak_memory_gib"].is_null() ? "" : fmt::format("{:.2f} GiB, ", point[1]),
                 point[2], values_of(sweep, row));
    }
  }

 private:
  using Point = std::array<double, 3>;
  static bool no_worse(const Point& a, const Point& b) {
    return a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2];
  }
  std::vector<std::pair<Point, Row>> front_{};
};

// Along an axis: the schedules of each combination of the other axes, by time per sample.
class Crossovers {
 public:
  Crossovers(const Sweep& sweep, const std::string& along) : sweep_(sweep), along_(along) {
    for (const SweepAxis& axis : sweep.axes)
      if (axis.path == along) values_ = axis.values;
  }

  void add(const Row& row) {
    if (!ran(row)) return;
    const std::string group = values_of(sweep_, row, {along_, kScheduleAxis});
    times_[group][plain(row[along_])][plain(row[std::string(kScheduleAxis)])] =
        row["ms_per_sample"];
  }

  void print(std::ostream& out) const {
    fmt::print(out, "\nCrossovers along {}, by time per sample\n", along_);
    bool any = false;
    for (const auto& [group, by_value] : times_)
      for (std::size_t i = 1; i < values_.size(); ++i)
        any = print_step(out, group, by_value, values_[i - 1], values_[i]) || any;
    if (!any) fmt::print(out, "  none: no schedule overtakes another\n");
  }

 private:
  using Times = std::map<std::string, double>;  // schedule
  using ByValue = std::map<std::string, Times>;

  static bool print_step(std::ostream& out, const std::string& group, const ByValue& by_value,
                         const std::string& from, const std::string& to) {
    const auto before = by_value.find(from), after = by_value.find(to);
    if (before == by_value.end() || after == by_value.end()) return false;
    bool any = false;
    for (const auto& [a, a_after] : after->second) {
      for (const auto& [b, b_after] : after->second) {
        const auto a_before = before->second.find(a), b_before = before->second.find(b);
        if (a_before == before->second.end() || b_before == before->second.end()) continue;
        if (!(a_before->second >= b_before->second && a_after < b_after)) continue;
        fmt::print(out,
                   "  {}{} -> {}: {} overtakes {} ({:.4f} against {:.4f} ms/sample, before {:.4f} "
                   "and {:.4f})\n",
                   group.empty() ? "" : group + ": ", from, to, a, b, a_after, b_after,
                   a_before->second, b_before->second);
        any = true;
      }
    }
    return any;
  }

  const Sweep& sweep_;
  const std::string along_;
  std::vector<std::string> values_{};
  std::map<std::string, ByValue> times_{};  // [other axes]
};

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out(1, '"');
  for (const char c : text) {
    if (c == '"') out += c;
    out += c;
  }
  out += '"';
  return out;
}

}  // namespace

void check_report(const SweepReport& report, const Sweep& sweep) {
  if (!report.sort.empty()) {
    const std::vector<std::string> columns = sweep_columns(sweep);
    if (std::find(columns.begin(), columns.end(), report.sort) == columns.end())
      throw InputError("--sort: " + unknown_name("column", report.sort, columns));
  }
  if (report.crossover.empty()) return;
  std::vector<std::string> axes;
  for (const SweepAxis& axis : sweep.axes) axes.push_back(axis.path);
  if (report.crossover == kScheduleAxis ||
      std::find(axes.begin(), axes.end(), report.crossover) == axes.end())
    throw InputError("--crossover: " + unknown_name("axis", report.crossover, axes));
  if (std::find(axes.begin(), axes.end(), kScheduleAxis) == axes.end())
    throw InputError("--crossover: compares schedules; give --vary schedule=a,b too");
}

void print_sweep(std::ostream& out, const Sweep& sweep, const SweepFile& file,
                 const SweepReport& report) {
  if (report.table) print_table(out, sweep, file, report.sort);
  std::uint64_t ok = 0, too_large = 0, refused = 0;
  ParetoFront front;
  std::optional<Crossovers> crossovers;
  if (!report.crossover.empty()) crossovers.emplace(sweep, report.crossover);
  file.each([&](const Row& row) {
    ++(row["status"] == "ok" ? ok : ran(row) ? too_large : refused);
    front.add(row);
    if (crossovers) crossovers->add(row);
  });
  fmt::print(out, "{}{} rows: {} ran, {} do not fit the GPU, {} refused with their reason\n",
             report.table ? "\n" : "", file.rows(), ok, too_large, refused);
  if (ok > 0) front.print(out, sweep);
  if (crossovers) crossovers->print(out);
  fmt::print(
      out,
      "\nms/sample = step time over the samples of a step of all copies; the other words as in "
      "'stagesim run'\n");
}

void write_sweep_csv(std::ostream& out, const Sweep& sweep, const SweepFile& file) {
  const std::vector<std::string> columns = sweep_columns(sweep);
  const auto write = [&](const auto& text_of) {
    std::string line;
    for (const std::string& column : columns) line += quoted(text_of(column)) + ',';
    line.back() = '\n';
    out << line;
  };
  write([](const std::string& column) { return column; });
  file.each([&](const Row& row) {
    write([&](const std::string& column) { return plain(row[column]); });
  });
}

}  // namespace stagesim
