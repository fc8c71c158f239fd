#include "hwmodels/fit/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace stagesim {

namespace {

// Two ranks or a ring of many: what passes one link is the same.
bool is_message(Timed what) { return what == Timed::kSend || what == Timed::kExchange; }

}  // namespace

std::string MeasuredCurve::name() const {
  if (what == Timed::kSend) return "send, one way";
  if (what == Timed::kExchange) return "exchange";
  return fmt::format("{}, {} GPUs", text(what), participants);
}

std::string source_of(const LogReading& reading) {
  const std::string file = reading.file.substr(reading.file.rfind('/') + 1);
  std::string what = reading.tool;
  if (!reading.version.empty()) what += " " + reading.version;
  for (const std::string& device : reading.devices) what += ", " + device;
  return fmt::format("{} ({})", file, what);
}

Provenance provenance_of(const std::vector<LogReading>& readings) {
  const bool own = std::all_of(readings.begin(), readings.end(),
                               [](const LogReading& r) { return r.own_probe; });
  return own ? Provenance::kMeasured : Provenance::kLog;
}

void update_launch(GpuProfile& gpu, const std::vector<LogReading>& readings) {
  for (const LogReading& reading : readings) {
    if (!reading.launch_us || *reading.launch_us <= 0) continue;
    gpu.launch_us = {.value = *reading.launch_us,
                     .from = Provenance::kMeasured,
                     .source = "kernel_issue of " + source_of(reading),
                     .error = {}};
  }
}

bool update_memory(GpuProfile& gpu, const std::vector<LogReading>& readings) {
  bool any = false;
  for (const LogReading& reading : readings) {
    const auto update = [&](const char* kernel, auto& quantity) {
      double largest = 0, bytes = 0, us = 0, spread = 0;  // over all of the largest
      for (const KernelPoint& p : reading.kernels) {
        if (p.kernel != kernel || p.bytes < largest) continue;
        if (p.bytes > largest) bytes = us = spread = 0;
        largest = p.bytes;
        bytes += p.bytes;
        us += p.microseconds;
        spread = std::max(spread, p.spread);
      }
      if (largest == 0) return;
      any = true;
      quantity = Quantity{.value = bytes / us / 1e3 / gpu.memory_gb_per_s.value,
                          .from = Provenance::kMeasured,
                          .source = fmt::format("{} of {:g} MiB, {}", kernel, largest / (1 << 20),
                                                source_of(reading)),
                          .error = spread};
    };
    const auto of_kind = [&](KernelKind kind) -> auto& {
      return gpu.kernel_efficiency[static_cast<std::size_t>(kind)];
    };
    update("add", gpu.memory_efficiency);
    update("adam", of_kind(KernelKind::kAdam));
    update("batched_matmul", of_kind(KernelKind::kBatchedMatmul));
  }
  return any;
}

void settle(std::vector<LogReading>& readings, const CalibrationOptions& options,
            Problems& problems) {
  bool any_unnamed = false, any_unranked = false;
  for (LogReading& reading : readings) {
    if (!options.machine.empty()) reading.devices.push_back(options.machine);
    for (const std::string& line : reading.problems.lines()) problems.add_text(line);
    if (options.edited && !reading.incomplete.empty()) {
      reading.version += (reading.version.empty() ? "" : ", ") + std::string("edited log");
    } else {
      for (const std::string& line : reading.incomplete.lines()) problems.add_text(line);
      if (!reading.incomplete.empty())
        problems.add("{}: to take the rows as they are all the same: --edited", reading.file);
    }
    bool unnamed = false, unranked = false;
    for (LogPoint& p : reading.points) {
      if (p.what == Timed::kUnknown) {
        unnamed = true;
        if (options.collective) p.what = *options.collective;
      }
      if (p.participants == 0 && is_message(p.what)) p.participants = 2;
      if (p.participants == 0) {
        unranked = true;
        p.participants = options.participants;
      }
    }
    any_unnamed = any_unnamed || unnamed;
    any_unranked = any_unranked || unranked;
    std::vector<std::string> names;
    for (const Timed what : reading.could_be) names.emplace_back(text(what));
    const bool fits =
        !options.collective || std::find(reading.could_be.begin(), reading.could_be.end(),
                                         *options.collective) != reading.could_be.end();
    if (unnamed && !options.collective) {
      problems.add(
          "{}: does not name what it timed (nccl-tests does since v2.16.9), and its columns fit "
          "{}; "
          "say which with --collective",
          reading.file, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
    } else if (unnamed && !fits) {
      problems.add(
          "{}: --collective {}: the columns and busbw / algbw of this log fit {}", reading.file,
          text(*options.collective),
          names.empty() ? "no collective" : fmt::format("{} only", fmt::join(names, ", ")));
    }
    if (unranked && options.participants == 0) {
      problems.add("{}: no 'Rank' lines, so the number of GPUs is unknown; give --participants N",
                   reading.file);
    }
  }
  if (!problems.empty()) return;
  if (options.collective && !any_unnamed)
    problems.add("--collective {}: has no effect, each log says what it timed",
                 text(*options.collective));
  if (options.participants > 0 && !any_unranked)
    problems.add("--participants {}: has no effect, each log lists its ranks",
                 options.participants);
}

}  // namespace stagesim
