#include "hwmodels/logs/nccl_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/logs/log_text.hpp"

namespace stagesim {
namespace {

constexpr int kMostExamples = 3;

template <typename Visit>
void each_cell(const NcclRun& run, Visit&& visit) {
  for (const NcclRow& row : run.rows) {
    if (row.out_of_place) visit(row, *row.out_of_place, false);
    if (row.in_place) visit(row, *row.in_place, true);
  }
}

// 1e3 bytes per us are one GB/s. The printed time and rate are rounded, each by half a digit.
bool rate_fits(const NcclRow& row, const NcclCell& cell) {
  const double slowest = row.bytes / (cell.us + cell.us_rounding) / 1e3;
  const double fastest = row.bytes / std::max(cell.us - cell.us_rounding, 1e-9) / 1e3;
  const double slack = cell.algbw_rounding + 1e-6 * cell.algbw;
  return cell.algbw >= slowest - slack && cell.algbw <= fastest + slack;
}

void check_rates(LogReading& reading, const NcclRun& run) {
  int wrong = 0;
  each_cell(run, [&](const NcclRow& row, const NcclCell& cell, bool in_place) {
    if (row.bytes == 0 || rate_fits(row, cell)) return;
    if (++wrong > kMostExamples) return;
    reading.incomplete.add(
        "{}: row {}: {} bytes in {} us are {:.2f} GB/s, but the {} algbw column says {}",
        reading.file, row.line, row.bytes, cell.us, row.bytes / cell.us / 1e3,
        in_place ? "in-place" : "out-of-place", cell.algbw);
  });
  if (wrong > kMostExamples)
    reading.incomplete.add("{}: {} more rows whose algbw is not size / time", reading.file,
                           wrong - kMostExamples);
}

void check_average(LogReading& reading, const NcclRun& run) {
  double sum = 0, rounding = 0;
  int cells = 0;
  each_cell(run, [&](const NcclRow&, const NcclCell& cell, bool) {
    sum += cell.busbw;
    rounding += cell.busbw_rounding;
    ++cells;
  });
  if (cells == 0) return;
  if (!run.average) {
    reading.incomplete.add(
        "{}: no line 'Avg bus bandwidth' below the {} rows, so the log was cut; feed the whole "
        "output",
        reading.file, run.rows.size());
    return;
  }
  const double mean = sum / cells;
  const double allowed = rounding / cells + run.average_rounding + 1e-6 * std::abs(mean);
  if (std::abs(mean - *run.average) <= allowed) return;
  reading.incomplete.add(
      "{}: the {} busbw values of {} rows add up to {:.6g}, their mean is {:.6g}, but the line "
      "'Avg bus bandwidth' says {:.6g}: rows are missing or were changed",
      reading.file, cells, run.rows.size(), sum, mean, *run.average);
}

bool is_reduction(const std::string& redop) { return !redop.empty() && redop != "none"; }

bool is_one_of(Timed what, std::initializer_list<Timed> group) {
  return std::find(group.begin(), group.end(), what) != group.end();
}

// Whether the row can be of that collective, by operator, root, count and bandwidth factor. The
// send/receive test prints the operator it does not use.
bool fits(const NcclRun& run, const NcclRow& row, Timed what) {
  using enum Timed;
  const bool rooted = is_one_of(what, {kReduce, kBroadcast, kGather, kScatter});
  const bool reducing = is_one_of(what, {kAllReduce, kReduce, kReduceScatter});
  const bool total = is_one_of(what, {kAllGather, kReduceScatter, kAllToAll, kGather, kScatter});
  if (what != kExchange && reducing != is_reduction(row.redop)) return false;
  if (row.root && rooted != (*row.root >= 0)) return false;
  if (!row.root && (what == kBroadcast || what == kReduce || what == kGather || what == kScatter))
    return false;  // every version prints the root of these
  // Before v2.13 the all-to-all header had a redop column that its rows left empty.
  if (row.redop.empty() && run.redop_column && what != kAllToAll) return false;
  const int type = nccl_type_bytes(row.type);
  if (run.participants > 1 && row.bytes > 0) {
    const double ranks = total ? run.participants : 1;
    if (std::abs(row.bytes - row.count * type * ranks) > 0.5) return false;
  }
  const auto& cell = row.out_of_place ? row.out_of_place : row.in_place;
  if (run.participants > 1 && cell && cell->algbw > 0) {
    const double factor = bus_factor(what, run.participants);
    if (std::abs(cell->busbw - factor * cell->algbw) >
        cell->busbw_rounding + factor * cell->algbw_rounding + 1e-6 * cell->busbw)
      return false;
  }
  return true;
}

std::vector<Timed> candidates(const NcclRun& run) {
  using enum Timed;
  std::vector<Timed> result;
  for (const Timed what : {kExchange, kAllReduce, kReduce, kBroadcast, kAllGather, kReduceScatter,
                           kAllToAll, kGather, kScatter}) {
    const bool all = std::all_of(run.rows.begin(), run.rows.end(),
                                 [&](const NcclRow& row) { return fits(run, row, what); });
    if (all) result.push_back(what);
  }
  return result;
}

}  // namespace

int nccl_type_bytes(std::string_view type) {
  for (const std::string_view name :
       {"int8", "uint8", "char", "f8e4m3", "f8e5m2", "fp8_e4m3", "fp8_e5m2"}) {
    if (type == name) return 1;
  }
  if (type == "half" || type == "bfloat16") return 2;
  if (type == "int32" || type == "uint32" || type == "int" || type == "float") return 4;
  if (type == "int64" || type == "uint64" || type == "double") return 8;
  return 0;
}

std::string nccl_version(double number) {
  const auto v = static_cast<long long>(std::clamp(number, 0.0, 1e9));
  return v >= 10000 ? fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100)
                    : fmt::format("{}.{}.{}", v / 1000, v / 100 % 10, v % 100);
}

double bus_factor(Timed what, int participants) {
  const double n = participants;
  switch (what) {
    case Timed::kAllReduce:
      return 2 * (n - 1) / n;
    case Timed::kAllGather:
    case Timed::kReduceScatter:
    case Timed::kAllToAll:
    case Timed::kGather:
    case Timed::kScatter:
      return (n - 1) / n;
    case Timed::kSend:
    case Timed::kExchange:
    case Timed::kReduce:
    case Timed::kBroadcast:
    case Timed::kUnknown:
      break;
  }
  return 1;
}

void add_run(LogReading& reading, const NcclRun& run) {
  reading.rows += static_cast<int>(run.rows.size());
  if (run.participants == 1) {
    reading.problems.add(
        "{}: nranks = 1: every rank line says Rank 0, so each process ran alone and the times are "
        "of copies within one GPU; build nccl-tests with MPI=1 (or run one process with -g N)",
        reading.file);
    return;
  }
  check_rates(reading, run);
  check_average(reading, run);
  Timed what = Timed::kUnknown;
  if (!run.program.empty()) {
    if (const auto named = timed_from(run.program)) what = *named;
  }
  if (what == Timed::kUnknown && !run.rows.empty()) {
    const std::vector<Timed> possible = candidates(run);
    if (possible.size() == 1) what = possible.front();
    for (const Timed one : possible) {
      if (what == Timed::kUnknown) reading.could_be.push_back(one);
    }
  }
  each_cell(run, [&](const NcclRow& row, const NcclCell& cell, bool in_place) {
    if (row.bytes <= 0 || cell.us <= 0) return;
    reading.points.push_back({.what = what,
                              .participants = run.participants,
                              .bytes = row.bytes,
                              .microseconds = cell.us,
                              .in_place = in_place});
  });
}

}  // namespace stagesim
