#include <algorithm>
#include <fstream>
#include <sstream>

#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"
#include "tests/traces/hand_made.hpp"
#include "traces/ops_csv.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

std::vector<std::string> csv(const Timeline& timeline) {
  std::ostringstream out;
  write_ops_csv(out, timeline, versions(timeline));
  std::istringstream lines(out.str());
  std::vector<std::string> result;
  for (std::string line; std::getline(lines, line);) result.push_back(line);
  return result;
}

const std::string kHeader =
    "kind,rank,pipeline,stage,microbatch,window,start_ns,end_ns,version,mismatch,delay,waited_for,"
    "waited_ns,after,peer_rank";

}  // namespace

TEST_CASE("the op list has a row per op in the order it ran, then the transfers", "[traces]") {
  HandMade made(2);
  made.shape().microbatches = made.shape().window = 2;
  const auto f00 = made.op(0, {.microbatch = 0, .stage = 0}, 0, 10);
  const auto f10 = made.op(0, {.microbatch = 1, .stage = 0}, 10, 20);
  const auto b00 = made.op(0, {.microbatch = 0, .stage = 0, .kind = OpKind::kBackward}, 60, 80);
  const auto f01 = made.op(1, {.microbatch = 0, .stage = 1}, 15, 30);
  const auto b01 = made.op(1, {.microbatch = 0, .stage = 1, .kind = OpKind::kBackward}, 30, 55);
  const auto f11 = made.op(1, {.microbatch = 1, .stage = 1}, 55, 70);
  made.op(1, {.microbatch = 0, .stage = 1, .kind = OpKind::kStep}, 70, 77);
  made.message(f00, f01, 10, 15, 4);
  made.message(f10, f11, 22, 27, 4);  // the link took it 2 ns late
  made.message(b01, b00, 55, 60, 4);
  CHECK(csv(made.timeline()) == std::vector<std::string>{
                                    kHeader,
                                    "F,0,0,0,0,0,0,10,0,,,,0,,",
                                    "F,0,0,0,1,0,10,20,0,,,,0,0F0@0,",
                                    "B,0,0,0,0,0,60,80,0,0,0,downstream gradient,40,1SEND_B0@0,",
                                    "F,1,0,1,0,0,15,30,0,,,start-up,15,0SEND_F0@0,",
                                    "B,1,0,1,0,0,30,55,0,0,0,,0,1F0@0,",
                                    "F,1,0,1,1,0,55,70,0,,,,0,1B0@0,",
                                    "STEP,1,0,1,,0,70,77,0,,,,0,1F1@0,",
                                    "SEND_F,0,0,0,0,0,10,15,,,,,0,0F0@0,1",
                                    "SEND_F,0,0,0,1,0,22,27,,,,link shared,2,0F1@0,1",
                                    "SEND_B,1,0,1,0,0,55,60,,,,,0,1B0@0,0",
                                });
}

TEST_CASE("the op list leaves out joins and nothing else", "[traces]") {
  const Timeline timeline =
      run({.schedule = "amdp", .ranks = 4, .batch = 8, .windows = 3}, unit_costs(4, 1, 2));
  std::size_t tasks = 0, joins = 0;
  for (const Op& op : timeline.what->op) ++(op.kind == OpKind::kJoin ? joins : tasks);
  REQUIRE(joins > 0);
  const auto rows = csv(timeline);
  CHECK(rows.size() == 1 + tasks);
  for (const std::string& row : rows) CHECK(std::count(row.begin(), row.end(), ',') == 14);
}

TEST_CASE("windows and versions count on through a run", "[traces]") {
  const Timeline timeline =
      run({.schedule = "pipedream-2bw", .ranks = 2, .batch = 4, .windows = 3}, unit_costs(2, 1, 2));
  const auto rows = csv(timeline);
  const auto last_forward = std::find_if(rows.begin(), rows.end(), [](const std::string& row) {
    return row.substr(0, 11) == "F,0,0,0,11,";
  });
  REQUIRE(last_forward != rows.end());
  CHECK(last_forward->substr(11, 2) == "2,");  // micro-batch 11 of windows of 4
  CHECK_THAT(*last_forward, contains(",1,"));  // 2BW: one version back
}

TEST_CASE("an op list of nothing is its header", "[traces]") {
  CHECK(csv(HandMade(2).timeline()) == std::vector<std::string>{kHeader});
}

TEST_CASE("an op list that cannot be written says so", "[traces][errors]") {
  std::ofstream closed;
  const Timeline timeline = HandMade(1).timeline();
  CHECK_THROWS_WITH(write_ops_csv(closed, timeline, versions(timeline)),
                    "cannot write the op list: disk full or stream closed");
}
