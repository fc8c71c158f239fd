#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "tests/support/catch.hpp"
#include "tests/traces/trace_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

using Row = std::pair<int, int>;  // pid, tid
Row row_of(const Json& event) { return {event.at("pid"), event.at("tid")}; }

std::map<Row, std::string> track_names(const TraceText& written) {
  std::map<Row, std::string> names;
  for (const Json& event : written.events("M")) {
    if (event.at("name") == "thread_name") names[row_of(event)] = event.at("args").at("name");
  }
  return names;
}

bool encloses(const Json& slice, const Json& event) {
  const std::int64_t start = nanos(slice.at("ts")), at = nanos(event.at("ts"));
  return row_of(slice) == row_of(event) && start <= at && at < start + nanos(slice.at("dur"));
}

}  // namespace

// google/perfetto#1460; catapult-project/catapult#2394, #4573; google/trace-viewer#1088.
TEST_CASE("each transfer is one flow that starts and ends inside its slices", "[traces]") {
  const double latency = GENERATE(0.0, 0.5, 3.0);
  const TraceText written =
      trace(run({.schedule = "1f1b", .ranks = 4, .batch = 8}, unit_costs(4, 1, 2, latency)));
  const auto slices = written.events("X"), starts = written.events("s"), ends = written.events("f");
  REQUIRE(starts.size() == 2 * 3 * 8);
  REQUIRE(ends.size() == starts.size());
  std::set<std::uint32_t> ids;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    CHECK(ids.insert(starts[i].at("id").get<std::uint32_t>()).second);
    for (const char* key : {"id", "cat", "name"}) CHECK(starts[i].at(key) == ends[i].at(key));
    CHECK(ends[i].at("bp") == "e");
    CHECK(nanos(starts[i].at("ts")) < nanos(ends[i].at("ts")));
    for (const Json& end : {starts[i], ends[i]}) {
      const auto in = std::count_if(slices.begin(), slices.end(),
                                    [&](const Json& slice) { return encloses(slice, end); });
      CHECK(in == 1);
    }
    const std::string name = starts[i].at("name");  // "SEND_F3" leaves F3 and enters F3
    const auto producer = std::find_if(slices.begin(), slices.end(), [&](const Json& slice) {
      return encloses(slice, starts[i]);
    });
    CHECK(producer->at("name") == name.substr(5));
  }
}

TEST_CASE("slices on one track never overlap", "[traces]") {
  const double latency = GENERATE(0.0, 0.5, 7.0);
  const char* schedule = GENERATE("1f1b", "amdp");
  const Wanted wanted{.schedule = schedule, .ranks = 4, .batch = 8, .windows = 2};
  std::map<Row, std::vector<std::pair<std::int64_t, std::int64_t>>> tracks;
  for (const Json& slice : trace(run(wanted, unit_costs(4, 1, 2, latency))).events("X")) {
    const std::int64_t start = nanos(slice.at("ts"));
    tracks[row_of(slice)].push_back({start, start + nanos(slice.at("dur"))});
  }
  for (auto& [row, slices] : tracks) {
    std::sort(slices.begin(), slices.end());
    for (std::size_t i = 1; i < slices.size(); ++i) CHECK(slices[i - 1].second <= slices[i].first);
  }
}

TEST_CASE("messages in flight together lie on rows of their own", "[traces]") {
  HandMade made(3);
  std::vector<std::size_t> sent, received;
  for (int i = 0; i < 4; ++i) {
    sent.push_back(made.op(1, {.microbatch = i, .stage = 1}, 10 * i, 10 * i + 10));
    received.push_back(made.op(2, {.microbatch = i, .stage = 2}, 100 + 10 * i, 110 + 10 * i));
  }
  const auto gradient = made.op(1, {.stage = 1, .kind = OpKind::kBackward}, 300, 310);
  const auto last = made.op(0, {.stage = 0, .kind = OpKind::kBackward}, 400, 410);
  made.message(sent[0], received[0], 10, 35, 64);
  made.message(sent[1], received[1], 20, 45);  // beside the first
  made.message(sent[2], received[2], 35, 60);  // the first row is free again
  made.message(sent[3], received[3], 40, 65);  // both are taken
  made.message(gradient, last, 310, 310);      // no time: no slice
  const TraceText written = trace(made.timeline());

  const auto names = track_names(written);
  CHECK(names == std::map<Row, std::string>{{{1, 1}, "compute"},
                                            {{2, 1}, "compute"},
                                            {{2, 10}, "to rank 02"},
                                            {{2, 11}, "to rank 02 (2)"},
                                            {{2, 12}, "to rank 02 (3)"},
                                            {{3, 1}, "compute"}});
  std::map<std::string, int> track_of;
  for (const Json& slice : written.events("X")) {
    if (slice.at("tid") >= 10) track_of[slice.at("name")] = slice.at("tid");
  }
  CHECK(track_of == std::map<std::string, int>{
                        {"SEND_F0", 10}, {"SEND_F1", 11}, {"SEND_F2", 10}, {"SEND_F3", 12}});
  CHECK(written.events("s").size() == 5);  // the one without time still has its arrow
  CHECK_THAT(written.text, contains("\"ts\":0.010,\"dur\":0.025,\"name\":\"SEND_F0\",\"args\":{"
                                    "\"stage\":1,\"mb\":0,\"bytes\":64}}"));
}

TEST_CASE("each link of a rank has its own track", "[traces]") {
  const TraceText written =
      trace(run({.schedule = "1f1b", .ranks = 3, .batch = 2}, unit_costs(3, 1, 2, 0.5)));
  const auto names = track_names(written);
  CHECK(names.at({2, 10}) == "to rank 00");
  CHECK(names.at({2, 11}) == "to rank 02");
  CHECK(names.count({3, 11}) == 0);
}

TEST_CASE("the parts of an update have the optimizer track, unless they take no time", "[traces]") {
  HandMade made(1);
  made.op(0, {.kind = OpKind::kForward}, 0, 0);
  made.op(0, {.kind = OpKind::kBackward}, 0, 20);
  made.op(0, {.microbatch = 0, .kind = OpKind::kReduce}, 20, 30);
  made.op(0, {.microbatch = 0, .kind = OpKind::kBarrier}, 30, 30);
  made.op(0, {.microbatch = 0, .kind = OpKind::kStep}, 30, 40);
  made.op(0, {.microbatch = 0, .kind = OpKind::kBroadcast}, 40, 40);
  std::vector<std::tuple<std::string, int, std::int64_t>> slices;
  const TraceText written = trace(made.timeline());
  for (const Json& slice : written.events("X")) {
    slices.push_back({slice.at("name"), slice.at("tid"), nanos(slice.at("dur"))});
  }
  CHECK(slices == std::vector<std::tuple<std::string, int, std::int64_t>>{
                      {"F0", 1, 0}, {"B0", 1, 20}, {"REDUCE0", 2, 10}, {"STEP0", 2, 10}});
  CHECK(track_names(written).at({1, 2}) == "optimizer");
}

TEST_CASE("names tell stages and pipelines apart where a rank has several", "[traces]") {
  HandMade stages(1, 2);
  stages.op(0, {.microbatch = 7, .stage = 1}, 0, 10);
  CHECK(trace(stages.timeline()).events("X")[0].at("name") == "1F7");

  HandMade pipelines(2, 2, 2);
  pipelines.op(0, {.microbatch = 7, .stage = 0, .pipeline = 1}, 0, 10);
  const Json slice = trace(pipelines.timeline()).events("X")[0];
  CHECK(slice.at("name") == "F7@1");
  CHECK(slice.at("args") == Json{{"stage", 0}, {"mb", 7}, {"pipe", 1}, {"ver", 0}});
}

// google/perfetto#99: viewers give up at a few hundred megabytes.
TEST_CASE("a slice takes at most 170 bytes, however large its numbers", "[traces]") {
  const std::int64_t late = 3'600'000'000'000'000, long_time = 7'200'000'000'000;  // ns
  const int ranks = 20000;
  HandMade made(ranks, 65536, 2);
  const int rank = 65535 % ranks;
  const auto op = [&](OpKind kind) {
    return Op{.microbatch = 9'999'999, .stage = 65535, .pipeline = 1, .kind = kind};
  };
  const auto from = made.op(rank, op(OpKind::kForward), late, late + long_time);
  const auto to = made.op(ranks - 1, op(OpKind::kBackward), late, late + long_time);
  made.op(rank, op(OpKind::kBarrier), late, late + long_time);
  made.message(from, to, late, late + long_time, 99'999'999'999);
  const Timeline timeline = made.timeline();
  Versions numbers;
  for (const Op& ran : timeline.what->op) {
    numbers.version.push_back(is_transfer(ran.kind) ? -1 : 9'999'999);
  }
  std::ostringstream out;
  write_chrome_trace(out, timeline, numbers, {}, {.title = "", .counters = false});
  std::istringstream lines(out.str());
  std::size_t longest = 0, slices = 0;
  for (std::string line; std::getline(lines, line);) {
    longest = std::max(longest, line.size() + 1);
    slices += line.find("\"ph\":\"X\"") != std::string::npos ? 1 : 0;
  }
  CHECK(slices == 4);
  CHECK(longest <= 170);
}
