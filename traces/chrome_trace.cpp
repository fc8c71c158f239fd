#include "traces/chrome_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "traces/link_tracks.hpp"
#include "traces/trace_events.hpp"

namespace stagesim {
namespace {

constexpr int kComputeTid = 1, kOptimizerTid = 2, kFirstLinkTid = 10;

struct VersionStep {
  Nanos at{};
  std::int32_t version = 0;
};

class TraceWriter {
 public:
  TraceWriter(std::ostream& out, const Timeline& timeline, const Versions& versions,
              const MemoryInputs& memory, const ChromeTraceOptions& options)
      : events_(out),
        timeline_(timeline),
        what_(*timeline.what),
        versions_(versions),
        memory_(memory),
        options_(options),
        rank_digits_(std::max(std::size_t{2}, std::to_string(what_.shape.ranks - 1).size())) {
    STAGESIM_CHECK(versions.version.size() == what_.size());
    if (options_.counters && !memory_.stages.empty()) held_ = memory_over_time(timeline_, memory_);
  }

  ChromeTraceStats write() {
    for (int rank = 0; rank < what_.shape.ranks; ++rank) {
      const std::vector<TaskId> order = order_of_rank(timeline_, rank);
      write_ops(rank, order);
      if (options_.transfers) write_transfers(rank);
      write_flows(rank);
      if (!options_.counters) continue;
      if (!held_.empty()) write_memory(rank);
      write_version_steps(rank, order);
    }
    stats_.bytes = events_.finish(options_.title);
    return stats_;
  }

 private:
  // Zero-padded, because many viewers sort by name (google/perfetto#555).
  std::string rank_name(int rank) const { return fmt::format("rank {:0{}}", rank, rank_digits_); }

  TraceRow row(TaskId op) const {
    return {.pid = what_.lanes[what_.lane[op]].from_rank + 1,
            .tid = is_update_part(what_.op[op].kind) ? kOptimizerTid : kComputeTid};
  }
  // A zero-length update part is bookkeeping; any other op may be where a message starts or ends.
  bool has_slice(TaskId op) const {
    return row(op).tid == kComputeTid || timeline_.duration(op) > Nanos(0);
  }

  void write_slice(TraceRow where, TaskId t, std::optional<std::int64_t> bytes = {}) {
    const bool compute = where.tid == kComputeTid, several = what_.shape.pipelines > 1;
    events_.slice(where, timeline_.start[t], timeline_.duration(t),
                  {.op = what_.op[t],
                   .name_stage = compute && what_.shape.stages > what_.shape.ranks,
                   .name_pipeline = compute && several,
                   .several_pipelines = several,
                   .version = versions_.version[t],
                   .bytes = bytes});
    ++stats_.slices;
  }

  void write_ops(int rank, const std::vector<TaskId>& order) {
    const int pid = rank + 1;
    events_.process(pid, rank_name(rank), rank);
    events_.track({pid, kComputeTid}, "compute");
    if (std::any_of(order.begin(), order.end(),
                    [&](TaskId t) { return row(t).tid == kOptimizerTid && has_slice(t); })) {
      events_.track({pid, kOptimizerTid}, "optimizer");
    }
    for (const TaskId t : order) {
      if (has_slice(t)) write_slice(row(t), t);
    }
  }

  void write_transfers(int rank) {
    const LinkTracks links = link_tracks(timeline_, rank, first_transfer_);
    const auto where = [&](std::size_t track) {
      return TraceRow{rank + 1, kFirstLinkTid + static_cast<int>(track)};
    };
    for (std::size_t i = 0; i < links.tracks.size(); ++i) {
      const LinkTracks::Track& track = links.tracks[i];
      const std::string name = "to " + rank_name(track.to_rank);
      events_.track(where(i), track.nth == 1 ? name : fmt::format("{} ({})", name, track.nth));
    }
    for (const LinkTracks::Slice& s : links.slices) {
      write_slice(where(s.track), s.task, what_.transfers[s.transfer].bytes);
    }
  }

  // A flow binds to the slice that is open at its time, and a slice is closed at its very end
  // (google/perfetto#1460).
  void write_flows(int rank) {
    const auto r = static_cast<std::size_t>(rank);
    for (TaskId t = what_.first_of_rank[r]; t < what_.first_of_rank[r + 1]; ++t) {
      if (!is_transfer(what_.op[t].kind)) continue;
      const auto [from, to, bytes] = what_.transfers[first_transfer_++];
      if (!options_.flows) continue;
      const Nanos leaves = std::max(timeline_.start[from], timeline_.end[from] - Nanos(1));
      events_.flow_start(row(from), leaves, t, what_.op[t]);
      events_.flow_end(row(to), timeline_.start[to], t, what_.op[t]);
      ++stats_.flows;
    }
  }

  void write_counter(int rank, Nanos at, std::string_view name, std::string_view unit,
                     double value) {
    events_.counter(rank + 1, at, name, unit, value);
    ++stats_.counters;
  }

  void write_memory(int rank) {
    std::optional<std::int64_t> before;
    for (const MemorySample& sample : held_[static_cast<std::size_t>(rank)]) {
      if (sample.bytes == before) continue;
      before = sample.bytes;
      write_counter(rank, sample.at, "memory (GiB)", "GiB",
                    static_cast<double>(sample.bytes) / (1 << 30));
    }
  }

  // Each replica of a stage that the rank hosts has a new version when the last part of an update
  // of it ends here.
  void write_version_steps(int rank, const std::vector<TaskId>& order) {
    const Shape& shape = what_.shape;
    std::map<std::pair<int, int>, std::map<int, VersionStep>> steps;  // replica, window
    for (int pipeline = 0; pipeline < shape.pipelines; ++pipeline) {
      for (int stage = 0; stage < shape.stages; ++stage) {
        if (shape.rank_of(pipeline, stage) == rank) steps[{pipeline, stage}];
      }
    }
    for (const TaskId t : order) {
      const Op& op = what_.op[t];
      const auto replica = steps.find({op.pipeline, op.stage});
      // The barrier is before the step and belongs to the rank.
      if (!is_update_part(op.kind) || op.kind == OpKind::kBarrier || replica == steps.end())
        continue;
      replica->second[op.microbatch] = {timeline_.end[t], versions_.version[t] + 1};
    }
    for (const auto& [replica, windows] : steps) {
      const auto [pipeline, stage] = replica;
      const std::string name = shape.pipelines > 1 ? fmt::format("version s{}@{}", stage, pipeline)
                                                   : fmt::format("version s{}", stage);
      std::vector<VersionStep> samples{{}};
      for (const auto& [window, step] : windows) {
        if (samples.back().at == step.at) samples.pop_back();  // one per instant
        samples.push_back(step);
      }
      for (const VersionStep& sample : samples) {
        write_counter(rank, sample.at, name, "version", sample.version);
      }
    }
  }

  TraceEvents events_;
  const Timeline& timeline_;
  const Activities& what_;
  const Versions& versions_;
  const MemoryInputs& memory_;
  const ChromeTraceOptions& options_;
  const std::size_t rank_digits_;
  std::vector<std::vector<MemorySample>> held_;  // by rank; empty without counters
  std::uint32_t first_transfer_ = 0;             // of the rank at hand
  ChromeTraceStats stats_;
};

}  // namespace

ChromeTraceStats write_chrome_trace(std::ostream& out, const Timeline& timeline,
                                    const Versions& versions, const MemoryInputs& memory,
                                    const ChromeTraceOptions& options) {
  return TraceWriter(out, timeline, versions, memory, options).write();
}

}  // namespace stagesim
