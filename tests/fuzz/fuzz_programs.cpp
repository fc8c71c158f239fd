// The bytes draw a random schedule and its costs; replay and the slow second engine must agree on
// the start and end of every op.

#include <algorithm>
#include <random>

#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tests/fuzz/fuzz_support.hpp"
#include "tests/support/random_program.hpp"

using namespace stagesim;
using fuzz::require;

namespace {

// One byte per limit, so that the fuzzer can move each alone; the rest is the seed.
struct Bytes {
  const std::uint8_t* next;
  const std::uint8_t* end;
  int take(int low, int high) {
    const int value = next == end ? 0 : *next++;
    return low + value % (high - low + 1);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes{data, data + size};
  test::RandomShape shape;
  shape.most_ranks = bytes.take(1, 6);
  shape.most_stages_per_rank = bytes.take(1, 3);
  shape.most_microbatches = bytes.take(1, 6);
  shape.most_windows = bytes.take(1, 3);
  shape.messages = bytes.take(0, 3) != 0;
  shape.several_pipelines = bytes.take(0, 1) == 1;
  std::seed_seq seed(bytes.next, bytes.end);
  std::mt19937 random(seed);

  const Schedule schedule = test::random_schedule(random, shape);
  require(schedule_problems(schedule).empty(), "a drawn schedule passes the rule check");
  const Costs costs = test::random_costs(random, schedule, shape);
  const Timeline fast = replay(lower(schedule, costs));
  if (schedule.shape.pipelines > 1) return 0;  // the slow engine knows one pipeline

  const std::vector<Span> slow = test::slow_replay(schedule, costs);
  std::size_t at = 0;
  for (int rank = 0; rank < schedule.shape.ranks; ++rank) {
    for (const TaskId task : order_of_rank(fast, rank)) {
      if (is_update_part(fast.what->op[task].kind)) continue;
      require(at < slow.size(), "both engines run the same ops");
      require(fast.start[task] == slow[at].start && fast.end[task] == slow[at].end,
              "both engines agree on start and end");
      ++at;
    }
    // Updates stand at the end of a rank's list and only replay splits them into parts.
    for (const Op& op : schedule.ops_of_rank[static_cast<std::size_t>(rank)]) {
      if (op.kind == OpKind::kUpdate) ++at;
    }
  }
  require(at == slow.size(), "both engines run the same ops");
  return 0;
}
