// Any bytes as a trace of the PyTorch profiler: read, or refused with a message; what was read of
// one rank is a timeline of the schedule that it is of, or refused.

#include <sstream>

#include "sim/bubble.hpp"
#include "tests/fuzz/fuzz_support.hpp"
#include "traces/kineto_import.hpp"

namespace {

stagesim::TimelineFile one_rank(int microbatches) {
  using namespace stagesim;
  TimelineFile file{.name = "fuzz", .schedule = "gpipe", .scenario = "{}"};
  file.batch = microbatches;
  Schedule& s = file.order;
  s.name = "gpipe";
  s.shape = {.ranks = 1,
             .stages = 1,
             .microbatches = microbatches,
             .window = microbatches,
             .rank_of_stage = {0}};
  s.ops_of_rank.resize(1);
  for (const OpKind kind : {OpKind::kForward, OpKind::kBackward})
    for (int m = 0; m < microbatches; ++m)
      s.ops_of_rank[0].push_back({.microbatch = m, .kind = kind});
  s.ops_of_rank[0].push_back({.kind = OpKind::kUpdate});
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stagesim;
  fuzz::refuse_or_run([&] {
    std::istringstream in(std::string(data, data + size));
    const std::vector<RankTrace> traces = read_kineto(in, "fuzz.json");
    for (const RankTrace& trace : traces)
      fuzz::require(!trace.ranges.empty(), "a trace has ranges");
    for (const int microbatches : {1, 2}) {
      fuzz::refuse_or_run([&] {
        const Timeline t = import_kineto(traces, one_rank(microbatches)).file.timeline;
        bubble(t, {IntervalKind::kWall});
        for (TaskId k = 0; k < t.what->size(); ++k)
          fuzz::require(t.end[k] >= t.start[k], "an op ends no earlier than it starts");
      });
    }
  });
  return 0;
}
