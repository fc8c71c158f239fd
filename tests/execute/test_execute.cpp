#include <thread>

#include "sim/memory.hpp"
#include "sim/versions.hpp"
#include "tests/execute/short_costs.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"
#include "tools/execute/cpu_backend.hpp"
#include "tools/execute/dispatch.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

Timeline sleep_through(const Program& program, const DispatchOptions& options = {}) {
  const auto backend = cpu_backend(program);
  return execute(program, *backend, options);
}

void check_same_answers(const Timeline& predicted, const Timeline& measured) {
  CHECK(versions(predicted).version == versions(measured).version);
  const Shape& shape = predicted.shape();
  const MemoryInputs inputs{
      .stages = std::vector<StageBytes>(std::size_t(shape.stages), {.activation = 1}),
      .weight_copies = std::vector<int>(shape.rank_of_stage.size(), 1)};
  const auto there = memory(predicted, inputs), here = memory(measured, inputs);
  for (std::size_t r = 0; r < there.size(); ++r) {
    CHECK(order_of_rank(predicted, int(r)) == order_of_rank(measured, int(r)));
    CHECK(there[r].peak_activations == here[r].peak_activations);
  }
}

}  // namespace

TEST_CASE("8 ranks run every schedule in the order, versions and peaks of the prediction",
          "[execute]") {
  for (const ScheduleInfo& info : schedule_table()) {
    INFO(info.name);
    const Schedule s = make({std::string(info.name), 8, 16, 2});
    const Costs costs = short_costs(s.shape);
    const Program program = lower(fixed_order(s, costs), costs);
    const Timeline measured = sleep_through(program);
    check_measured(program, measured);
    check_same_answers(replay(program), measured);
  }
}

TEST_CASE("blocking groups run as they are predicted", "[execute]") {
  for (const char* name : {"gpipe", "1f1b", "amdp", "pipedream-2bw"}) {
    const Schedule s = make({name, 4, 8, 2});
    Costs costs = short_costs(s.shape);
    costs.comm = CommMode::kBlocking;
    const Program program = lower(s, costs);
    const Timeline measured = sleep_through(program);
    check_measured(program, measured);
    check_same_answers(replay(program), measured);
  }
}

TEST_CASE("one rank and one micro-batch, no more ranks than ops", "[execute]") {
  for (const int ranks : {1, 2, 5}) {
    const Schedule s = make({"1f1b", ranks, 1});
    const Program program = lower(s, short_costs(s.shape));
    check_same_answers(replay(program), sleep_through(program));
  }
}

TEST_CASE("the watchdog answers a hang with its cycle", "[execute][errors]") {
  const Schedule s = parse_schedule(
      "# c ranks=2 stages=2 pipelines=1 microbatches=2 window=2 rule=flush optimizer=replicated\n"
      "# rank of each stage: 0 1\n0F0 0B0 0F1 0B1 0U0\n1F1 1B1 1F0 1B0 1U0\n",
      "c.txt");
  const Program program = lower(s, short_costs(s.shape));
  CHECK_THROWS_WITH(
      sleep_through(program, {.watchdog = std::chrono::milliseconds(200)}),
      "no op ended for 0.201 s; 0B0 on rank 0, which waits for 1SEND_B0 from rank 1 to 0, which "
      "waits for 1B0 on rank 1, which waits for 1F0 on rank 1, which waits for 1B1 on rank 1, "
      "which waits for 1F1 on rank 1, which waits for 0SEND_F1 from rank 0 to 1, which waits for "
      "0F1 on rank 0, which waits for 0B0 on rank 0");
}

namespace {

// Fails, or never returns until it is stopped, on one task.
class PlantedBackend : public Backend {
 public:
  PlantedBackend(TaskId task, bool fails) : task_(task), fails_(fails) {}
  void begin_rank(int) override {}
  void finish_rank(int) override {}
  void compute(TaskId t, const std::vector<TaskId>&) override {
    if (t != task_) return;
    if (fails_) throw InputError("device lost");
    while (!stopped_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  void transfer(TaskId, const std::vector<TaskId>&) override {}
  void stop() override { stopped_ = true; }
  Span measured(TaskId) const override { return {}; }

 private:
  TaskId task_;
  bool fails_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace

TEST_CASE("an op that never ends is named, an error of one rank ends all and comes out",
          "[execute][errors]") {
  const Schedule s = make({"gpipe", 3, 2});
  const Program program = lower(s, unit_costs(3, 1, 2));
  TaskId second = program.what->first_of_rank[1];
  PlantedBackend stuck(second, false);
  CHECK_THROWS_WITH(execute(program, stuck, {.watchdog = std::chrono::milliseconds(100)}),
                    "no op ended for 0.101 s; 1F0 on rank 1 has begun and not ended");
  PlantedBackend broken(second, true);
  CHECK_THROWS_WITH(execute(program, broken), "device lost");
}

TEST_CASE("a cancelled run stops", "[execute]") {
  const Schedule s = make({"gpipe", 3, 2});
  const Program program = lower(s, unit_costs(3, 1, 2));
  PlantedBackend stuck(program.what->first_of_rank[1], false);
  const std::atomic<bool> cancelled = true;
  CHECK_THROWS_AS(execute(program, stuck, {.cancelled = &cancelled}), Cancelled);
}
