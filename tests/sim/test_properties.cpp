// Every analysis against a second, slow and obvious computation on random programs. Times are small
// whole nanoseconds, so that "for every instant" is a loop.

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/dag_shortest_paths.hpp>
#include <map>

#include "sim/bubble.hpp"
#include "sim/critical_path.hpp"
#include "sim/dependencies.hpp"
#include "sim/lower.hpp"
#include "sim/memory.hpp"
#include "sim/replay.hpp"
#include "sim/versions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_program.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

constexpr int kRuns = 150;

// Longest path through the task graph by Boost.Graph; equals the replay when no link is contended.
std::vector<Nanos> longest_path_ends(const Program& program) {
  using Graph =
      boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property,
                            boost::property<boost::edge_weight_t, std::int64_t>>;
  const TaskId tasks = program.what->size();
  Graph graph(tasks + 1);  // the last vertex starts everything
  for (TaskId t = 0; t < tasks; ++t) {
    boost::add_edge(tasks, t, 0, graph);
    for (std::uint32_t i = program.first_next[t]; i < program.first_next[t + 1]; ++i) {
      boost::add_edge(t, program.next[i], -program.duration[t].count(), graph);
    }
  }
  std::vector<std::int64_t> distance(tasks + 1);
  boost::dag_shortest_paths(graph, tasks, boost::distance_map(distance.data()));
  std::vector<Nanos> ends;
  for (TaskId t = 0; t < tasks; ++t) ends.push_back(Nanos(-distance[t]) + program.duration[t]);
  return ends;
}

struct Case {
  Schedule schedule;
  Costs costs;
  Program program;
  Timeline timeline;
};

Case draw_case(unsigned seed, const RandomShape& shape) {
  std::mt19937 random(seed);
  Case c;
  c.schedule = random_schedule(random, shape);
  c.costs = random_costs(random, c.schedule, shape);
  c.program = lower(c.schedule, c.costs);
  c.timeline = replay(c.program);
  return c;
}

// The task of an op, found by looking at all of them.
TaskId find_task(const Timeline& t, int stage, int microbatch, std::vector<OpKind> kinds) {
  for (TaskId i = 0; i < t.what->size(); ++i) {
    const Op& op = t.what->op[i];
    for (const OpKind kind : kinds) {
      if (op.kind == kind && op.stage == stage && op.microbatch == microbatch) return i;
    }
  }
  return OpIndex::kNone;
}

}  // namespace

TEST_CASE("random schedules pass the rule check", "[property]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    std::mt19937 random(seed);
    CHECK(schedule_problems(random_schedule(random, {.several_pipelines = true})).empty());
  }
}

TEST_CASE("replay equals Boost.Graph's longest path where links are never contended",
          "[property][replay]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    const bool zero = seed % 2 == 0;
    Case c = draw_case(seed, {.several_pipelines = true, .zero_costs = zero, .messages = false});
    CHECK(c.timeline.end == longest_path_ends(c.program));
    // With latency only, messages never queue either.
    c.costs.links[0].transfer_time.clear();
    c.costs.links[0].latency = Nanos(5);
    c.program = lower(c.schedule, c.costs);
    CHECK(replay(c.program).end == longest_path_ends(c.program));
  }
}

TEST_CASE("replay equals a slow second engine where messages queue for links",
          "[property][replay]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    const Case c = draw_case(seed, {});
    const std::vector<Span> slow = slow_replay(c.schedule, c.costs);
    std::size_t next = 0;
    int different = 0;
    for (int r = 0; r < c.schedule.shape.ranks; ++r) {
      for (const TaskId t : order_of_rank(c.timeline, r)) {
        if (is_update_part(c.timeline.what->op[t].kind)) continue;
        different += c.timeline.start[t] != slow[next].start || c.timeline.end[t] != slow[next].end;
        ++next;
      }
      for (const Op& op : c.schedule.ops_of_rank[std::size_t(r)])
        next += op.kind == OpKind::kUpdate;
    }
    INFO("seed " << seed);
    CHECK(different == 0);
  }
}

TEST_CASE("a replay keeps every dependency, runs every op once, one at a time per rank and link",
          "[property][replay]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    const Case c = draw_case(seed, {.several_pipelines = true});
    const Timeline& t = c.timeline;
    int broken = 0;
    std::map<LaneId, std::vector<TaskId>> on_lane;
    for (TaskId i = 0; i < t.what->size(); ++i) {
      on_lane[t.what->lane[i]].push_back(i);
      for (const Dependency& d : dependencies(t.what->op[i], t.shape().stages)) {
        const TaskId before = find_task(t, d.op.stage, d.op.microbatch,
                                        d.op.kind == OpKind::kBackward
                                            ? std::vector{OpKind::kBackward, OpKind::kInputGrad}
                                            : std::vector{d.op.kind});
        broken += before == OpIndex::kNone || t.end[before] > t.start[i];
      }
    }
    for (auto& [lane, tasks] : on_lane) {
      if (lane == LaneId(t.shape().ranks)) continue;  // joins
      std::sort(tasks.begin(), tasks.end(), [&](TaskId a, TaskId b) {
        return std::make_pair(t.start[a], t.end[a]) < std::make_pair(t.start[b], t.end[b]);
      });
      for (std::size_t k = 1; k < tasks.size(); ++k)
        broken += t.end[tasks[k - 1]] - t.what->lanes[lane].latency > t.start[tasks[k]];
    }
    CHECK(broken == 0);
  }
}

TEST_CASE("doubling every duration doubles every start and end", "[property][replay]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    Case c = draw_case(seed, {.several_pipelines = true, .zero_costs = true});
    for (Nanos& d : c.program.duration) d *= 2;
    auto what = std::make_shared<Activities>(*c.program.what);
    for (Lane& lane : what->lanes) lane.latency *= 2;
    c.program.what = what;
    const Timeline doubled = replay(c.program);
    for (TaskId t = 0; t < what->size(); ++t) {
      if (doubled.start[t] != 2 * c.timeline.start[t] || doubled.end[t] != 2 * c.timeline.end[t])
        FAIL("task " << t << " seed " << seed);
    }
  }
}

TEST_CASE("bubble: idle and its cause at every single instant", "[property][bubble]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    const Case c = draw_case(seed, {});
    const Timeline& t = c.timeline;
    const Bubble b = bubble(t, {});
    const Span whole = wall(t);
    for (int r = 0; r < t.shape().ranks; ++r) {
      std::vector<TaskId> mine;
      for (TaskId i = 0; i < t.what->size(); ++i) {
        if (t.what->lane[i] == LaneId(r)) mine.push_back(i);
      }
      std::array<std::int64_t, kIdleCauses> expected{};
      std::int64_t busy = 0;
      for (Nanos now = whole.start; now < whole.end; ++now) {
        TaskId running = OpIndex::kNone, next = OpIndex::kNone;
        bool before = false;
        for (const TaskId i : mine) {
          if (t.start[i] <= now && now < t.end[i]) running = i;
          if (t.start[i] <= now) before = true;
          if (t.start[i] > now && (next == OpIndex::kNone || t.start[i] < t.start[next])) next = i;
        }
        const auto count = [&](IdleCause cause) { ++expected[std::size_t(cause)]; };
        if (running != OpIndex::kNone && is_busy(t.what->op[running].kind)) {
          ++busy;
        } else if (running != OpIndex::kNone) {
          count(IdleCause::kReduceBroadcast);
        } else if (!before) {
          count(next == OpIndex::kNone ? IdleCause::kDrain : IdleCause::kStartUp);
        } else if (next == OpIndex::kNone) {
          count(IdleCause::kDrain);
        } else {
          const Op& op = t.what->op[next];
          const bool forward = op.kind == OpKind::kForward;
          const TaskId producer =
              forward ? find_task(t, op.stage - 1, op.microbatch, {OpKind::kForward})
                      : find_task(t, op.stage + 1, op.microbatch,
                                  {OpKind::kBackward, OpKind::kInputGrad});
          const TaskId message = producer + 1;
          if (now < t.end[producer]) {
            count(forward ? IdleCause::kUpstreamForward : IdleCause::kDownstreamGradient);
          } else {
            count(now < t.start[message] ? IdleCause::kLinkShared : IdleCause::kTransfer);
          }
        }
      }
      const RankIdle& rank = b.ranks[std::size_t(r)];
      INFO("seed " << seed << " rank " << r);
      CHECK(rank.busy.count() == busy);
      CHECK(rank.busy + rank.idle == whole.length());
      for (std::size_t k = 0; k < kIdleCauses; ++k) CHECK(rank.by_cause[k].count() == expected[k]);
    }
  }
}

TEST_CASE("memory: what is held at every single instant", "[property][memory]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    Case c = draw_case(seed, {.several_pipelines = true});
    const Timeline& t = c.timeline;
    std::mt19937 random(seed);
    std::uniform_int_distribution<std::int64_t> size(0, 20);
    MemoryInputs inputs;
    for (int s = 0; s < t.shape().stages; ++s) {
      StageBytes bytes{.activation = 20 + size(random),
                       .activation_after_i = size(random),
                       .weights = size(random),
                       .gradients = size(random),
                       .optimizer = size(random)};
      inputs.stages.push_back(bytes);
    }
    for (std::size_t i = 0; i < t.shape().rank_of_stage.size(); ++i)
      inputs.weight_copies.push_back(1 + int(i % 3));
    const std::vector<RankMemory> result = memory(t, inputs);
    for (int r = 0; r < t.shape().ranks; ++r) {
      std::int64_t resting = 0, peak = 0;
      for (int p = 0; p < t.shape().pipelines; ++p) {
        for (int s = 0; s < t.shape().stages; ++s) {
          if (t.shape().rank_of(p, s) != r) continue;
          const StageBytes& bytes = inputs.stages[std::size_t(s)];
          resting += bytes.weights * inputs.weight_copies[std::size_t(p * t.shape().stages + s)] +
                     bytes.gradients + bytes.optimizer;
        }
      }
      int most = 0;
      for (Nanos now = wall(t).start; now <= wall(t).end; ++now) {
        std::int64_t held = resting;
        int activations = 0;
        for (TaskId i = 0; i < t.what->size(); ++i) {
          const Op& op = t.what->op[i];
          if (op.kind == OpKind::kForward && t.what->lane[i] == LaneId(r) && t.start[i] <= now) {
            const StageBytes& bytes = inputs.stages[op.stage];
            const TaskId gradient =
                find_task(t, op.stage, op.microbatch, {OpKind::kBackward, OpKind::kInputGrad});
            const TaskId weight = find_task(t, op.stage, op.microbatch, {OpKind::kWeightGrad});
            if (now < t.end[gradient]) {
              held += bytes.activation;
              ++activations;
            } else if (weight != OpIndex::kNone && now < t.end[weight]) {
              held += bytes.activation_after_i;
              ++activations;
            }
          }
          if (is_transfer(op.kind) && t.what->lanes[t.what->lane[i]].to_rank == r) {
            const Op& producer = op;
            const bool forward = producer.kind == OpKind::kSendForward;
            const TaskId consumer =
                forward ? find_task(t, op.stage + 1, op.microbatch, {OpKind::kForward})
                        : find_task(t, op.stage - 1, op.microbatch,
                                    {OpKind::kBackward, OpKind::kInputGrad});
            const int boundary = forward ? op.stage : op.stage - 1;
            if (t.start[i] <= now && now < t.end[consumer])
              held += c.costs.message_bytes[std::size_t(boundary)];
          }
        }
        peak = std::max(peak, held);
        most = std::max(most, activations);
      }
      INFO("seed " << seed << " rank " << r);
      CHECK(result[std::size_t(r)].peak == peak);
      CHECK(result[std::size_t(r)].resting == resting);
      CHECK(result[std::size_t(r)].peak_activations == most);
      const auto samples = memory_over_time(t, inputs)[std::size_t(r)];
      std::int64_t highest = 0;
      for (const MemorySample& sample : samples) highest = std::max(highest, sample.bytes);
      CHECK(highest == peak);
      CHECK(samples.back().bytes == resting);
      std::int64_t sum = 0;
      for (const std::int64_t part : result[std::size_t(r)].at_peak) sum += part;
      CHECK(sum == peak);
    }
  }
}

TEST_CASE("versions: count the updates that ended before", "[property][versions]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    const Case c = draw_case(seed, {.several_pipelines = true});
    const Timeline& t = c.timeline;
    const Versions v = versions(t);
    for (TaskId i = 0; i < t.what->size(); ++i) {
      const Op& op = t.what->op[i];
      if (op.kind != OpKind::kForward && !is_gradient(op.kind)) continue;
      int done = 0;
      for (TaskId u = 0; u < t.what->size(); ++u) {
        const Op& update = t.what->op[u];
        done += update.kind == OpKind::kStep && update.stage == op.stage &&
                update.pipeline == op.pipeline && t.end[u] <= t.start[i];
      }
      CHECK(v.version[i] == done);
    }
  }
}

TEST_CASE("the critical path is a chain of real waits as long as the wall",
          "[property][critical_path]") {
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    const Case c = draw_case(seed, {.several_pipelines = true, .zero_costs = seed % 2 == 0});
    const CriticalPath path = critical_path(c.timeline);
    INFO("seed " << seed);
    CHECK(path.length == wall(c.timeline).length());
    CHECK(path.waiting == Nanos{0});
    Nanos sum{0};
    for (const Nanos part : path.by_kind) sum += part;
    CHECK(sum == path.length);
    for (std::size_t i = 1; i < path.tasks.size(); ++i) {
      const TaskId a = path.tasks[i - 1], b = path.tasks[i];
      const bool same_lane = c.timeline.what->lane[a] == c.timeline.what->lane[b];
      // Directly, or through the join where a collective's partners meet.
      bool edge = same_lane;
      for (std::uint32_t k = c.program.first_next[a]; k < c.program.first_next[a + 1]; ++k) {
        const TaskId next = c.program.next[k];
        edge = edge || next == b;
        if (c.timeline.what->op[next].kind != OpKind::kJoin) continue;
        for (std::uint32_t j = c.program.first_next[next]; j < c.program.first_next[next + 1]; ++j)
          edge = edge || c.program.next[j] == b;
      }
      CHECK(edge);
    }
  }
}
