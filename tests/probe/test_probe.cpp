// The probe on a device whose law is known: what it measures, and what calibrate makes of it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "hwmodels/fit/calibration.hpp"
#include "hwmodels/profile_writer.hpp"
#include "tests/support/catch.hpp"
#include "tools/device/fake_device.hpp"
#include "tools/device/fake_group.hpp"
#include "tools/probe/measure.hpp"
#include "tools/probe/run_probe.hpp"

using namespace stagesim;

namespace {

nlohmann::ordered_json probed(FakeDevice& device, const std::vector<std::string>& parts,
                              double budget_s = 100, FakeGroup* group = nullptr) {
  const int gpus = group != nullptr ? group->size() : 1;
  return run_probe(device, probe_plan(parts, {}, 1, device.info(), gpus),
                   {.group = group, .budget_s = budget_s, .release = "test"});
}

LogReading reading_of(const nlohmann::ordered_json& result) {
  return read_log(result.dump(), "probe.json");
}

std::size_t lines_with(const nlohmann::ordered_json& result, const std::string& text) {
  std::size_t lines = 0;
  for (const auto& line : result["left_out"])
    lines += line.get<std::string>().find(text) != std::string::npos ? 1 : 0;
  return lines;
}

// Works 1 us longer each time it is asked, for ever.
class RestlessDevice : public FakeDevice {
 public:
  void nothing(StreamId stream) override { spin(stream, Nanos{1000 * ++calls_}); }

 private:
  int calls_ = 0;
};

}  // namespace

TEST_CASE("a measurement is the device's law, with as many rounds as it takes to agree",
          "[probe]") {
  FakeDevice device({.gemm_us = 5, .gemm_tflops = 400});
  const StreamId stream = device.add_stream(0, 1);
  const Gemm gemm{.dtype = DType::kBf16, .m = 1000, .n = 1000, .k = 2000};
  const Measurement m = measure(device, stream, [&] { device.multiply(stream, gemm); });
  CHECK(m.us == Approx(5 + 10));  // 4e9 FLOPs at 400 TFLOP/s
  CHECK(m.spread == 0);
  CHECK(m.rounds == kFewestRounds);
  CHECK(m.repetitions == 500);
  const Gemm large{.dtype = DType::kBf16, .m = 10000, .n = 10000, .k = 2000};
  const Measurement l = measure(device, stream, [&] { device.multiply(stream, large); });
  CHECK(l.us == Approx(5 + 1000));
  CHECK(l.repetitions == 9);  // in 10 ms
}

TEST_CASE("what never settles is measured often and says how far it is from settled", "[probe]") {
  RestlessDevice device;
  const StreamId stream = device.add_stream(0, 1);
  const Measurement m = measure(device, stream, [&] { device.nothing(stream); });
  CHECK(m.rounds == kMostRounds);
  CHECK(m.spread > kStable);
}

TEST_CASE("calibrate finds the law of the device that was probed", "[probe][calibrate]") {
  const FakeLaw law{.gemm_us = 6, .gemm_tflops = 600, .memory_us = 1, .memory_gb_per_s = 2500};
  FakeDevice device(law);
  const nlohmann::ordered_json result = probed(device, probe_parts());
  const LogReading reading = reading_of(result);
  REQUIRE(reading.problems.empty());
  CHECK(reading.skipped == 0);
  CHECK(reading.own_probe);

  Problems problems;
  const auto gemms = measured_gemms({reading}, {}, {.tflops = 1000, .gb_per_s = 3000}, problems);
  REQUIRE(problems.empty());
  REQUIRE(gemms);
  CHECK(gemms->dtype == "bf16");
  CHECK(gemms->fit.roofline.efficiency == Approx(0.6).epsilon(0.01));
  CHECK(gemms->fit.roofline.offset_us == Approx(6).epsilon(0.02));
  CHECK(gemms->fit.held_out.median < 0.005);
  CHECK(gemms->from == Provenance::kMeasured);

  GpuProfile gpu;
  gpu.memory_gb_per_s.value = 3000;
  REQUIRE(update_memory(gpu, {reading}));
  CHECK(gpu.memory_efficiency.value == Approx(2500.0 / 3000).epsilon(0.001));
  CHECK(gpu.memory_efficiency.from == Provenance::kMeasured);
  REQUIRE(gpu.kernel_efficiency[std::size_t(KernelKind::kAdam)]);
  CHECK(gpu.kernel_efficiency[std::size_t(KernelKind::kAdam)]->value ==
        Approx(2500.0 / 3000).epsilon(0.001));
}

TEST_CASE("a noisy device: the fit is within its noise", "[probe][calibrate]") {
  FakeDevice device({.gemm_us = 6, .gemm_tflops = 600, .noise = 0.06});
  Problems problems;
  const auto gemms = measured_gemms({reading_of(probed(device, {"gemm"}))}, {},
                                    {.tflops = 1000, .gb_per_s = 3000}, problems);
  REQUIRE(gemms);
  // Uniform between the law and 6 % above it: 3 % slower in the mean.
  CHECK(gemms->fit.roofline.efficiency == Approx(0.6 / 1.03).epsilon(0.01));
}

TEST_CASE("copies and work side by side have both times", "[probe]") {
  FakeDevice device;
  const nlohmann::ordered_json result = probed(device, {"overlap", "launch"});
  REQUIRE(result["overlap"].size() == 4);
  for (const auto& row : result["overlap"]) {  // streams of the fake device do not slow each other
    CHECK(row["work_beside_us"].get<double>() == Approx(row["work_alone_us"].get<double>()));
    CHECK(row["copy_beside_us"].get<double>() == Approx(row["copy_alone_us"].get<double>()));
  }
  CHECK(result["launch"]["queued_empty_kernel"]["us"].get<double>() == Approx(4));
  CHECK(result["launch"]["kernel_issue"]["us"].get<double>() > 0);
}

TEST_CASE("several GPUs: calibrate finds the law of every operation between them",
          "[probe][calibrate]") {
  FakeDevice device;
  FakeGroup group({.gpus = 8, .latency_us = 10, .gb_per_s = 250});
  const nlohmann::ordered_json result = probed(device, {"collectives"}, 100, &group);
  CHECK(result["device"]["nccl"] == "0.0.0");
  CHECK(group.queued() == 0);
  const LogReading reading = reading_of(result);
  REQUIRE(reading.problems.empty());
  Problems problems;
  const std::vector<MeasuredCurve> curves = measured_curves({reading}, problems);
  REQUIRE(problems.empty());
  CHECK(curves.size() == 2 + 6 * 3);  // messages; collectives of 2, 4 and 8
  LinkProfile link;
  update_link(link, curves, {}, problems);
  REQUIRE(problems.empty());
  CHECK(link.microseconds(1 << 20) == Approx(10 + (1 << 20) / 250e3));
  CHECK(link.from == Provenance::kMeasured);
  const auto all_reduce = std::find_if(curves.begin(), curves.end(), [](const MeasuredCurve& c) {
    return c.name() == "all_reduce, 8 GPUs";
  });
  REQUIRE(all_reduce != curves.end());
  CHECK(all_reduce->clean.points.back().second == Approx(10 + 1.75 * (1 << 30) / 250e3));
}

TEST_CASE("work beside messages and collectives, with several GPUs", "[probe]") {
  FakeDevice device;
  FakeGroup group;
  const nlohmann::ordered_json result = probed(device, {"overlap"}, 100, &group);
  REQUIRE(result["overlap"].size() == 8);
  int grouped = 0;
  for (const auto& row : result["overlap"]) {
    grouped += row.contains("op") ? 1 : 0;
    CHECK(row["work_beside_us"].get<double>() == Approx(row["work_alone_us"].get<double>()));
    CHECK(row["copy_beside_us"].get<double>() == Approx(row["copy_alone_us"].get<double>()));
  }
  CHECK(grouped == 4);
  CHECK(group.queued() == 0);
}

TEST_CASE("attention without a fused kernel: both products and the softmax, for calibrate",
          "[probe][calibrate]") {
  // So fast at products that only bytes would count, if it were a real one.
  const FakeLaw law{.gemm_us = 0, .gemm_tflops = 100, .memory_us = 0, .memory_gb_per_s = 2000};
  FakeDevice device(law);
  const nlohmann::ordered_json result = probed(device, {"attention"});
  REQUIRE(result["attention"].size() == 2 * 4 * 3);
  const auto& row = result["attention"][0];  // 32 heads of 64 over 1024 tokens
  CHECK(row["us"].get<double>() == Approx(2.0 * 1024 * 1024 * 64 * 32 / 100e6));
  CHECK(row["bytes"].get<double>() == 2.0 * 32 * (1024 * 1024 + 2 * 1024 * 64));
  CHECK(result["attention"][1]["us"].get<double>() == Approx(4.0 * 32 * 1024 * 1024 / 2000e3));
  GpuProfile gpu;
  gpu.memory_gb_per_s.value = 3000;
  REQUIRE(update_memory(gpu, {reading_of(result)}));
  // The largest with heads of 64 and of 128 move different bytes: the latter count.
  const double bytes = 2.0 * 32 * (8192.0 * 8192 + 2 * 8192 * 128);
  const double us = 2.0 * 8192 * 8192 * 128 * 32 / 100e6;
  REQUIRE(gpu.kernel_efficiency[std::size_t(KernelKind::kBatchedMatmul)]);
  CHECK(gpu.kernel_efficiency[std::size_t(KernelKind::kBatchedMatmul)]->value ==
        Approx(bytes / us / 1e3 / 3000));
}

TEST_CASE("what calibrate makes of a probe is in the profile that it writes",
          "[probe][calibrate]") {
  FakeDevice device({.gemm_tflops = 100, .memory_us = 0, .memory_gb_per_s = 2345});
  const LogReading reading = reading_of(probed(device, {"memory", "attention", "launch"}));
  GpuProfile gpu = gpu_profile("h100-sxm-80gb");
  REQUIRE(update_memory(gpu, {reading}));
  update_launch(gpu, {reading});
  const GpuProfile again =
      parse_gpu_profile(profile_json(gpu, profile_text("h100-sxm-80gb")), "written");
  CHECK(again.memory_efficiency.value == Approx(0.7));
  CHECK(again.memory_efficiency.from == Provenance::kMeasured);
  CHECK(again.launch_us.value == Approx(gpu.launch_us.value).epsilon(1e-4));
  for (std::size_t kind = 0; kind < kKernelKinds; ++kind) {
    INFO(kKernelKindNames[kind]);
    const auto &wrote = gpu.kernel_efficiency[kind], &read = again.kernel_efficiency[kind];
    REQUIRE(wrote.has_value() == read.has_value());
    if (!wrote) continue;
    CHECK(read->value == Approx(wrote->value).epsilon(1e-5));
    CHECK(read->source == wrote->source);
  }
  CHECK(again.kernel_efficiency[std::size_t(KernelKind::kAdam)]->value == Approx(0.7));
}

TEST_CASE("memory taken and given back", "[probe]") {
  FakeDevice device;
  CHECK(probed(device, {"allocator"})["allocator"].size() == 3 * 2);
}

TEST_CASE("nothing is left out without a word", "[probe]") {
  FakeDevice device;
  const nlohmann::ordered_json result = probed(device, {"memory"});
  for (const char* part :
       {"launch: not asked for", "gemm: not asked for", "attention: not asked for",
        "collectives: not asked for", "copies: not asked for", "overlap: not asked for",
        "allocator: not asked for",
        "messages and collectives between GPUs: this machine shows one"})
    CHECK(lines_with(result, part) == 1);
  CHECK(result["left_out"].size() == 8);
  CHECK(result["memory"].size() == 3 * 7);
}

TEST_CASE("when the time is over, the rest is left out with its number", "[probe]") {
  FakeDevice device;
  const nlohmann::ordered_json result = probed(device, probe_parts(), -1);
  CHECK(result["gemm"].empty());
  CHECK(lines_with(result, "launch: 1 measurement: the -1 s were over") == 1);
  CHECK(lines_with(result, "gemm: 64 measurements: ") == 1);
  const LogReading reading = reading_of(result);
  CHECK_FALSE(reading.problems.empty());  // no success on nothing
}

TEST_CASE("an interrupted probe keeps what it has", "[probe]") {
  FakeDevice device;
  const std::atomic<bool> interrupted = true;
  const nlohmann::ordered_json result =
      run_probe(device, probe_plan({"launch"}, {}, 1, device.info(), 1),
                {.interrupted = &interrupted, .release = "test"});
  CHECK(lines_with(result, "launch: 1 measurement: interrupted") == 1);
}

TEST_CASE("a model's own products are measured once each", "[probe]") {
  Model model;
  model.layers = 2, model.hidden = 4096, model.heads = 32, model.vocab = 32000, model.seq = 2048;
  FakeDevice device;
  const ProbePlan plan = probe_plan({"gemm"}, model, 2, device.info(), 1);
  const auto has = [&](int m, int n, int k) {
    return std::count_if(plan.items.begin(), plan.items.end(), [&](const ProbeItem& i) {
      return i.gemm.dtype == DType::kBf16 && i.gemm.m == m && i.gemm.n == n && i.gemm.k == k;
    });
  };
  CHECK(has(4096, 12288, 4096) == 1);  // Q, K and V; also in the grid
  CHECK(has(4096, 4096, 16384) == 1);  // the MLP's second
  CHECK(has(16384, 4096, 4096) == 1);  // and a weight gradient of it
  CHECK(has(4096, 32000, 4096) == 1);  // the output layer
}

TEST_CASE("what does not fit the memory is left out", "[probe]") {
  DeviceInfo small;
  small.memory_gib = 6;
  const ProbePlan plan = probe_plan({"memory"}, {}, 1, small, 1);
  CHECK(plan.items.size() == 3 * 6);
  CHECK(std::count(plan.left_out.begin(), plan.left_out.end(),
                   "adam of 4096 MiB: needs 4.0 GiB, more than a third of the GPU's memory") == 1);
}
