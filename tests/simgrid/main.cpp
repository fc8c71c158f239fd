// Every schedule and a few random programs of a fixed order, here and in SimGrid: ends of all
// tasks, makespans and how long either engine took. Exits 1 where they differ by more than rounding
// explains.
#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "schedules/table.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tests/simgrid/simgrid_replay.hpp"
#include "tests/support/random_program.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

struct Case {
  std::string name;
  bool shared = false;
};

Nanos draw(std::mt19937& random, int low, int high) {
  return Nanos{low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1))};
}

// Two nodes, every stage and message of another length, to whole nanoseconds.
Costs uneven_costs(std::mt19937& random, const Shape& shape, bool shared) {
  Costs costs;
  costs.links = {{.name = "within", .latency = Nanos{2'000}},
                 {.name = "between", .latency = Nanos{9'000}}};
  for (int s = 0; s < shape.stages; ++s) {
    StageCosts c;
    c.input_grad = draw(random, 900'000, 1'300'000);
    c.weight_grad = draw(random, 900'000, 1'300'000);
    c.forward = draw(random, 900'000, 1'300'000);
    c.backward = c.input_grad + c.weight_grad;
    c.reduce = draw(random, 100'000, 300'000);
    c.step = draw(random, 100'000, 300'000);
    c.broadcast = draw(random, 100'000, 300'000);
    costs.stages.push_back(c);
    const std::int64_t bytes = draw(random, 20'000'000, 40'000'000).count();
    costs.message_bytes.push_back(bytes);
    costs.links[0].transfer_time.push_back(Nanos{2'000 + bytes / 200});
    costs.links[1].transfer_time.push_back(Nanos{9'000 + bytes / 40});
  }
  costs.links[0].exchange_gb_per_s = 150;
  costs.ranks_per_node = std::max(1, shape.ranks / 2);
  costs.sharing = {.fair = shared, .gpus_per_node = costs.ranks_per_node, .nics_per_node = 1};
  return costs;
}

struct Ours {
  Timeline timeline;
  double seconds = 0;
};

Ours run_here(const Program& program) {
  Ours ours{replay(program)};  // not timed: a first run touches memory for the first time
  const auto began = std::chrono::steady_clock::now();
  ours.timeline = replay(program);
  ours.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return ours;
}

// Whether they agree; prints the row.
bool compare(const Case& c, const Program& program, const SimgridRun& theirs) {
  const Ours ours = run_here(program);
  const TaskId tasks = program.what->size();
  const auto messages = static_cast<double>(program.what->transfers.size());
  // Each start and each end of a message computes rates again, and rounds up to a nanosecond here.
  const double allowed_ns = c.shared ? 2 * messages : 0;
  double worst = 0, here = 0, there = 0;
  for (TaskId t = 0; t < tasks; ++t) {
    const auto end = static_cast<double>(ours.timeline.end[t].count());
    worst = std::max(worst, std::abs(end - theirs.end[t]));
    here = std::max(here, end);
    there = std::max(there, theirs.end[t]);
  }
  const bool good = worst <= allowed_ns + 1e-3;  // a thousandth, as printed
  fmt::print("{:<34} {:>6} {:>6} {:>14.3f} {:>14.3f} {:>10.3f} {:>8.0f} {:>9.1f}  {}\n", c.name,
             tasks, messages, here, there, worst, allowed_ns, theirs.seconds / ours.seconds,
             good ? "equal" : "DIFFERENT");
  return good;
}

}  // namespace

int main() {
  std::vector<Case> cases;
  std::vector<Program> programs;
  std::mt19937 random(20);
  for (const bool shared : {false, true}) {
    for (const ScheduleInfo& info : schedule_table()) {
      for (const int ranks : {4, 8}) {
        const Schedule s = make({std::string(info.name), ranks, 2 * ranks, 2});
        const Program program = lower(s, uneven_costs(random, s.shape, shared));
        if (program.dispatch != Dispatch::kFixed) continue;
        cases.push_back(
            {fmt::format("{} p={}{}", info.name, ranks, shared ? " shared" : ""), shared});
        programs.push_back(program);
      }
    }
    const Schedule large = make({"1f1b", 16, 1000});
    cases.push_back({fmt::format("1f1b p=16 m=1000{}", shared ? " shared" : ""), shared});
    programs.push_back(lower(large, uneven_costs(random, large.shape, shared)));
    for (int i = 0; i < 20; ++i) {
      const RandomShape limits{.most_ranks = 6, .several_pipelines = true};
      const Schedule s = random_schedule(random, limits);
      cases.push_back({fmt::format("random {}{}", i, shared ? " shared" : ""), shared});
      programs.push_back(lower(s, uneven_costs(random, s.shape, shared)));
    }
  }
  const std::vector<SimgridRun> theirs = run_in_simgrid(programs);
  fmt::print("{:<34} {:>6} {:>6} {:>14} {:>14} {:>10} {:>8} {:>9}\n", "program", "tasks", "sent",
             "here ns", "SimGrid ns", "worst ns", "allowed", "speed x");
  bool good = !cases.empty();
  for (std::size_t i = 0; i < cases.size(); ++i)
    good = compare(cases[i], programs[i], theirs[i]) && good;
  fmt::print(
      "worst ns: the largest difference of any task's end; speed x: SimGrid's time / ours\n");
  return good ? 0 : 1;
}
