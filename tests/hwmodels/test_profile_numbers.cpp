// Numbers of profiles against arithmetic that does not use them.

#include <cmath>

#include "hwmodels/profile.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"

namespace stagesim {
namespace {

// Of NVIDIA's architecture white papers: SMs, the highest clock, dense 16-bit tensor FLOPs per
// cycle and SM with fp32 sums, memory bus and its rate.
struct Chip {
  const char* name;
  double sms, mhz, flop_per_cycle, bus_bits, gbit_per_pin;
  double tolerance = 0.02;
};
constexpr Chip kChips[] = {
    {"v100-sxm-32gb", 80, 1530, 1024, 4096, 1.758},
    {"a100-sxm-40gb", 108, 1410, 2048, 5120, 2.430},
    {"a100-sxm-80gb", 108, 1410, 2048, 5120, 3.186},
    {"a800-sxm-80gb", 108, 1410, 2048, 5120, 3.186},
    {"h100-sxm-80gb", 132, 1830, 4096, 5120, 5.235},
    {"h800-sxm-80gb", 132, 1830, 4096, 5120, 5.235},
    {"h200-sxm-141gb", 132, 1830, 4096, 6144, 6.25},
    // Blackwell's data sheets quote less than the highest clock gives.
    {"b200-sxm-180gb", 148, 1965, 8192, 8192, 8.0, 0.07},
    {"gb200-186gb", 152, 2062, 8192, 8192, 8.0, 0.07},
    {"l40s", 142, 2520, 1024, 384, 18},
    {"rtx-4090", 128, 2520, 512, 384, 21},
};

TEST_CASE("peak rates are SMs x clock x FLOPs per cycle, and bus width x rate",
          "[hwmodels][profile]") {
  std::size_t gpus = 0;
  for (const ProfileLine& line : list_profiles()) gpus += line.kind == "gpu" ? 1 : 0;
  CHECK(std::size(kChips) == gpus);  // a new GPU needs a row
  for (const Chip& chip : kChips) {
    INFO(chip.name);
    const GpuProfile& gpu = gpu_profile(chip.name);
    const double tflops = chip.sms * chip.mhz * 1e6 * chip.flop_per_cycle / 1e12;
    const double gb_per_s = chip.bus_bits / 8 * chip.gbit_per_pin;
    CHECK(gpu.peak_tflops.value == Approx(tflops).epsilon(chip.tolerance));
    CHECK(gpu.memory_gb_per_s.value == Approx(gb_per_s).epsilon(chip.tolerance));
    CHECK(gpu.peak_tflops.from == Provenance::kSpec);
    CHECK(gpu.memory_gb_per_s.from == Provenance::kSpec);
  }
}

// Raw rate of one direction, GB/s: lanes or bricks times their rate, or the port's bits.
struct Wire {
  const char *gpu, *link;
  double raw_gb_per_s;
};
constexpr Wire kWires[] = {
    {"v100-sxm-32gb", "nvlink2", 2 * 25.0},  // two of the six bricks join a pair
    {"a100-sxm-40gb", "nvlink3", 12 * 25.0},
    {"a100-sxm-80gb", "nvlink3", 12 * 25.0},
    {"a800-sxm-80gb", "nvlink3", 8 * 25.0},
    {"h100-sxm-80gb", "nvlink4", 18 * 25.0},
    {"h800-sxm-80gb", "nvlink4", 8 * 25.0},
    {"h200-sxm-141gb", "nvlink4", 18 * 25.0},
    {"b200-sxm-180gb", "nvlink5", 18 * 50.0},
    {"gb200-186gb", "nvlink5", 18 * 50.0},
    {"rtx-4090", "pcie4-host", 16 * 16 * 128.0 / 130 / 8},
    {"l40s", "pcie3-x16", 16 * 8 * 128.0 / 130 / 8},
    {"l40s", "pcie4-x16", 16 * 16 * 128.0 / 130 / 8},
    {"l40s", "pcie5-x16", 16 * 32 * 128.0 / 130 / 8},
    {"l40s", "edr100", 100 / 8.0},
    {"l40s", "hdr200x8", 200 / 8.0},
    {"l40s", "ndr400", 400 / 8.0},
    {"l40s", "roce100", 100 / 8.0},
    {"l40s", "roce200", 200 / 8.0},
    {"l40s", "roce400", 400 / 8.0},
    {"l40s", "efa100", 100 / 8.0},
    {"l40s", "efa400", 4 * 100 / 8.0},
};

TEST_CASE("no link is faster than its wires, at any size", "[hwmodels][profile]") {
  std::size_t links = 0;
  for (const ProfileLine& line : list_profiles())
    links += line.kind == "gpu" ? gpu_profile(line.name).links.size() : 1;
  CHECK(std::size(kWires) == links);  // a new link needs a row
  for (const Wire& wire : kWires) {
    INFO(wire.gpu << " " << wire.link);
    const LinkProfile& link = link_profile(gpu_profile(wire.gpu), wire.link);
    for (double bytes = 1024; bytes <= 1e9; bytes *= 2)
      CHECK(bytes / link.microseconds(bytes) / 1e3 <= wire.raw_gb_per_s);
    // And none is hopeless, but for messages through the host's memory.
    const double least = std::string_view(wire.link) == "pcie4-host" ? 0.05 : 0.5;
    CHECK(link.large_message_gb_per_s() >= least * wire.raw_gb_per_s);
  }
}

TEST_CASE("reduced links take longer, newer ones less", "[hwmodels][profile]") {
  const auto us = [](const char* gpu, const char* link, double bytes) {
    return link_profile(gpu_profile(gpu), link).microseconds(bytes);
  };
  for (double bytes = 2048; bytes <= 1 << 28; bytes *= 2) {
    INFO(bytes);
    CHECK(us("h800-sxm-80gb", "nvlink4", bytes) >= us("h100-sxm-80gb", "nvlink4", bytes));
    CHECK(us("b200-sxm-180gb", "nvlink5", bytes) <= us("h100-sxm-80gb", "nvlink4", bytes));
    CHECK(us("l40s", "pcie5-x16", bytes) <= us("l40s", "pcie4-x16", bytes));
    CHECK(us("l40s", "pcie4-x16", bytes) <= us("l40s", "pcie3-x16", bytes));
    CHECK(us("l40s", "roce400", bytes) <= us("l40s", "roce200", bytes));
    CHECK(us("l40s", "roce200", bytes) <= us("l40s", "roce100", bytes));
    CHECK(us("l40s", "efa400", bytes) <= us("l40s", "efa100", bytes));
  }
  // arXiv 2412.19437, section 3.2.2: 160 GB/s of NVLink on H800.
  CHECK(link_profile(gpu_profile("h800-sxm-80gb"), "nvlink4").large_message_gb_per_s() ==
        Approx(160).epsilon(0.01));
}

}  // namespace
}  // namespace stagesim
