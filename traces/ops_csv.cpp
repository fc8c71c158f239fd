#include "traces/ops_csv.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>

#include "sim/base/error.hpp"
#include "sim/bubble.hpp"
#include "sim/causes.hpp"
#include "traces/text_output.hpp"

namespace stagesim {
namespace {

class OpsWriter {
 public:
  OpsWriter(std::ostream& out, const Timeline& timeline, const Versions& versions)
      : output_(out, "op list"),
        timeline_(timeline),
        what_(*timeline.what),
        versions_(versions),
        causes_(timeline),
        forwards_(what_.shape.stages, what_.shape.microbatches),
        waits_(waits(timeline)) {
    for (TaskId t = 0; t < what_.size(); ++t) {
      if (what_.op[t].kind == OpKind::kForward) forwards_.insert(what_.op[t], t);
    }
    STAGESIM_CHECK(versions.version.size() == what_.size() && waits_.size() == what_.size());
  }

  void write() {
    output_.text() +=
        "kind,rank,pipeline,stage,microbatch,window,start_ns,end_ns,version,mismatch,delay,"
        "waited_for,waited_ns,after,peer_rank\n";
    for (int rank = 0; rank < what_.shape.ranks; ++rank) {
      for (const TaskId t : order_of_rank(timeline_, rank)) write_row(t);
    }
    for (TaskId t = 0; t < what_.size(); ++t) {
      if (is_transfer(what_.op[t].kind)) write_row(t);
    }
    output_.finish();
  }

 private:
  template <typename Format, typename... Args>
  void print(const Format& format, const Args&... args) {
    fmt::format_to(std::back_inserter(output_.text()), format, args...);
  }

  void write_row(TaskId t) {
    const Op& op = what_.op[t];
    const Lane& lane = what_.lanes[what_.lane[t]];
    print(FMT_COMPILE("{},{},{},{},"), text(op.kind), lane.from_rank, op.pipeline, op.stage);
    if (is_update_part(op.kind)) {
      print(FMT_COMPILE(",{}"), op.microbatch);  // of an update it is the window
    } else {
      print(FMT_COMPILE("{},"), op.microbatch);
      if (what_.shape.window > 0) print(FMT_COMPILE("{}"), op.microbatch / what_.shape.window);
    }
    print(FMT_COMPILE(",{},{},"), timeline_.start[t].count(), timeline_.end[t].count());
    if (versions_.version[t] >= 0) print(FMT_COMPILE("{}"), versions_.version[t]);
    write_lag(t);
    const Wait& wait = waits_[t];
    const bool waited = wait.length > Nanos(0);
    print(FMT_COMPILE(",{},{},"), waited ? text(wait.cause) : "", wait.length.count());
    if (const auto before = causes_.predecessor(t)) {
      const Op& freed_by = what_.op[*before];
      print(FMT_COMPILE("{}{}{}@{}"), freed_by.stage, text(freed_by.kind), freed_by.microbatch,
            freed_by.pipeline);
    }
    output_.text() += ',';
    if (is_transfer(op.kind)) print(FMT_COMPILE("{}"), lane.to_rank);
    output_.text() += '\n';
    output_.end_line();
  }

  // mismatch = version used - version read by F; delay = version applied to (the window) - version
  // read.
  void write_lag(TaskId t) {
    const Op& op = what_.op[t];
    const bool lags = is_gradient(op.kind) || op.kind == OpKind::kWeightGrad;
    Op forward = op;
    forward.kind = OpKind::kForward;
    const TaskId read = lags ? forwards_.find(forward) : OpIndex::kNone;
    if (read == OpIndex::kNone || what_.shape.window == 0) {
      output_.text() += ",,";
      return;
    }
    print(FMT_COMPILE(",{},{}"), versions_.version[t] - versions_.version[read],
          op.microbatch / what_.shape.window - versions_.version[read]);
  }

  TextOutput output_;
  const Timeline& timeline_;
  const Activities& what_;
  const Versions& versions_;
  const Causes causes_;
  OpIndex forwards_;  // by (stage, micro-batch)
  const std::vector<Wait> waits_;
};

}  // namespace

void write_ops_csv(std::ostream& out, const Timeline& timeline, const Versions& versions) {
  OpsWriter(out, timeline, versions).write();
}

}  // namespace stagesim
