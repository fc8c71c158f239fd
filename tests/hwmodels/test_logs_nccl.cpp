#include <fmt/format.h>

#include "hwmodels/logs/nccl_run.hpp"
#include "hwmodels/logs/readers.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/nccl_log.hpp"

namespace stagesim {
namespace {

using test::nccl_log;
using test::NcclLayout;

// Every point of an own log lies on the line it was made from.
void check_points(const LogReading& reading, const NcclLayout& layout, Timed what) {
  INFO(layout.version << " " << layout.middle);
  for (const std::string& line : reading.problems.lines()) FAIL_CHECK(line);
  for (const std::string& line : reading.incomplete.lines()) FAIL_CHECK(line);
  CHECK(reading.rows == static_cast<int>(layout.sizes.size()));
  REQUIRE(reading.points.size() == layout.sizes.size() * (layout.in_place_only ? 1 : 2));
  for (const LogPoint& p : reading.points) {
    CHECK(p.what == what);
    CHECK(p.participants == layout.ranks);
    const double us = layout.alpha_us + p.bytes / layout.gb_per_s / 1e3 + (p.in_place ? 0.5 : 0);
    CHECK(p.microseconds == Approx(us).epsilon(0.01));
  }
}

TEST_CASE("every layout of nccl-tests reads to the same points", "[hwmodels][logs]") {
  struct Case {
    NcclLayout layout;
    Timed what;
  };
  const double eighth = 0.25 / 8;
  const Case cases[] = {
      {{.version = "v1.0", .middle = "sum", .ranks = 4, .factor = 1.5}, Timed::kAllReduce},
      {{.version = "v2.0", .middle = "sum", .ranks = 8, .factor = 1.75}, Timed::kAllReduce},
      {{.version = "v2.0", .middle = "sum  0", .ranks = 8}, Timed::kReduce},
      {{.version = "v2.0", .middle = "3", .ranks = 8}, Timed::kBroadcast},
      {{.version = "v2.0", .middle = ""}, Timed::kExchange},
      {{.version = "v2.0", .middle = "sum", .ranks = 8, .factor = 0.875, .count_per_byte = eighth},
       Timed::kReduceScatter},
      {{.version = "v2.13", .ranks = 8, .factor = 1.75}, Timed::kAllReduce},
      {{.version = "v2.13", .middle = "sum   0", .ranks = 8}, Timed::kReduce},
      {{.version = "v2.17.4", .middle = "none      2", .ranks = 8}, Timed::kBroadcast},
      {{.version = "v2.17.4", .program = "/opt/build/sendrecv_perf"}, Timed::kExchange},
      {{.version = "inspector", .program = "all_reduce_perf", .ranks = 4, .factor = 1.5},
       Timed::kAllReduce},
      {{.version = "v2.13", .program = "all_reduce_perf", .dates = true}, Timed::kAllReduce},
      {{.version = "v2.13", .program = "all_reduce_perf", .in_place_only = true},
       Timed::kAllReduce},
  };
  for (const Case& c : cases)
    check_points(read_nccl_tests_text(nccl_log(c.layout), "log"), c.layout, c.what);
}

TEST_CASE("launcher prefixes and library chatter do not hide rows", "[hwmodels][logs]") {
  for (const char* prefix : {"0: ", "    ", "[1,0]<stdout>:", "[1,0]<stdout>: ", "[0]"}) {
    NcclLayout layout{.ranks = 8, .factor = 1.75};
    layout.prefix = prefix;
    layout.chatter = "node:3442:3442 [0] NCCL INFO Launch mode Parallel";
    const LogReading reading = read_nccl_tests_text(nccl_log(layout), "log");
    INFO(prefix);
    check_points(reading, layout, Timed::kAllReduce);
    CHECK(reading.skipped == 7);
    REQUIRE(reading.quotes.size() == 3);
    CHECK(reading.quotes[0].find("NCCL INFO Launch mode Parallel") != std::string::npos);
    CHECK(reading.devices == std::vector<std::string>{"Some GPU"});
  }
}

TEST_CASE("a header's version and library version end up in the version", "[hwmodels][logs]") {
  const LogReading reading =
      read_nccl_tests_text(nccl_log({.version = "v2.17.4", .program = "all_reduce_perf"}), "log");
  CHECK(reading.version == "2.17.4, NCCL 2.28.7");
  CHECK(nccl_version(2708) == "2.7.8");
  CHECK(nccl_version(21903) == "2.19.3");
}

TEST_CASE("columns that fit several collectives are left to the user", "[hwmodels][logs]") {
  // Two ranks: 2(n-1)/n is 1, so all-reduce looks like the send/receive test.
  const LogReading reading = read_nccl_tests_text(nccl_log({}), "log");
  CHECK(reading.could_be == std::vector<Timed>{Timed::kExchange, Timed::kAllReduce});
  CHECK(reading.points.front().what == Timed::kUnknown);
  // All-gather and all-to-all print the same columns since v2.13.
  const LogReading gather = read_nccl_tests_text(
      nccl_log({.middle = "none  -1", .ranks = 8, .factor = 0.875, .count_per_byte = 0.25 / 8}),
      "log");
  CHECK(gather.could_be == std::vector<Timed>{Timed::kAllGather, Timed::kAllToAll});
}

TEST_CASE("size-0 rows count for the average and not for the curve", "[hwmodels][logs]") {
  // Rows of an 8-GPU all-to-all log in microsoft/superbenchmark: its old layout has a redop column
  // in the header and nothing in the rows. The average is of these rows.
  const std::string log =
      "# nThread 1 nGpus 8 minBytes 1 maxBytes 8589934592 step: 2(factor) warmup iters: 5\n"
      "#   Rank  0 Pid 1 on localhost device  0 [0x00] A100-SXM4-40GB\n"
      "#   ...\n"
      "#   Rank  7 Pid 1 on localhost device  7 [0x00] A100-SXM4-40GB\n"
      "#       size         count    type   redop     time   algbw   busbw  error     time   algbw "
      "  "
      "busbw  error\n"
      "           0             0   float             1.63    0.00    0.00    N/A     1.38    0.00 "
      "   "
      "0.00    N/A\n"
      "          32             1   float            89.00    0.00    0.00    N/A    85.13    0.00 "
      "   "
      "0.00    N/A\n"
      "  4294967296     134217728   float            16860  254.74  222.90    N/A    16678  257.53 "
      " "
      "225.34    N/A\n"
      "# Avg bus bandwidth    : 74.7067\n";
  const LogReading reading = read_nccl_tests_text(log, "a2a.txt");
  CHECK(reading.incomplete.empty());
  CHECK(reading.rows == 3);
  REQUIRE(reading.points.size() == 4);
  CHECK(reading.points[2].what == Timed::kAllToAll);
  CHECK(reading.points[2].participants == 8);  // ranks that the excerpt leaves out count
  CHECK(reading.points[2].microseconds == 16860);
}

TEST_CASE("scientific times of late versions are read", "[hwmodels][logs]") {
  const std::string log =
      "# nThread 1 nGpus 2 minBytes 8 maxBytes 8 step: 2(factor)\n"
      "# Collective test starting: all_reduce_perf\n"
      "#  Rank  0 Group  0 Pid 1 on h device  0 [0000:0f:00] G\n"
      "#  Rank  1 Group  0 Pid 1 on h device  1 [0000:1f:00] G\n"
      "#  size count type redop root time algbw busbw #wrong time algbw busbw #wrong\n"
      "  8589934592  2147483648  float  sum  -1  1.2e+07  0.72  0.72  0  1.2e+07  0.72  0.72  0\n"
      "# Avg bus bandwidth    : 0.72\n";
  const LogReading reading = read_nccl_tests_text(log, "log");
  CHECK(reading.incomplete.empty());
  CHECK(reading.points.at(0).microseconds == 1.2e7);
}

TEST_CASE("rows that were cut out or changed are found by the tool's own average",
          "[hwmodels][logs][errors]") {
  NcclLayout layout{.ranks = 8, .factor = 1.75};
  layout.drop_row = 3;
  const LogReading cut = read_nccl_tests_text(nccl_log(layout), "ar.txt");
  REQUIRE(cut.incomplete.lines().size() == 1);
  CHECK(cut.incomplete.lines()[0].find("the 12 busbw values of 6 rows add up to") !=
        std::string::npos);
  CHECK(cut.rows == 6);
  layout.drop_row = 99;
  layout.trailer = false;
  CHECK(read_nccl_tests_text(nccl_log(layout), "ar.txt").incomplete.lines() ==
        std::vector<std::string>{"ar.txt: no line 'Avg bus bandwidth' below the 7 rows, so the log "
                                 "was cut; feed the whole output"});
  std::string edited = nccl_log({.ranks = 8, .factor = 1.75});
  edited.replace(edited.find(" 61.94"), 6, " 51.94");
  const LogReading changed = read_nccl_tests_text(edited, "ar.txt");
  CHECK(
      changed.incomplete.lines() ==
      std::vector<std::string>{"ar.txt: row 13: 1048576 bytes in 51.94 us are 20.19 GB/s, but the "
                               "out-of-place algbw column says 16.93"});
}

TEST_CASE("NVIDIA/nccl-tests#107: two one-GPU runs in one log are refused",
          "[hwmodels][logs][errors]") {
  const std::string header =
      "# nThread 1 nGpus 1 minBytes 1048576 maxBytes 1048576 step: 1048576(bytes)\n#\n";
  const std::string columns =
      "#  size  count type redop time algbw busbw error time algbw busbw error\n";
  const std::string log =
      header + header + "#   Rank  0 Pid   1001 on node-a device  0 [0x00] Example GPU\n" +
      "#   Rank  0 Pid   2002 on node-b device  0 [0x00] Example GPU\n" + columns + columns +
      "  1048576  262144  float  sum  6.10  171.90  0.00  0e+00  0.31  3382.50  0.00  0e+00\n"
      "  1048576  262144  float  sum  6.20  169.13  0.00  0e+00  0.30  3495.25  0.00  0e+00\n";
  const LogReading reading = read_nccl_tests_text(log, "two.log");
  REQUIRE(reading.problems.lines().size() == 2);
  CHECK(reading.problems.lines()[0] ==
        "two.log: 2 headers before the first row and nranks = 1: several runs wrote into each "
        "other, each with its own Rank 0; build nccl-tests with MPI=1 so that they form one run");
  CHECK(reading.problems.lines()[1].find("nranks = 1") != std::string::npos);
  CHECK(reading.points.empty());
}

TEST_CASE("several runs one after the other are told apart", "[hwmodels][logs]") {
  const NcclLayout reduce{.program = "all_reduce_perf", .ranks = 8, .factor = 1.75};
  const NcclLayout pair{.program = "sendrecv_perf"};
  const LogReading reading = read_nccl_tests_text(nccl_log(reduce) + nccl_log(pair), "log");
  CHECK(reading.incomplete.empty());
  CHECK(reading.rows == 14);
  CHECK(reading.points.front().what == Timed::kAllReduce);
  CHECK(reading.points.front().participants == 8);
  CHECK(reading.points.back().what == Timed::kExchange);
  CHECK(reading.points.back().participants == 2);
}

TEST_CASE("a row that ends early is a problem with its line", "[hwmodels][logs][errors]") {
  std::string log = nccl_log({.ranks = 8, .factor = 1.75});
  log.resize(log.rfind("67108864") + 40);
  const LogReading reading = read_nccl_tests_text(log, "cut.txt");
  REQUIRE(reading.problems.lines().size() == 1);
  CHECK(reading.problems.lines()[0].find("cut.txt:19: expected operator and root") == 0);
}

std::string nccl_json(const std::string& average, const std::string& in_place) {
  return fmt::format(
      R"({{"version": 3, "args": ["./build/all_reduce_perf", "-g", "8"], "env": ["TOKEN=secret"],
      "nccl_version": 22807, "config": {{"nthreads": 1, "devices": [
        {{"rank": 0, "group": 0, "device_info": "GPU A"}}, {{"rank": 1, "group": 0, "device_info": "GPU A"}},
        {{"rank": 2, "group": 0, "device_info": "GPU A"}}, {{"rank": 3, "group": 0, "device_info": "GPU A"}}]}},
      "results": [{{"size": 1048576, "count": 262144, "type": "float", "redop": "sum", "root": "    -1",
        "out_of_place": {{"time": 61.94304, "alg_bw": 16.92807, "bus_bw": 25.39211, "nwrong": null}},
        "in_place": {}}}],
      "average_bus_bandwidth": {{"bandwidth": {}, "okay": "unchecked"}}}})",
      in_place, average);
}

TEST_CASE("the JSON of nccl-tests reads like its text and leaks no environment",
          "[hwmodels][logs]") {
  const LogReading reading = read_nccl_tests_json(nccl_json("25.39211", "null"), "log.json");
  CHECK(reading.problems.empty());
  CHECK(reading.incomplete.empty());
  REQUIRE(reading.points.size() == 1);
  CHECK(reading.points[0].what == Timed::kAllReduce);
  CHECK(reading.points[0].participants == 4);
  CHECK(reading.points[0].microseconds == Approx(61.94304));
  CHECK(reading.version == "NCCL 2.28.7");
  CHECK(reading.devices == std::vector<std::string>{"GPU A"});
  for (const std::string& line : reading.notes) CHECK(line.find("secret") == std::string::npos);
  CHECK_FALSE(read_nccl_tests_json(nccl_json("20.1", "null"), "log.json").incomplete.empty());
  CHECK_FALSE(read_nccl_tests_json("{\"results\": 3}", "x.json").problems.empty());
  CHECK_FALSE(read_nccl_tests_json("{\"results\"", "x.json").problems.empty());
}

}  // namespace
}  // namespace stagesim
