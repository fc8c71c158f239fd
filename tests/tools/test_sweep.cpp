#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/thread_processes.hpp"
#include "tools/study/run.hpp"
#include "tools/study/sweep_run.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

ScenarioInput plain(int ranks, int microbatches) {
  ScenarioInput input{.file = "test"};
  input.json = parse_json(
      fmt::format(
          R"({{"name": "t", "model": {{"stage_times": {{"unit": "ms", "per": "stage", "F": 1,
                      "B": 2}}}}, "parallel": {{"pipeline": {}}}, "batch": {{"microbatches": {}}},
                      "schedule": "1f1b"}})",
          ranks, microbatches),
      "test");
  return input;
}

Sweep sweep_of(const std::vector<std::string>& axes, bool zipped = false) {
  Sweep sweep{.base = plain(4, 8), .zipped = zipped};
  for (const std::string& axis : axes) sweep.axes.push_back(parse_axis(axis));
  check_sweep(sweep);
  return sweep;
}

std::string refusal(const std::function<void()>& run) {
  try {
    run();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

// A path that is gone afterwards. Cases run beside each other, each in its process.
struct Scratch {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("stagesim_test_sweep_{}", getpid());
  Scratch() { std::filesystem::remove(path); }
  ~Scratch() { std::filesystem::remove(path); }
  std::string text() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& text) const { std::ofstream(path, std::ios::binary) << text; }
};

void run(const Sweep& sweep, const std::string& path, int threads) {
  SweepFile file(path, sweep);
  run_sweep(sweep, file, {.threads = threads});
}

}  // namespace

TEST_CASE("axes are lists, ranges, and schedules with parameters", "[sweep]") {
  const auto values = [](const std::string& text) { return parse_axis(text).values; };
  using Values = std::vector<std::string>;
  CHECK(values("a.b=1,2,7") == Values{"1", "2", "7"});
  CHECK(values("a=2:5") == Values{"2", "3", "4", "5"});
  CHECK(values("a=4:13:4,20") == Values{"4", "8", "12", "20"});
  CHECK(values("a=2:64:x2") == Values{"2", "4", "8", "16", "32", "64"});
  CHECK(values("a=3:20:x3") == Values{"3", "9"});
  CHECK(values("a=-2:0") == Values{"-2", "-1", "0"});
  CHECK(values("a=9223372036854775806:9223372036854775807").size() == 2);
  CHECK(values("partition.layers=[6,6],[5,7]") == Values{"[6,6]", "[5,7]"});
  CHECK(values("comm.mode=overlapped,blocking") == Values{"overlapped", "blocking"});
  CHECK(values("schedule=1f1b,interleaved-1f1b:v=2") == Values{"1f1b", "interleaved-1f1b:v=2"});
  CHECK(values("schedule=all").size() > 20);
  CHECK_THAT(refusal([&] { values("a"); }), contains("expected key.path=value"));
  CHECK_THAT(refusal([&] { values("a=1,,2"); }), contains("a value is missing"));
  CHECK_THAT(refusal([&] { values("a=5:1"); }), contains("'5:1' has no values"));
  CHECK_THAT(refusal([&] { values("a=0:8:x2"); }), contains("has no values"));
  CHECK_THAT(refusal([&] { values("a=1:8:0"); }), contains("has no values"));
  CHECK_THAT(refusal([&] { values("a=1:99999999"); }), contains("more than 1000000 values"));
  CHECK_THAT(refusal([&] { values("a=1,2,1"); }), contains("given twice"));
  CHECK_THAT(refusal([&] { values("schedule=1f1"); }), contains("1f1b"));
  CHECK_THAT(refusal([&] { sweep_of({"a=1", "a=2"}); }), contains("given twice"));
  CHECK_THAT(refusal([&] { sweep_of({}); }), contains("nothing varies"));
  CHECK_THAT(refusal([&] {
               sweep_of({"a=1,2", "b=1,2,3"}, true);
             }),
             contains("a has 2 values and b has 3"));
}

TEST_CASE("rows are all combinations, the last key fastest, or one by one", "[sweep]") {
  const Sweep all = sweep_of({"a=1,2", "b=x,y,z"});
  REQUIRE(all.rows() == 6);
  CHECK(all.values(0) == std::vector<std::string>{"1", "x"});
  CHECK(all.values(4) == std::vector<std::string>{"2", "y"});
  const Sweep zipped = sweep_of({"a=1,2,3", "b=x,y,z"}, true);
  REQUIRE(zipped.rows() == 3);
  CHECK(zipped.values(2) == std::vector<std::string>{"3", "z"});
}

// aliyun/SimAI#283, #163, #18: 1F1B p = 4, m = 8, F = 1, B = 2 grows by 16 latencies, GPipe by 6.
TEST_CASE("a sweep of the message latency shows events, not a formula", "[sweep][cases]") {
  const Sweep sweep = sweep_of({"schedule=1f1b,gpipe", "cluster.p2p.latency_us=0,100,500,1000"});
  std::vector<double> steps;
  for (std::uint64_t row = 0; row < sweep.rows(); ++row)
    steps.push_back(sweep_row(sweep, row)["step_time_ms"]);
  CHECK(steps == std::vector<double>{33, 34.6, 41, 49, 33, 33.6, 36, 39});
}

// deepseek-ai/DualPipe#15, #8: bubble over ideal of 1F1B 7/20, interleaved 7/(20 v), DualPipe 2/20.
TEST_CASE("interleaving is ahead of DualPipe from v = 4 on at p = 8, m = 20", "[sweep][cases]") {
  Sweep sweep{.base = plain(8, 20)};
  for (const char* key : {"F", "B", "I", "W"})
    sweep.base.set(std::string("model.stage_times.") + key, key == std::string("B") ? "24" : "12",
                   "", "");
  sweep.base.set("model.stage_times.per", "rank", "", "");
  sweep.axes = {
      parse_axis("schedule=1f1b,interleaved-1f1b:v=2:group=20,interleaved-1f1b:v=3:group=20,"
                 "interleaved-1f1b:v=4:group=20,dualpipe")};
  const double expected[] = {7.0 / 20, 7.0 / 40, 7.0 / 60, 7.0 / 80, 2.0 / 20};
  for (std::uint64_t row = 0; row < 5; ++row) {
    const auto found = sweep_row(sweep, row);
    INFO(found.dump());
    REQUIRE(found["status"] == "ok");
    CHECK(found["bubble_over_ideal"].get<double>() == Approx(expected[row]).epsilon(1e-9));
    CHECK(found["weight_copies"] == (row == 4 ? 2 : 1));
  }
}

// mindspore-ai/hyper-parallel#755, #736
TEST_CASE("every combination is a row, what cannot run with its reason", "[sweep][cases]") {
  const Sweep sweep =
      sweep_of({"schedule=gpipe,1f1b,interleaved-1f1b:v=2,interleaved-1f1b:v=4,zb-h1",
                "parallel.pipeline=1:64:x2", "batch.microbatches=2:16:x2"});
  REQUIRE(sweep.rows() == 5 * 7 * 4);
  int ran = 0;
  for (std::uint64_t row = 0; row < sweep.rows(); ++row) {
    const auto found = sweep_row(sweep, row);
    CHECK(found["row"] == row);
    std::vector<std::string> keys;
    for (const auto& [key, value] : found.items()) keys.push_back(key);
    CHECK(keys == sweep_columns(sweep));
    const bool ok = found["status"] == "ok";
    ran += ok;
    CHECK(found["reason"].is_null() == ok);
    CHECK(found["step_time_ms"].is_null() != ok);
  }
  CHECK(ran > 100);
  CHECK(ran < 140);
}

TEST_CASE("a row says what one run of its values says", "[sweep]") {
  const Sweep sweep = sweep_of({"batch.microbatches=16", "schedule=amdp:preload=1"});
  ScenarioInput input = plain(4, 16);
  const ScheduleResult r = run_schedule(input.read(), parse_schedule_spec("amdp:preload=1")).result;
  const auto row = sweep_row(sweep, 0);
  CHECK(row["schedule"] == "amdp:preload=1");
  CHECK(row["batch.microbatches"] == 16);
  CHECK(row["step_time_ms"] == to_ms(r.step_time));
  CHECK(row["ms_per_sample"] == to_ms(r.step_time) / 16);
  CHECK(row["bubble"] == r.bubble.bubble);
  CHECK(row["max_mismatch"] == 1);
  CHECK(row["gpus"] == 4);
  const auto typo = sweep_row(sweep_of({"batch.micrbatches=1"}), 0);
  CHECK(typo["status"] == "refused");
  CHECK_THAT(typo["reason"].get<std::string>(), contains("--vary batch.micrbatches"));
}

TEST_CASE("the file is the same for any number of threads and processes", "[sweep]") {
  const Sweep sweep = sweep_of({"schedule=all", "batch.microbatches=4:24:4"});
  const Scratch scratch;
  run(sweep, scratch.path, 1);
  const std::string whole = scratch.text();
  CHECK(std::count(whole.begin(), whole.end(), '\n') ==
        static_cast<std::ptrdiff_t>(sweep.rows() + 1));
  for (const int threads : {2, 7}) {
    std::filesystem::remove(scratch.path);
    run(sweep, scratch.path, threads);
    CHECK(scratch.text() == whole);
  }
  for (const int processes : {2, 5}) {
    std::filesystem::remove(scratch.path);
    ThreadProcesses(processes).run([&](Processes& mine) {
      const SweepRunOptions options{.threads = 1};
      if (mine.rank() > 0) return run_sweep(sweep, nullptr, options, mine);
      SweepFile file(scratch.path, sweep);
      run_sweep(sweep, &file, options, mine);
    });
    CHECK(scratch.text() == whole);
  }
}

TEST_CASE("a sweep cut anywhere goes on to the same file and redoes nothing", "[sweep]") {
  const Sweep sweep = sweep_of({"schedule=1f1b,amdp", "batch.microbatches=4,6,8"});
  const Scratch scratch;
  run(sweep, scratch.path, 1);
  const std::string whole = scratch.text();
  for (std::size_t cut = 0; cut < whole.size(); cut += 7) {
    scratch.write(whole.substr(0, cut));
    SweepFile file(scratch.path, sweep);
    const auto lines = std::count(whole.begin(), whole.begin() + std::ptrdiff_t(cut), '\n');
    CHECK(file.resumed() == static_cast<std::uint64_t>(std::max<std::ptrdiff_t>(0, lines - 1)));
    std::uint64_t done = 0;
    run_sweep(sweep, file, {.threads = 2, .progress = [&](std::uint64_t) { ++done; }});
    CHECK(done == sweep.rows() - file.resumed());
    CHECK(scratch.text() == whole);
  }
}

TEST_CASE("a killed sweep goes on to the same file", "[sweep]") {
  const Sweep sweep = sweep_of({"schedule=1f1b,zb-h1,gpipe,amdp", "batch.microbatches=8:200:8"});
  const Scratch scratch, other;
  run(sweep, scratch.path, 1);
  const std::string whole = scratch.text();
  std::filesystem::remove(scratch.path);
  int killed = 0;
  for (int kill_at = 5; kill_at < 90; kill_at += 30) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      SweepFile file(scratch.path, sweep);
      // On this thread alone: others do not survive a fork.
      for (std::uint64_t row = file.rows(); row < sweep.rows(); ++row) {
        file.append(sweep_row(sweep, row).dump());
        if (static_cast<int>(row) == kill_at) kill(getpid(), SIGKILL);
      }
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    killed += WIFSIGNALED(status) ? 1 : 0;
  }
  CHECK(killed == 3);
  run(sweep, scratch.path, 2);
  CHECK(scratch.text() == whole);
}

TEST_CASE("a cancelled sweep keeps its first rows", "[sweep]") {
  const Sweep sweep = sweep_of({"batch.microbatches=4:400"});
  const Scratch scratch;
  std::atomic<bool> cancelled = false;
  SweepFile file(scratch.path, sweep);
  run_sweep(sweep, file,
            {.threads = 2, .cancelled = &cancelled, .progress = [&](std::uint64_t rows) {
               if (rows == 10) cancelled = true;
             }});
  CHECK(file.rows() >= 10);
  CHECK(file.rows() < 100);
}

TEST_CASE("files that are not this sweep's are left alone", "[sweep][errors]") {
  const Sweep sweep = sweep_of({"batch.microbatches=4,8"});
  const Scratch scratch;
  const auto opened = [&](const Sweep& wanted) {
    return refusal([&] { SweepFile(scratch.path, wanted); });
  };
  for (const std::string& other :
       {std::string("notes\n"), std::string("notes"), std::string("{")}) {
    scratch.write(other);
    if (other == "{") continue;  // may be the beginning of a header
    CHECK_THAT(opened(sweep), contains("holds something else than"));
    CHECK(scratch.text() == other);
  }
  std::filesystem::remove(scratch.path);
  run(sweep, scratch.path, 1);
  CHECK_THAT(opened(sweep_of({"batch.microbatches=4,8,12"})),
             contains("something else than this sweep"));
  const std::string whole = scratch.text();
  scratch.write(whole + "{\"row\":7,\"x\":1}\n");
  CHECK_THAT(opened(sweep), contains("line 4: expected row 2"));
  scratch.write(whole);
  {
    const SweepFile mine(scratch.path, sweep);
    CHECK_THAT(opened(sweep), contains("another process is writing it"));
  }
  CHECK(opened(sweep).empty());
  CHECK_THAT(refusal([&] { SweepFile("/nowhere/rows.jsonl", sweep); }),
             contains("/nowhere/rows.jsonl: cannot open it for writing: No such file"));
  CHECK_THAT(refusal([&] { SweepFile("/dev/null", sweep); }),
             contains("expected a file on a disk"));
}

TEST_CASE("a full disk keeps the rows that are there, and the sweep goes on later",
          "[sweep][errors]") {
  const Sweep sweep = sweep_of({"batch.microbatches=4:40"});
  const Scratch scratch;
  run(sweep, scratch.path, 1);
  const std::string whole = scratch.text();
  std::filesystem::remove(scratch.path);
  // The limit of a file's size stands for the disk's.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{5000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string said = refusal([&] { run(sweep, scratch.path, 2); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK_THAT(said, contains("cannot write to it: File too large; it holds the first "));
  CHECK_THAT(said, contains("and the same command goes on from there"));
  CHECK(scratch.text() == whole.substr(0, 5000));
  run(sweep, scratch.path, 2);
  CHECK(scratch.text() == whole);
}
