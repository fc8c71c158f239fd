// The backend of a GPU on a device in virtual time: what it queues takes exactly the replay's
// times.

#include "tests/execute/short_costs.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"
#include "tools/device/fake_device.hpp"
#include "tools/execute/device_backend.hpp"
#include "tools/execute/dispatch.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

Timeline run_on(FakeDevice& device, const Program& program, DeviceWork work) {
  const auto backend = device_backend(program, device, work);
  return execute(program, *backend);
}

}  // namespace

TEST_CASE("spinning ops on a device in virtual time: the replay's times, for every schedule",
          "[execute][device]") {
  for (const ScheduleInfo& info : schedule_table()) {
    INFO(info.name);
    const Schedule s = make({std::string(info.name), 4, 8, 2});
    const Costs costs = short_costs(s.shape);
    const Program program = lower(fixed_order(s, costs), costs);
    const Timeline predicted = replay(program);
    FakeDevice device;
    const Timeline measured = run_on(device, program, DeviceWork::kSpin);
    CHECK(predicted.start == measured.start);
    CHECK(predicted.end == measured.end);
  }
}

TEST_CASE("blocking groups on a device in virtual time", "[execute][device]") {
  for (const char* name : {"gpipe", "1f1b", "amdp"}) {
    const Schedule s = make({name, 4, 8, 2});
    Costs costs = short_costs(s.shape);
    costs.comm = CommMode::kBlocking;
    const Program program = lower(s, costs);
    FakeDevice device;
    CHECK(replay(program).end == run_on(device, program, DeviceWork::kSpin).end);
  }
}

TEST_CASE("matrix products: as many as take the op's time on the rank's share",
          "[execute][device]") {
  const Schedule s = make({"gpipe", 4, 2});
  Costs costs = unit_costs(4, 1, 2);
  for (StageCosts& stage : costs.stages)
    stage = {.forward = Nanos{3'000'000}, .backward = Nanos{6'000'000}};
  const Program program = lower(s, costs);
  // 2 x 2048 x 2048 x 1024 FLOPs at a quarter of 500 TFLOP/s and 6 us: 23.180 us; 40 and 80 of
  // them.
  FakeDevice device;
  const Timeline measured = run_on(device, program, DeviceWork::kGemm);
  const Activities& what = *measured.what;
  for (TaskId t = 0; t < what.size(); ++t) {
    if (what.op[t].kind == OpKind::kForward) CHECK(measured.duration(t) == 129 * Nanos{23'180});
    if (what.op[t].kind == OpKind::kBackward) CHECK(measured.duration(t) == 259 * Nanos{23'180});
  }
}

TEST_CASE("an op shorter than a matrix product is refused", "[execute][device][errors]") {
  const Schedule s = make({"gpipe", 4, 2});
  const Program program = lower(s, unit_costs(4, 1, 2));
  FakeDevice device;
  CHECK_THROWS_WITH(
      run_on(device, program, DeviceWork::kGemm),
      "--work gemm: 0F0 takes 1.000 us, and one matrix product 23.180 us on the share of "
      "a rank; use --scale to make ops longer");
}
