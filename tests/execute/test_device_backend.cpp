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

namespace {

// A forward and an input gradient of two kernels each, a weight gradient and a step of one; larger
// with the stage.
std::vector<StageKernels> few_kernels(int stages) {
  std::vector<StageKernels> all;
  for (int s = 0; s < stages; ++s) {
    const double rows = 1024.0 * (s + 1);
    all.push_back({.forward = {gemm(rows, 2048, 1024), stream(4e6)},
                   .input_grad = {input_grad(rows, 2048, 1024), stream(6e6, KernelKind::kSoftmax)},
                   .weight_grad = {weight_grad(rows, 2048, 1024)},
                   .step = {stream(28e6, KernelKind::kAdam)}});
  }
  return all;
}

}  // namespace

TEST_CASE("a model's kernels: products in their sizes, the rest by what it moves",
          "[execute][device]") {
  const Kernel flash{.flops = 8e9, .bytes = 1e6, .kind = KernelKind::kFlashForward};
  const Kernel scores{.flops = 2.0 * 512 * 512 * 64 * 24,
                      .bytes = 1e6,
                      .kind = KernelKind::kBatchedMatmul,
                      .m = 512,
                      .n = 512,
                      .k = 64,
                      .batch = 24};
  const DeviceKernels kernels =
      device_kernels({gemm(100, 200, 300), flash, scores, stream(5e6, KernelKind::kNorm),
                      stream(5e6, KernelKind::kSoftmaxBackward), stream(56e6, KernelKind::kAdam)},
                     DType::kFp16);
  REQUIRE(kernels.size() == 6);
  CHECK(kernels[0].gemm.flops() == 2.0 * 100 * 200 * 300);
  CHECK(kernels[0].gemm.m == 100);
  CHECK(kernels[0].gemm.dtype == DType::kFp16);
  CHECK(kernels[1].gemm.flops() == Approx(8e9).epsilon(0.001));
  CHECK(kernels[2].gemm.batch == 24);
  CHECK(kernels[2].gemm.flops() == scores.flops);
  CHECK(kernels[3].kernel == MemoryKernel::kAdd);
  CHECK(kernels[3].bytes == 5'000'000);
  CHECK(kernels[4].kernel == MemoryKernel::kSoftmax);
  CHECK(kernels[5].kernel == MemoryKernel::kAdam);
}

TEST_CASE("a model's stages on a device in virtual time: as timed, so as predicted",
          "[execute][device]") {
  for (const char* name : {"1f1b", "zb-h1", "dualpipe", "amdp", "interleaved-1f1b"}) {
    INFO(name);
    const Schedule s = make({name, 4, 8, 2});
    Program program = lower(s, short_costs(s.shape));
    const auto stages = stage_work(few_kernels(s.shape.stages), DType::kBf16);
    FakeDevice device;
    program.duration = timed_durations(program, stages, device);
    device.reset();
    const auto backend = device_backend(program, device, DeviceWork::kModel, &stages);
    const Timeline measured = execute(program, *backend);
    const Timeline predicted = replay(program);
    CHECK(predicted.start == measured.start);
    CHECK(predicted.end == measured.end);
    // Products at a quarter of 500 TFLOP/s and 6 us, passes at 2500 GB/s and 2 us.
    const Activities& what = *measured.what;
    for (TaskId t = 0; t < what.size(); ++t) {
      const double product = 6 + 2.0 * 1024 * (what.op[t].stage + 1) * 2048 * 1024 / 125e6;
      const bool pair = what.op[t].pair != PairPart::kNone;
      const double us = static_cast<double>(measured.duration(t).count()) / 1e3;
      if (what.op[t].kind == OpKind::kForward && !pair)
        CHECK(us == Approx(product + 2 + 1.6).epsilon(1e-4));
      if (what.op[t].kind == OpKind::kBackward && !pair)
        CHECK(us == Approx(2 * product + 2 + 2.4).epsilon(1e-4));
      if (what.op[t].kind == OpKind::kStep) CHECK(us == Approx(2 + 11.2).epsilon(1e-4));
    }
  }
}
