#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <streambuf>

#include "tests/support/catch.hpp"
#include "tests/traces/trace_text.hpp"
#include "traces/chrome_trace.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

Timeline one_op(std::int64_t start, std::int64_t end) {
  HandMade made(1);
  made.op(0, {.microbatch = 12}, start, end);
  return made.timeline();
}

const Wanted k1f1b{.schedule = "1f1b", .ranks = 4, .batch = 8};

std::string name_of(const Json& event) { return event.at("args").at("name"); }

}  // namespace

// google/perfetto#274, #983: JSON times are microseconds.
TEST_CASE("an op of 13837451 ns at 1236 ns is written to the nanosecond", "[traces]") {
  const TraceText written = trace(one_op(1236, 1236 + 13'837'451));
  CHECK_THAT(written.text,
             contains("\n{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1.236,\"dur\":13837.451,\"name\":"
                      "\"F12\",\"args\":{\"stage\":0,\"mb\":12,\"ver\":0}},\n"));
  CHECK_THAT(trace(one_op(7, 7'000)).text, contains("\"ts\":0.007,\"dur\":6.993,"));
  CHECK_THAT(trace(one_op(-1'050, 0)).text, contains("\"ts\":-1.050,\"dur\":1.050,"));
}

TEST_CASE("a trace is one JSON object with one event per line", "[traces]") {
  const TraceText written = trace(run(k1f1b, unit_costs(4, 1, 2)), {.title = "demo"});
  CHECK(written.json.at("displayTimeUnit") == "ms");
  CHECK(written.json.at("otherData").at("title") == "demo");
  CHECK(written.json.at("otherData").at("schema_version") == 1);
  std::istringstream lines(written.text);
  std::string line;
  std::getline(lines, line);
  CHECK(line == "{\"traceEvents\":[");
  for (std::size_t i = 0; i < written.json.at("traceEvents").size(); ++i) {
    std::getline(lines, line);
    if (line.back() == ',') line.pop_back();
    REQUIRE(Json::accept(line));
  }
  std::getline(lines, line);
  CHECK(line == "],");
}

TEST_CASE("the statistics count what is in the file", "[traces]") {
  const TraceText written = trace(run(k1f1b, unit_costs(4, 1, 2, 0.5)));
  CHECK(written.stats.bytes == static_cast<std::int64_t>(written.text.size()));
  CHECK(written.stats.slices == static_cast<std::int64_t>(written.events("X").size()));
  CHECK(written.stats.flows == static_cast<std::int64_t>(written.events("f").size()));
  CHECK(written.stats.counters == static_cast<std::int64_t>(written.events("C").size()));
  CHECK(written.events("X").size() == 4 * 8 * 2 + 48);
}

// google/perfetto#394: pid 0 is special.
TEST_CASE("pids and tids start at 1", "[traces]") {
  const TraceText written = trace(run(k1f1b, unit_costs(4, 1, 2, 0.5)));
  std::set<int> pids;
  for (const Json& event : written.json.at("traceEvents")) {
    pids.insert(event.at("pid").get<int>());
    CHECK(event.value("tid", 1) >= 1);
  }
  CHECK(pids == std::set<int>{1, 2, 3, 4});
}

// google/perfetto#555, #764, #3273.
TEST_CASE("ranks keep their order in a viewer, whether it sorts by name or by index", "[traces]") {
  const int ranks = GENERATE(2, 16, 101);
  const Wanted wanted{.schedule = "1f1b", .ranks = ranks, .batch = 2};
  std::map<int, std::string> names;
  std::map<int, std::map<int, std::string>> tracks;
  for (const Json& event : trace(run(wanted, unit_costs(ranks, 1, 2, 0.5))).events("M")) {
    const int pid = event.at("pid"), tid = event.value("tid", 0);
    const std::string kind = event.at("name");
    if (kind == "process_name") names[pid] = name_of(event);
    if (kind == "thread_name") tracks[pid][tid] = name_of(event);
    if (kind == "process_sort_index") CHECK(event.at("args").at("sort_index") == pid - 1);
    if (kind == "thread_sort_index") CHECK(event.at("args").at("sort_index") == tid);
  }
  REQUIRE(names.size() == static_cast<std::size_t>(ranks));
  const int digits = ranks > 100 ? 3 : 2;
  for (const auto& [pid, name] : names) {
    CHECK(name == fmt::format("rank {:0{}}", pid - 1, digits));
    CHECK(tracks[pid][1] == "compute");
    CHECK((pid == ranks ||
           tracks[pid].rbegin()->second == fmt::format("to rank {:0{}}", pid, digits)));
  }
}

// google/perfetto#598; pytorch/pytorch#98432, #130622.
TEST_CASE("a title comes back as it was", "[traces]") {
  const std::string title = GENERATE(as<std::string>{}, "a\"b", "C:\\path", "tab\there",
                                     "line\nbreak", std::string("\x01\x1f\x7f"),
                                     "gr\xc3\xb6\xc3\x9f"
                                     "er \xe2\x86\x92 \xf0\x9f\x9a\x80",
                                     "");
  CHECK(trace(one_op(0, 1), {.title = title}).json.at("otherData").at("title") == title);
}

TEST_CASE("a title that is not UTF-8 still gives a readable file", "[traces]") {
  const TraceText written = trace(one_op(0, 1), {.title = "bad \xff byte"});
  CHECK(written.json.at("otherData").at("title") == "bad \xef\xbf\xbd byte");
}

TEST_CASE("transfers, flows and counters can be left out", "[traces]") {
  const Timeline timeline = run(k1f1b, unit_costs(4, 1, 2, 0.5));
  const TraceText written =
      trace(timeline, {.title = "", .transfers = false, .flows = false, .counters = false});
  CHECK(written.events("X").size() == 4 * 8 * 2);
  CHECK(written.events("s").empty());
  CHECK(written.events("C").empty());
  CHECK(trace(timeline, {.title = "", .transfers = false}).events("f").size() == 48);
}

TEST_CASE("empty timelines give a valid trace", "[traces]") {
  const int ranks = GENERATE(1, 3);
  const TraceText written = trace(HandMade(ranks).timeline());
  CHECK(written.stats.slices == 0);
  CHECK(written.events("M").size() == static_cast<std::size_t>(4 * ranks));
}

TEST_CASE("a stream that takes no more is reported, early or late", "[traces][errors]") {
  const std::string message = "cannot write the trace: disk full or stream closed";
  std::ofstream closed;
  const Timeline timeline = one_op(0, 1);
  CHECK_THROWS_WITH(write_chrome_trace(closed, timeline, versions(timeline), {}, {}), message);

  struct Full : std::streambuf {
    std::streamsize room = 1'500'000;
    std::streamsize xsputn(const char*, std::streamsize n) override {
      const std::streamsize taken = std::min(n, room);
      room -= taken;
      return taken;
    }
  } full;
  std::ostream disk(&full);
  const Timeline big = run({.schedule = "1f1b", .ranks = 4, .batch = 2000}, unit_costs(4, 1, 2));
  CHECK_THROWS_AS(write_chrome_trace(disk, big, versions(big), {}, {}), InputError);
}
