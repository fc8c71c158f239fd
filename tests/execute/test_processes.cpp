#include "tests/execute/short_costs.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"
#include "tests/support/thread_processes.hpp"
#include "tools/execute/cpu_backend.hpp"
#include "tools/execute/dispatch.hpp"
#include "tools/execute/notices.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// What process 0 measured in the last of `runs` runs; the others measure nothing.
Timeline run_in_processes(const Program& program, int processes, int runs) {
  Timeline measured;
  std::atomic<int> empty = 0;
  ThreadProcesses(processes).run([&](Processes& mine) {
    for (int run = 0; run < runs; ++run) {
      const auto backend = cpu_backend(program, CpuWork::kSleep, common_start(mine));
      Timeline timeline = execute(program, *backend, {.processes = &mine});
      if (mine.rank() == 0)
        measured = std::move(timeline);
      else if (timeline.start.empty())
        ++empty;
    }
  });
  CHECK(empty == (processes - 1) * runs);
  REQUIRE(measured.start.size() == program.what->size());
  return measured;
}

}  // namespace

TEST_CASE("ranks of several processes keep every edge of every schedule", "[execute][processes]") {
  for (const ScheduleInfo& info : schedule_table()) {
    INFO(info.name);
    const Schedule s = make({std::string(info.name), 8, 16, 2});
    const Costs costs = short_costs(s.shape);
    const Program program = lower(fixed_order(s, costs), costs);
    const Timeline measured = run_in_processes(program, 4, 1);
    check_measured(program, measured);
    const Timeline predicted = replay(program);
    for (int r = 0; r < 8; ++r) CHECK(order_of_rank(measured, r) == order_of_rank(predicted, r));
  }
}

TEST_CASE("processes that share the ranks unevenly, runs after each other, blocking groups",
          "[execute][processes]") {
  for (const int processes : {2, 3, 8}) {
    const Schedule s = make({"amdp", 8, 16, 2});
    Costs costs = short_costs(s.shape);
    costs.comm = CommMode::kBlocking;
    const Program program = lower(s, costs);
    check_measured(program, run_in_processes(program, processes, 5));
  }
}

TEST_CASE("more processes than ranks are refused", "[execute][processes][errors]") {
  const Schedule s = make({"gpipe", 2, 2});
  const Program program = lower(s, short_costs(s.shape));
  std::atomic<int> refused = 0;
  ThreadProcesses(3).run([&](Processes& mine) {
    const auto backend = cpu_backend(program);
    try {
      execute(program, *backend, {.processes = &mine});
    } catch (const InputError& error) {
      if (std::string(error.what()) == "3 processes for 2 ranks: start at most one for each rank")
        ++refused;
    }
  });
  CHECK(refused == 3);
}

TEST_CASE("a hang over processes is told by process 0 with its cycle, the others stop",
          "[execute][processes][errors]") {
  const Schedule s = parse_schedule(
      "# c ranks=2 stages=2 pipelines=1 microbatches=2 window=2 rule=flush optimizer=replicated\n"
      "# rank of each stage: 0 1\n0F0 0B0 0F1 0B1 0U0\n1F1 1B1 1F0 1B0 1U0\n",
      "c.txt");
  const Program program = lower(s, short_costs(s.shape));
  std::string hang;
  std::atomic<int> stopped = 0;
  ThreadProcesses(2).run([&](Processes& mine) {
    const auto backend = cpu_backend(program);
    try {
      execute(program, *backend, {.watchdog = std::chrono::milliseconds(300), .processes = &mine});
    } catch (const HangError& error) {
      hang = error.what();
    } catch (const Cancelled&) {
      ++stopped;
    }
  });
  CHECK_THAT(hang, contains("0B0 on rank 0, which waits for 1SEND_B0 from rank 1 to 0"));
  CHECK_THAT(hang, contains("which waits for 0F1 on rank 0, which waits for 0B0 on rank 0"));
  CHECK(stopped == 1);
}

namespace {

// Sleeps nowhere, and loses its device at one task.
class BrokenBackend : public Backend {
 public:
  explicit BrokenBackend(TaskId broken) : broken_(broken) {}
  void begin_rank(int) override {}
  void finish_rank(int) override {}
  void compute(TaskId t, const std::vector<TaskId>&) override {
    if (t == broken_) throw InputError("device lost");
  }
  void transfer(TaskId, const std::vector<TaskId>&) override {}
  void happened_elsewhere(TaskId, Span) override {}
  void stop() override {}
  Span measured(TaskId) const override { return {}; }

 private:
  TaskId broken_;
};

}  // namespace

TEST_CASE("an error in one process ends all, and process 0 says whose it was",
          "[execute][processes][errors]") {
  const Schedule s = make({"gpipe", 3, 2});
  const Program program = lower(s, unit_costs(3, 1, 2));
  std::vector<std::string> said(3);
  ThreadProcesses(3).run([&](Processes& mine) {
    BrokenBackend backend(program.what->first_of_rank[1]);
    try {
      execute(program, backend, {.processes = &mine});
    } catch (const std::exception& error) {
      said[std::size_t(mine.rank())] = error.what();
    }
  });
  CHECK(said[0] == "process 1: device lost");
  CHECK(said[1] == "device lost");
  CHECK(said[2] == "stopped by process 0");
}
