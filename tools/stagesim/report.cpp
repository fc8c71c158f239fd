#include "tools/stagesim/report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <numeric>

#include "tools/stagesim/uncertainty_report.hpp"
#include "tools/study/result_summary.hpp"
#include "traces/result_json.hpp"

namespace stagesim {
namespace {

constexpr double kShownShare = 0.0005;  // what would round to 0.0 % is left out

using Row = std::vector<std::string>;

Row header_row() {
  return {"schedule", "step ms", "tokens/s", "MFU %",  "bubble %", "/ideal %", "interval",
          "peak GiB", "fits",    "acts",     "copies", "mismatch", "delay",    "limited by"};
}

Row result_row(const Scenario& s, const ScheduleResult& r) {
  const ResultSummary sum = summary_of(r);
  return {r.name,
          fmt::format("{:.3f}", to_ms(r.step_time)),
          r.tokens_per_s > 0 ? fmt::format("{:.0f}", r.tokens_per_s) : "-",
          r.mfu ? fmt::format("{:.1f}", 100 * *r.mfu) : "-",
          fmt::format("{:.2f}", 100 * r.bubble.bubble),
          fmt::format("{:.2f}", 100 * r.bubble.over_ideal),
          std::string(text(r.bubble.interval.kind)),
          s.has_bytes ? fmt::format("{:.2f} @{}", sum.peak_memory_gib, sum.worst_rank) : "-",
          r.fits ? (*r.fits ? "yes" : "NO") : "-",
          fmt::format("{:g}", sum.peak_activations),
          fmt::format("{:g}", sum.weight_copies),
          sum.max_mismatch == 0
              ? "0"
              : fmt::format("{} ({:.0f} %)", sum.max_mismatch, 100 * sum.mismatched_share),
          fmt::format("{}", sum.max_delay),
          r.limiting.over_mean < 0.0005
              ? "even"
              : fmt::format("stage {} @{}", r.limiting.stage, r.limiting.rank)};
}

void print_table(std::ostream& out, const std::vector<Row>& rows) {
  std::vector<std::size_t> width(rows[0].size(), 0);
  // A column that says nothing in any row is left out.
  std::vector<bool> empty(rows[0].size(), true);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t c = 0; c < rows[i].size(); ++c) {
      width[c] = std::max(width[c], rows[i][c].size());
      if (i > 0 && rows[i][c] != "-") empty[c] = false;
    }
  }
  for (const Row& row : rows) {
    std::string line = fmt::format("{:<{}}", row[0], width[0]);
    for (std::size_t c = 1; c < row.size(); ++c) {
      if (empty[c]) continue;
      line += c + 1 == row.size() ? "  " + row[c] : fmt::format("  {:>{}}", row[c], width[c]);
    }
    fmt::print(out, "{}\n", line);
  }
}

void print_memory(std::ostream& out, const ScheduleResult& r) {
  const RankMemory& m = r.memory[summary_of(r).worst_rank];
  std::string made_of;
  for (std::size_t c = 0; c < kMemoryCategories; ++c) {
    if (m.at_peak[c] == 0) continue;
    made_of += fmt::format("{}{} {:.2f}", made_of.empty() ? "" : ", ",
                           text(static_cast<MemoryCategory>(c)), gib(m.at_peak[c]));
  }
  fmt::print(out, "  {}: rank {} at {:.3f} ms: {}\n", r.name, summary_of(r).worst_rank,
             to_ms(m.peak_at), made_of.empty() ? "nothing" : made_of);
}

void print_idle(std::ostream& out, const ScheduleResult& r) {
  const std::array<double, kIdleCauses> by_cause = idle_ms_by_cause(r.bubble);
  const double total = std::accumulate(by_cause.begin(), by_cause.end(), 0.0);
  std::string causes;
  for (std::size_t c = 0; c < kIdleCauses; ++c) {
    if (by_cause[c] == 0 || by_cause[c] < kShownShare * total) continue;
    causes += fmt::format("{}{} {:.1f} %", causes.empty() ? "" : ", ",
                          text(static_cast<IdleCause>(c)), 100 * by_cause[c] / total);
  }
  std::string path;
  for (std::size_t k = 0; k < r.critical_path.by_kind.size(); ++k) {
    const Nanos time = r.critical_path.by_kind[k];
    if (time.count() == 0 || to_ms(time) < kShownShare * to_ms(r.critical_path.length)) continue;
    path += fmt::format("{}{} {:.1f} %", path.empty() ? "" : ", ", text(static_cast<OpKind>(k)),
                        100 * to_ms(time) / to_ms(r.critical_path.length));
  }
  fmt::print(out, "  {}: idle by cause: {}; critical path: {}\n", r.name,
             causes.empty() ? "none" : causes, path.empty() ? "empty" : path);
}

std::string microbatch_text(const Scenario& s) {
  if (!s.batch_from.empty())
    return fmt::format("{} micro-batches per step = {}", s.batch, s.batch_from);
  return fmt::format("{} micro-batches per step", s.batch);
}

std::string replayed_text(const ScheduleResult& r) {
  const Interval& interval = r.bubble.interval;
  const std::string measured =
      interval.kind == IntervalKind::kSteady
          ? fmt::format(", {} of them measured, from the update of window {} to that of window {}",
                        interval.last_window - interval.first_window, interval.first_window,
                        interval.last_window)
          : "";
  return fmt::format("{} window{} of {} micro-batch{}{}", r.shape.windows(),
                     r.shape.windows() == 1 ? "" : "s", r.shape.window,
                     r.shape.window == 1 ? "" : "es", measured);
}

std::string communication_text(const Scenario& s) {
  if (s.comm == CommMode::kBlocking) {
    return "communication: blocking, a rank computes nothing until its group of sends and "
           "receives is done";
  }
  if (!s.overlap_tax.any())
    return "communication: overlapped, transfers run beside compute at no cost to it (assumed)";
  return fmt::format(
      "communication: overlapped; beside a message ops take {:g} times as long, and a message {:g} "
      "times while either end computes (comm.overlap_tax, as given)",
      s.overlap_tax.compute, s.overlap_tax.transfer);
}

}  // namespace

std::vector<std::string> all_assumptions(const Scenario& s, const std::vector<Attempt>& attempts) {
  std::vector<std::string> lines = s.assumptions;
  lines.push_back(communication_text(s));
  lines.push_back(
      s.barrier
          ? "step barrier: all ranks wait for each other before the optimizer step (run.barrier)"
          : "step barrier: none (run.barrier false)");
  std::vector<std::pair<std::string, std::string>> replayed;  // what was, names
  for (const Attempt& attempt : attempts) {
    if (!attempt.run) continue;
    const std::string what = replayed_text(attempt.run->result);
    const auto same = std::find_if(replayed.begin(), replayed.end(),
                                   [&](const auto& entry) { return entry.first == what; });
    if (same == replayed.end()) {
      replayed.emplace_back(what, attempt.run->result.name);
    } else {
      same->second += ", " + attempt.run->result.name;
    }
  }
  for (const auto& [what, names] : replayed)
    lines.push_back(fmt::format("replayed: {}: {}", names, what));
  for (const Attempt& attempt : attempts) {
    if (!attempt.run) continue;
    for (const std::string& line : attempt.run->assumptions) {
      const std::string prefixed = attempts.size() > 1 && line.rfind("gradients", 0) == 0
                                       ? fmt::format("{}: {}", attempt.spec.name, line)
                                       : line;
      if (std::find(lines.begin(), lines.end(), prefixed) == lines.end()) lines.push_back(prefixed);
    }
  }
  return lines;
}

bool all_fit(const std::vector<Attempt>& attempts) {
  bool fit = true;
  for (const Attempt& attempt : attempts) {
    if (!attempt.run) continue;  // a refused schedule takes no memory
    if (!attempt.run->result.fits) {
      throw InputError(
          "--require-fit: memory is not known here; it needs cluster.gpu and a model or "
          "model.stage_bytes");
    }
    fit = fit && *attempt.run->result.fits;
  }
  return fit;
}

void print_report(std::ostream& out, const Scenario& s, const std::vector<Attempt>& attempts) {
  fmt::print(out, "{}: {} rank{}{}, {}{}\n\n", s.name, s.ranks, s.ranks == 1 ? "" : "s",
             s.data > 1 ? fmt::format(" x {} data-parallel copies", s.data) : "",
             microbatch_text(s), s.gpu ? fmt::format(", {}", s.gpu->name) : "");
  std::vector<Row> rows{header_row()};
  std::vector<ScheduleResult> results;
  for (const Attempt& attempt : attempts) {
    if (!attempt.run) continue;
    results.push_back(attempt.run->result);
    rows.push_back(result_row(s, attempt.run->result));
  }
  if (!results.empty()) print_table(out, rows);
  for (const Attempt& attempt : attempts) {
    if (!attempt.run) fmt::print(out, "refused: {}\n", attempt.refusal);
  }
  print_uncertainty(out, s, attempts);
  fmt::print(out, "\n");
  for (const ScheduleResult& r : results) print_idle(out, r);
  if (s.has_bytes && !results.empty()) {
    fmt::print(out, "\npeak memory of the worst rank, GiB{}\n",
               s.gpu ? fmt::format(" (capacity {:.0f})", s.gpu->memory_gib.value) : "");
    for (const ScheduleResult& r : results) print_memory(out, r);
  }
  fmt::print(out, "\nwhat limits each, fastest first\n");
  for (const std::string& line : verdict(results)) fmt::print(out, "  {}\n", line);
  for (const ScheduleResult& r : results) {
    for (const std::string& warning : r.warnings)
      fmt::print(out, "  warning: {}: {}\n", r.name, warning);
    if (r.updates_per_batch != 1) {
      fmt::print(out, "  note: {} updates {:g} times per batch (window of {} micro-batch{})\n",
                 r.name, r.updates_per_batch, r.shape.window, r.shape.window == 1 ? "" : "es");
    }
  }
  fmt::print(
      out,
      "\nwords: step = time for one batch; bubble = idle / (ranks x interval), /ideal = "
      "idle / busy; interval wall = first start to last\n"
      "  end, steady = each rank's own span between updates; @n = rank n; acts = "
      "micro-batches held at once by the worst rank,\n"
      "  copies = weight versions held by a rank, both in shares of 1/p of the model; mismatch = "
      "version(B) - version(F), with the share of\n"
      "  (stage, micro-batch) pairs that have one; delay = version the gradient is applied to - "
      "version(F)\n\nassumptions\n");
  for (const std::string& line : all_assumptions(s, attempts)) fmt::print(out, "  {}\n", line);
}

void print_json(std::ostream& out, const Scenario& s, const std::vector<Attempt>& attempts) {
  std::vector<ScheduleResult> results;
  Json refused = Json::array();
  for (const Attempt& attempt : attempts) {
    if (attempt.run) {
      results.push_back(attempt.run->result);
    } else {
      refused.push_back({{"name", attempt.spec.text()}, {"reason", attempt.refusal}});
    }
  }
  Json json = result_json(s.json, all_assumptions(s, attempts), results);
  add_uncertainty(json["schedules"], s, attempts);
  json["refused"] = refused;
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace stagesim
