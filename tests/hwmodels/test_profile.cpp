#include <fmt/format.h>

#include "hwmodels/profile.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

// A complete profile in which one quantity and the link can be replaced.
std::string gpu_json(
    const std::string& memory = R"({"value": 2000, "from": "spec", "source": "s"})",
    const std::string& curve = "[[1000, 10], [2000, 10], [8000, 40]]") {
  const std::string one = R"({"value": 1, "from": "measured", "source": "own run", "error": 0.1})";
  return fmt::format(R"({{"name": "g", "summary": "a GPU", "gpu": {{
      "memory_gib": {0}, "peak_tflops": {0}, "matmul_efficiency": {0}, "memory_efficiency": {0},
      "kernel_us": {0}, "launch_us": {0}{1}}},
      "links": {{"wire": {{"curve_bytes_us": {2}, "from": "log", "source": "s"}}}}}})",
                     one, memory.empty() ? "" : ", \"memory_gb_per_s\": " + memory, curve);
}

TEST_CASE("every built-in profile reads and says where each number is from",
          "[hwmodels][profile]") {
  for (const ProfileLine& line : list_profiles()) {
    INFO(line.name);
    CHECK_FALSE(line.summary.empty());
    if (line.kind == "link") {
      CHECK_FALSE(link_profile(GpuProfile{}, line.name).source.empty());
      continue;
    }
    const GpuProfile& gpu = gpu_profile(line.name);
    for (const Quantity& q :
         {gpu.memory_gib, gpu.peak_tflops, gpu.matmul_efficiency, gpu.memory_gb_per_s,
          gpu.memory_efficiency, gpu.kernel_us, gpu.launch_us}) {
      CHECK(q.value > 0);
      CHECK_FALSE(q.source.empty());
    }
  }
}

TEST_CASE("data sheet numbers are the vendor's", "[hwmodels][profile]") {
  CHECK(gpu_profile("a100-sxm-80gb").peak_tflops.value == 312);
  CHECK(gpu_profile("a800-sxm-80gb").memory_gb_per_s.value == 2039);
  CHECK(gpu_profile("h100-sxm-80gb").peak_tflops.value == 989);
  CHECK(gpu_profile("h100-sxm-80gb").memory_gb_per_s.from == Provenance::kSpec);
}

TEST_CASE("links give back the measurements they are made of", "[hwmodels][profile]") {
  const GpuProfile& a800 = gpu_profile("a800-sxm-80gb");
  // A Megatron-LM trace on A800: 33.6 MB in 175 us.
  CHECK(link_profile(a800, "nvlink3").microseconds(33554432) == Approx(175));
  // osu_latency between GPUs of two nodes with HDR200: 1 MiB in 74.45 us.
  CHECK(link_profile(a800, "hdr200x8").microseconds(1048576) == Approx(74.45));
  // microsoft/vidur: 64 MiB in 193 us on H100.
  const GpuProfile& h100 = gpu_profile("h100-sxm-80gb");
  CHECK(link_profile(h100, "nvlink4").microseconds(67108864) == Approx(193));
}

TEST_CASE("a larger message never takes less time and never less than the latency",
          "[hwmodels][profile]") {
  const GpuProfile& a100 = gpu_profile("a100-sxm-80gb");
  const char* name = GENERATE("nvlink3", "hdr200x8");
  const LinkProfile& link = link_profile(a100, name);
  double before = link.latency_us.value;
  CHECK(link.microseconds(0) == before);
  for (double bytes = 1; bytes < 1e10; bytes *= 1.07) {
    const double us = link.microseconds(bytes);
    CHECK(us >= before);
    before = us;
  }
}

TEST_CASE("between points a curve is straight in log-log, beyond them a constant rate",
          "[hwmodels][profile]") {
  const GpuProfile gpu = parse_gpu_profile(gpu_json(), "g.json");
  const LinkProfile& link = link_profile(gpu, "wire");
  CHECK(link.microseconds(1) == 10);
  CHECK(link.microseconds(4000) == Approx(20));  // half-way from (2000, 10) to (8000, 40) in logs
  CHECK(link.microseconds(8000) == Approx(40));
  CHECK(link.microseconds(14000) == Approx(70));  // 6000 bytes in 30 us
  CHECK(link.large_message_gb_per_s() == Approx(0.2));
  CHECK(link.latency_us.value == 10);
  CHECK(link.latency_us.from == Provenance::kLog);
}

TEST_CASE("an unknown profile or link is answered with the nearest",
          "[hwmodels][profile][errors]") {
  CHECK_THROWS_WITH(gpu_profile("a800-sxm-80g"),
                    "unknown GPU profile 'a800-sxm-80g' (did you mean 'a800-sxm-80gb'?); known: "
                    "v100-sxm-32gb, a100-sxm-40gb, a100-sxm-80gb, a800-sxm-80gb, h100-sxm-80gb, "
                    "h800-sxm-80gb, h200-sxm-141gb, b200-sxm-180gb, gb200-186gb, l40s, rtx-4090");
  CHECK_THROWS_WITH(link_profile(gpu_profile("a800-sxm-80gb"), "nvlink33"),
                    "unknown link of a800-sxm-80gb 'nvlink33' (did you mean 'nvlink3'?); known: "
                    "nvlink3, pcie3-x16, pcie4-x16, pcie5-x16, edr100, hdr200x8, ndr400, roce100, "
                    "roce200, roce400, efa100, efa400");
}

TEST_CASE("a bad number says what was expected", "[hwmodels][profile][errors]") {
  CHECK_THROWS_WITH(
      parse_gpu_profile(gpu_json(R"({"value": -1, "from": "spec", "source": "s"})"), "g.json"),
      "g.json: gpu.memory_gb_per_s.value: expected a number from 0.001 to 1000000, got -1");
  CHECK_THROWS_WITH(
      parse_gpu_profile(gpu_json(R"({"value": 5, "from": "vendor", "source": ""})"), "g.json"),
      "g.json: gpu.memory_gb_per_s.from: expected one of measured, log, spec, assumed, got "
      "'vendor'\n"
      "g.json: gpu.memory_gb_per_s.source: expected where the number comes from, got \"\"");
  CHECK_THROWS_WITH(parse_gpu_profile(gpu_json("2000"), "g.json"),
                    "g.json: gpu.memory_gb_per_s: expected an object with value, from and source, "
                    "got 2000");
  CHECK_THROWS_AS(
      parse_gpu_profile(gpu_json(R"({"value": NaN, "from": "spec", "source": "s"})"), "g.json"),
      InputError);
}

TEST_CASE("a missing and a misspelt field are both reported", "[hwmodels][profile][errors]") {
  const std::string json = gpu_json(R"({"value": 5, "from": "spec", "source": "s", "eror": 0.1})",
                                    "[[1000, 10], [2000, 20]]");
  CHECK_THROWS_WITH(parse_gpu_profile(json, "g.json"),
                    "g.json: gpu.memory_gb_per_s: unknown field 'eror' (did you mean 'error'?); "
                    "known: error, from, source, value");
  CHECK_THROWS_WITH(
      parse_gpu_profile(gpu_json("").replace(gpu_json("").find("kernel_us"), 9, "kernel_ms"),
                        "g.json"),
      "g.json: gpu: missing field 'memory_gb_per_s'\n"
      "g.json: gpu: missing field 'kernel_us'\n"
      "g.json: gpu: unknown field 'kernel_ms' (did you mean 'kernel_us'?); known: "
      "kernel_efficiency, kernel_us, launch_us, matmul_efficiency, matmul_us, measured_matmuls, "
      "memory_efficiency, memory_gb_per_s, memory_gib, peak_tflops");
  CHECK_THROWS_WITH(parse_gpu_profile(R"({"name": "g"})", "g.json"), "g.json: missing field 'gpu'");
  CHECK_THROWS_WITH(parse_gpu_profile("[]", "g.json"), "g.json: expected an object");
}

TEST_CASE("a curve that is no curve is refused", "[hwmodels][profile][errors]") {
  const auto parse = [](const std::string& curve) {
    return parse_link_profile(R"({"name": "l", "link": {"curve_bytes_us": )" + curve +
                                  R"(, "from": "log", "source": "s"}})",
                              "l.json");
  };
  CHECK(parse("[[1, 2], [10, 5]]").microseconds(20) == Approx(2 + 19.0 / 3));
  CHECK_THROWS_WITH(parse("[[1, 2]]"),
                    "l.json: link.curve_bytes_us: expected a list of at least two "
                    "[bytes, microseconds], got an array of 1");
  CHECK_THROWS_WITH(parse("[[1, 2], [10, -5]]"),
                    "l.json: link.curve_bytes_us: point 1: expected [bytes, microseconds], both "
                    "above 0, got [10,-5]");
  CHECK_THROWS_WITH(parse("[[1, 2], [10, 5], [10, 1], [20, 1]]"),
                    "l.json: link.curve_bytes_us: sizes must rise, but 10 follows 10\n"
                    "l.json: link.curve_bytes_us: the last two times are equal (1 us), so larger "
                    "messages have no rate");
  CHECK_THROWS_WITH(parse("[[1, 2], [10, 5], [20, 4]]"),
                    "l.json: link.curve_bytes_us: times must not fall, but 20 bytes take 4 us "
                    "after 5 us for 10 bytes");
}

}  // namespace
}  // namespace stagesim
