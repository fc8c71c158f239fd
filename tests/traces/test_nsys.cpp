#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/bubble.hpp"
#include "tests/support/catch.hpp"
#include "tests/traces/ran.hpp"
#include "traces/kineto_import.hpp"
#include "traces/nsys.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// Cases run beside each other, each in its process.
std::filesystem::path scratch(const std::string& name) {
  return std::filesystem::temp_directory_path() /
         fmt::format("stagesim_test_{}_{}.sqlite", name, getpid());
}

// An export as `nsys export --type sqlite` makes it, times in ns.
class Export {
 public:
  Export() : path_(scratch("nsys")) {
    std::filesystem::remove(path_);
    REQUIRE(sqlite3_open(path_.c_str(), &database_) == SQLITE_OK);
    run("CREATE TABLE StringIds (id INTEGER, value TEXT);"
        "INSERT INTO StringIds VALUES (1, 'gemm'), (2, 'ncclDevKernel_SendRecv'), (3, 'PP:1B1');"
        "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER, end INTEGER, globalTid INTEGER,"
        " correlationId INTEGER, nameId INTEGER);"
        "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER, end INTEGER, deviceId INTEGER,"
        " streamId INTEGER, correlationId INTEGER, globalPid INTEGER, demangledName INTEGER,"
        " shortName INTEGER);");
  }
  ~Export() {
    sqlite3_close(database_);
    std::filesystem::remove(path_);
  }

  void run(const std::string& sql) {
    char* error = nullptr;
    const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, &error);
    INFO((error ? error : ""));
    REQUIRE(code == SQLITE_OK);
  }
  void with_ranges() {
    run("CREATE TABLE NVTX_EVENTS (start INTEGER, end INTEGER, eventType INTEGER, text TEXT,"
        " globalTid INTEGER, textId INTEGER)");
  }
  // A range of 100 us on the host and, launched in it by another thread, one kernel.
  void op(int process, const std::string& text, std::int64_t host, std::int64_t start,
          std::int64_t end, int name = 1) {
    const std::int64_t global = (std::int64_t{7} << 48) | (std::int64_t{process} << 24);
    run(fmt::format("INSERT INTO NVTX_EVENTS VALUES ({}, {}, 59, {}, {}, {})", host, host + 100'000,
                    text.empty() ? "NULL" : "'" + text + "'", global | 11,
                    text.empty() ? "3" : "NULL"));
    run(fmt::format("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES ({}, {}, {}, {}, 9)",
                    host + 10'000, host + 12'000, global | 12, next_));
    run(fmt::format("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES ({}, {}, 0, 7, {}, {}, 8, {})",
                    start, end, next_, global, name));
    ++next_;
  }
  std::string path() const { return path_.string(); }
  std::string refusal() const {
    try {
      read_nsys(path());
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

 private:
  std::filesystem::path path_;
  sqlite3* database_ = nullptr;
  int next_ = 1;
};

constexpr std::int64_t kMs = 1'000'000;

// 1F1B, p = 2, m = 2, F = 10 ms, B = 20 ms; correlation ids are those of each process.
void two_ranks(Export& e) {
  e.op(200, "PP:1F0", 0, 10 * kMs, 20 * kMs);
  e.op(100, "PP:0F0", 0, 0, 10 * kMs);
  e.op(100, "PP:0F1, op_id = 5", 200'000, 10 * kMs, 20 * kMs);
  e.op(200, "PP:1B0", 200'000, 20 * kMs, 40 * kMs);
  e.op(200, "PP:1F1", 400'000, 40 * kMs, 50 * kMs);
  e.op(100, "PP:0B0", 400'000, 40 * kMs, 60 * kMs);
  e.op(200, "", 600'000, 50 * kMs, 70 * kMs);  // PP:1B1, by its textId
  e.op(100, "PP:0B1", 600'000, 70 * kMs, 90 * kMs);
}

}  // namespace

TEST_CASE("an export of Nsight Systems is the timeline of the kernels in its NVTX ranges",
          "[nsys]") {
  Export e;
  e.with_ranges();
  two_ranks(e);
  // What is neither an action nor launched by a process that has some.
  e.op(100, "iter_0_1", 5 * kMs, 0, 95 * kMs);
  e.run(
      "INSERT INTO NVTX_EVENTS VALUES (5, NULL, 59, 'PP:0F1', 1, NULL), (6, 7, 34, 'PP:0F1', 1, "
      "1)");
  REQUIRE(is_sqlite(e.path()));
  const std::vector<RankTrace> traces = read_nsys(e.path());
  REQUIRE(traces.size() == 2);
  CHECK_THAT(traces[0].file, contains("(process 100)"));
  const Timeline t = import_kineto(traces, ran({"1f1b", 2, 2})).file.timeline;
  const Bubble b = bubble(t, {IntervalKind::kWall});
  CHECK(wall(t).length() == Nanos(90 * kMs));
  CHECK(b.ranks[0].busy == Nanos(60 * kMs));
  CHECK(b.ranks[1].busy == Nanos(60 * kMs));
  const std::vector<TaskId> order = order_of_rank(t, 1);
  CHECK(t.start[order[0]] == Nanos(10 * kMs));
  CHECK(t.end[order[3]] == Nanos(70 * kMs));
}

TEST_CASE("times of several exports are UTC where they say when the session began", "[nsys]") {
  Export e;
  e.with_ranges();
  e.op(1, "PP:0F0", 0, 5 * kMs, 6 * kMs);
  e.run(
      "CREATE TABLE TARGET_INFO_SESSION_START_TIME (utcEpochNs INTEGER);"
      "INSERT INTO TARGET_INFO_SESSION_START_TIME VALUES (1700000000000000000)");
  const RankTrace trace = read_nsys(e.path()).at(0);
  CHECK(trace.file == e.path());
  CHECK(trace.ranges.at(0).start_us == 1'700'000'000'005'000.0 * 1);
}

TEST_CASE("names of the zero-bubble code say kind, micro-batch and chunk", "[nsys]") {
  Export e;
  e.with_ranges();
  // ZB-H1, p = 1, m = 2, order as its text.
  e.op(1, "F0.0.0", 0, 0, kMs);
  e.op(1, "B0.0.0", 200'000, kMs, 2 * kMs);
  e.op(1, "W0.0.0", 400'000, 2 * kMs, 3 * kMs);
  e.op(1, "F1.0.0", 600'000, 3 * kMs, 4 * kMs);
  e.op(1, "B1.0.0", 800'000, 4 * kMs, 5 * kMs);
  e.op(1, "W1.0.0", 1'000'000, 5 * kMs, 7 * kMs);
  const Timeline t = import_kineto(read_nsys(e.path()), ran({"zb-h1", 1, 2})).file.timeline;
  std::string order;
  for (const TaskId task : order_of_rank(t, 0)) order += cell_text(t.what->op[task], 1) + " ";
  CHECK(order == "0F0 0I0 0W0 0F1 0I1 0W1 0STEP0 ");
  CHECK(wall(t).length() == Nanos(7 * kMs));
  for (const char* wrong : {"F1", "F1.0", "F1.0.1", "F-1.0.0", "F1.0.0x", "X1.0.0", "F.0.0", ""})
    CHECK(!parse_chunk_token(wrong));
  CHECK(parse_chunk_token("W12.1.0")->chunk == 1);
}

TEST_CASE("exports that cannot be read say why", "[nsys][errors]") {
  Export e;
  CHECK_THAT(e.refusal(),
             contains("no table NVTX_EVENTS; expected 'nsys export --type sqlite' of a "
                      "profile with 'nsys profile --trace cuda,nvtx'"));
  e.with_ranges();
  e.op(1, "iteration", 0, 0, 1);
  CHECK_THAT(e.refusal(), contains("1 NVTX ranges and none named PP:2F0"));
  e.op(1, "PP:0F0", 0, 9, 3);
  e.run("INSERT INTO NVTX_EVENTS VALUES ('soon', 7, 59, 'PP:0B0', 1, NULL)");
  const std::string both = e.refusal();
  CHECK_THAT(
      both, contains("kernel 'gemm': expected whole numbers start <= end, got start '9', end '3'"));
  CHECK_THAT(both,
             contains("NVTX range '0B0': expected whole numbers start <= end, got start 'soon'"));
  e.run("ALTER TABLE CUPTI_ACTIVITY_KIND_KERNEL RENAME COLUMN correlationId TO id");
  CHECK_THAT(e.refusal(), contains("no such column: k.correlationId"));
  CHECK_THROWS_WITH(read_nsys("nowhere.sqlite"), contains("unable to open database file"));
  const std::filesystem::path cut = scratch("cut");
  std::filesystem::copy_file(e.path(), cut, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::resize_file(cut, 5000);
  CHECK_THROWS_WITH(read_nsys(cut.string()),
                    contains("not an export of Nsight Systems that can be read"));
  std::filesystem::remove(cut);
  CHECK(!is_sqlite("nowhere.sqlite"));
}
