#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// `ranks` stages that take no time; a message of `bytes` between each two.
std::string hops(int ranks, double bytes, double latency_us) {
  return fmt::format(
      R"({{"model": {{"stage_times": {{"F": 0, "B": 0}}, "stage_bytes": {{"message": {}}}}},
          "cluster": {{"p2p": {{"latency_us": {}, "gb_per_s": 50}}}},
          "parallel": {{"pipeline": {}}}, "batch": {{"microbatches": 1}}}})",
      bytes, latency_us, ranks);
}

// 4 ranks, two to a node of 8 GPUs: 4 data-parallel copies of each. 1 GB/s and no latency within;
// messages of 1 MB.
std::string copies(const std::string& comm, const std::string& nics) {
  return R"({"model": {"stage_times": {"F": 1, "B": 1}, "stage_bytes": {"message": 1e6}},
             "cluster": {"gpu": "h100-sxm-80gb", "nodes": 2, "gpus_per_node": 8, "intra": "nvlink4",
                         "inter": "hdr200x8")" +
         nics + R"(}, "parallel": {"pipeline": 4, "data": 4}, "batch": {"microbatches": 1})" +
         comm + "}";
}

std::string line_with(const Scenario& s, const std::string& word) {
  for (const std::string& line : s.assumptions)
    if (line.find(word) != std::string::npos) return line;
  return "";
}

}  // namespace

// inference-sim/inference-sim#1661: 186 transfers at 50 GB/s, each with 2 us or without.
TEST_CASE("the latency counts once for each of 186 transfers", "[run][network]") {
  const auto wall_us = [](double bytes, double latency_us) {
    return 1e3 * to_ms(result(hops(187, bytes, latency_us), "forward-only").wall);
  };
  const double rounding_us = 186 * 0.5e-3;  // every time is a whole number of nanoseconds
  CHECK(wall_us(1.2e6, 2) == Approx(4836));
  CHECK(wall_us(1.2e6, 0) == Approx(4464));
  CHECK(wall_us(8192, 2) == Approx(402.474).margin(rounding_us));
  CHECK(wall_us(8192, 0) == Approx(30.474).margin(rounding_us));
}

TEST_CASE("copies of a rank that share a network card send at once", "[run][network]") {
  const std::string fair = R"(, "comm": {"sharing": "fair"})";
  const double own = step_ms(copies("", ""), "gpipe"),
               card_each = step_ms(copies(fair, ""), "gpipe");
  CHECK(own == card_each);  // one micro-batch: no two messages meet
  // There and back, the copies of a rank divide what a card carries: the rate of large messages,
  // which a message of 1 MB alone does not reach.
  const Scenario s = read(copies(fair, ""));
  const LinkClass& between = s.links.at(1);
  const double busy_ms = to_ms(between.transfer_time[0] - between.latency);
  const auto shared_ms = [&](int nics, double gpus_per_nic) {
    const double ms = gpus_per_nic * 1e6 / between.gb_per_s / 1e6;
    CHECK(step_ms(copies(fair, fmt::format(R"(, "nics_per_node": {})", nics)), "gpipe") ==
          Approx(own + 2 * (std::max(ms, busy_ms) - busy_ms)).epsilon(1e-6));
    return ms;
  };
  CHECK(shared_ms(2, 4) > busy_ms);
  shared_ms(4, 2);
}

TEST_CASE("who shares what is said", "[scenario][network]") {
  const std::string fair = R"(, "comm": {"sharing": "fair"})";
  CHECK(line_with(read(copies("", "")), "network cards").empty());
  CHECK(line_with(read(copies(fair, "")), "network cards") ==
        "network cards: 8 per node (assumed: cluster.nics_per_node is not given), each of 1 GPU");
  CHECK(
      line_with(read(copies(fair, R"(, "nics_per_node": 2)")), "network cards") ==
      "network cards: 2 per node, each of 4 GPUs; 4 of them are of one rank or its copies and send "
      "at once");
  CHECK_THAT(line_with(read(copies(fair, "")), "link hdr200x8"),
             contains("messages through one port share it max-min fairly"));
}

TEST_CASE("network cards that do not divide, or have no effect, are refused",
          "[scenario][errors]") {
  const std::string fair = R"(, "comm": {"sharing": "fair"})";
  CHECK_THAT(problems_of(copies(fair, R"(, "nics_per_node": 3)")),
             contains("cluster.nics_per_node: 8 GPUs do not share 3 network cards evenly"));
  CHECK_THAT(
      problems_of(copies("", R"(, "nics_per_node": 2)")),
      contains("comm.sharing: cluster.nics_per_node has an effect only where messages share"));
  CHECK_THAT(
      problems_of(unit(4, 8, R"(, "cluster": {"nics_per_node": 2}, "comm": {"sharing": "fare"})")),
      contains("cluster: missing field 'gpus_per_node'") &&
          contains("comm.sharing: expected one of none, fair"));
}
