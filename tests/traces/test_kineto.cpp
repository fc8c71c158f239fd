#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/bubble.hpp"
#include "tests/support/catch.hpp"
#include "tests/traces/ran.hpp"
#include "traces/kineto_import.hpp"
#include "traces/trace_input.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

// A trace as the profiler writes it, event by event; times in us.
struct TraceText {
  int rank = 0;
  double base = 0;  // added to every time
  int next = 1;     // correlation
  std::string events{};

  void event(const std::string& category, const std::string& name, double ts, double dur,
             const std::string& more = "") {
    events += fmt::format(R"({}{{"ph": "X", "cat": "{}", "name": "{}", "pid": 1, "tid": 1,
                              "ts": {:.3f}, "dur": {:.3f}{}}})",
                          events.empty() ? "" : ",\n", category, name, base + ts, dur, more);
  }
  void kernel(const std::string& name, double launched, double ts, double dur) {
    const std::string args = fmt::format(R"(, "args": {{"correlation": {}}})", next++);
    event("cuda_runtime", "cudaLaunchKernel", launched, 5, args);
    event("kernel", name, ts, dur, args);
  }
  // The host is through after 100 us, long before the device.
  void op(const std::string& token, double host, double ts, double dur) {
    event("user_annotation", "PP:" + token, host, 100);
    kernel("gemm_first", host + 10, ts, dur / 2);
    kernel("gemm_last", host + 20, ts + dur / 2, dur / 2);
  }
  void message(const std::string& token, double host, double ts, double dur) {
    event("user_annotation", "PP:" + token, host, 50);
    kernel("ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)", host + 10, ts, dur);
  }
  std::string text() const {
    return fmt::format(
        R"({{"schemaVersion": 1, "distributedInfo": {{"backend": "nccl", "rank": {}, "world_size": 2}},
            "traceEvents": [{}], "traceName": "x"}})",
        rank, events);
  }
  RankTrace read() const {
    std::istringstream in(text());
    return read_kineto(in, fmt::format("rank{}.json", rank)).at(0);
  }
};

// sail-sg/zero-bubble-pipeline-parallelism#25: p = 2, m = 2, F = 10 ms, B = 20 ms; receive kernels
// of rank 1 fill all its gaps. Compute is busy for 60 of 90 ms.
std::vector<TraceText> two_ranks(double base = 0) {
  TraceText a{.rank = 0, .base = base}, b{.rank = 1, .base = base};
  a.op("0F0", 0, 0, 10000);
  a.message("0SEND_F0", 150, 10000, 100);
  a.op("0F1", 250, 10000, 10000);
  a.message("0SEND_F1", 400, 20000, 20000);
  a.message("0RECV_B0", 500, 20000, 20000);
  a.op("0B0", 600, 40000, 20000);
  a.message("0RECV_B1", 800, 60000, 10000);
  a.op("0B1", 900, 70000, 20000);
  b.message("1RECV_F0", 0, 0, 10100);
  b.op("1F0", 100, 10100, 9900);
  b.op("1B0", 300, 20000, 20000);
  b.message("1SEND_B0", 450, 39900, 100);
  b.message("1RECV_F1", 550, 39000, 1000);
  b.op("1F1", 650, 40000, 10000);
  b.op("1B1", 800, 50000, 20000);
  b.message("1SEND_B1", 950, 69900, 100);
  return {a, b};
}

KinetoImport import_text(const std::vector<TraceText>& traces, const TimelineFile& file,
                         std::optional<int> step = {}) {
  std::vector<RankTrace> read;
  for (const TraceText& t : traces) read.push_back(t.read());
  return import_kineto(read, file, step);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

std::string refusal(const std::vector<TraceText>& traces, const TimelineFile& file,
                    std::optional<int> step = {}) {
  try {
    import_text(traces, file, step);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

Span span_of(const Timeline& t, int rank, const std::string& cell) {
  for (const TaskId task : order_of_rank(t, rank))
    if (cell_text(t.what->op[task], 1) == cell) return {t.start[task], t.end[task]};
  FAIL("no " << cell);
  return {};
}

}  // namespace

TEST_CASE("a trace of two ranks is the timeline of their kernels", "[kineto]") {
  // Epoch times, as the profiler has them.
  const double base = GENERATE(0.0, 1615207264505000.0);
  const KinetoImport import = import_text(two_ranks(base), ran({"1f1b", 2, 2}));
  const Timeline& t = import.file.timeline;
  using std::chrono::microseconds;
  CHECK(span_of(t, 0, "0F1").start == microseconds(10000));
  CHECK(span_of(t, 0, "0B1").end == microseconds(90000));
  CHECK(span_of(t, 1, "1F0").start == microseconds(10100));
  CHECK(span_of(t, 1, "1B1").end == microseconds(70000));
  // Waiting in receive kernels is idle.
  const Bubble b = bubble(t, {IntervalKind::kWall});
  CHECK(b.ranks[0].busy == microseconds(60000));
  CHECK(b.ranks[1].busy == microseconds(59900));
  CHECK(b.bubble == Approx(1.0 / 3).margin(0.001));
  // Of a message the shorter kernel, up to the end of the later one.
  for_each_transfer(*t.what, [&](TaskId task, const Transfer& x) {
    const std::string cell = cell_text(t.what->op[x.producer], 1);
    if (cell == "0F0") CHECK(t.start[task] == microseconds(10000));
    if (cell == "0F0") CHECK(t.end[task] == microseconds(10100));
    if (cell == "0F1") CHECK(t.duration(task) == microseconds(1000));
    if (cell == "1B1") CHECK(t.duration(task) == microseconds(100));
  });
  CHECK_THAT(joined(import.notes), contains("8 from their kernels, 0 from ranges on the device"));
  CHECK_THAT(joined(import.notes), contains("messages: 4 of 4 from matched"));
}

TEST_CASE("events with time 0 and duration 0 are left out and counted", "[kineto]") {
  // pytorch/kineto#109.
  std::vector<TraceText> traces = two_ranks(1615207264505000.0);
  traces[0].base = 0;
  traces[0].event("kernel", "lost", 0, 0, R"(, "args": {"correlation": 1})");
  traces[0].event("user_annotation", "PP:0F0", 0, 0);
  const KinetoImport import = import_text(traces, ran({"1f1b", 2, 2}));
  CHECK(wall(import.file.timeline).length() == std::chrono::microseconds(90000));
  CHECK_THAT(joined(import.notes), contains("2 events with time 0 and duration 0 left out"));
}

TEST_CASE("without kernels the ranges of the device count, without those the host's", "[kineto]") {
  std::vector<TraceText> traces{{.rank = 0}};
  traces[0].event("user_annotation", "PP:0F0", 0, 10);
  traces[0].event("gpu_user_annotation", "PP:0F0", 50, 100);
  traces[0].event("user_annotation", "PP:0B0", 200, 400);
  const KinetoImport import = import_text(traces, ran({"1f1b", 1, 1}));
  const Timeline& t = import.file.timeline;
  using std::chrono::microseconds;
  CHECK(span_of(t, 0, "0F0").end - span_of(t, 0, "0F0").start == microseconds(100));
  CHECK_THAT(joined(import.notes), contains("0 from their kernels, 1 from ranges on the device, 1 "
                                            "from ranges on the host, which say when work was "));
}

TEST_CASE("several profiled steps are one, or the windows of a run", "[kineto]") {
  std::vector<TraceText> traces{{.rank = 0}};
  for (int step = 0; step < 3; ++step) {
    const double at = 10000.0 * step;
    traces[0].op("0F0", at, at, 1000 + 100 * step);
    traces[0].op("0B0", at + 200, at + 2000, 2000);
  }
  using std::chrono::microseconds;
  const auto forward = [&](std::optional<int> step) {
    const Timeline t = import_text(traces, ran({"1f1b", 1, 1}), step).file.timeline;
    const Span span = span_of(t, 0, "0F0");
    return span.end - span.start;
  };
  CHECK(forward(1) == microseconds(1000));
  CHECK(forward({}) == microseconds(1200));
  const TimelineFile three = ran({"1f1b", 1, 1, 3});
  const Timeline all = import_text(traces, three).file.timeline;
  CHECK(span_of(all, 0, "0F2").start == microseconds(20000));
  CHECK_THAT(refusal(traces, ran({"1f1b", 1, 1, 2})),
             contains("the traces have 3 steps, and the run 2 windows; use run.steps 3"));
  CHECK_THAT(refusal(traces, ran({"1f1b", 1, 1}), 4),
             contains("step 4: the traces have steps 1 to"));
  CHECK_THAT(refusal(traces, three, 1), contains("the run has 3 windows"));
}

TEST_CASE("what does not fit the schedule is said together", "[kineto]") {
  std::vector<TraceText> traces = two_ranks();
  traces[0].op("0F2", 2000, 95000, 1000);
  TraceText lost{.rank = 1};
  lost.op("1F0", 0, 10100, 9900);
  const std::string text = refusal({traces[0], lost}, ran({"1f1b", 2, 2}));
  CHECK_THAT(text, contains("rank0.json: 0F2 on rank 0, where 1f1b has no 0F2"));
  CHECK_THAT(text, contains("rank1.json: no 1B1 on rank 1"));
  CHECK_THAT(refusal({traces[0]}, ran({"1f1b", 2, 2})), contains("no trace of rank 1"));
  CHECK_THAT(refusal({traces[0], traces[0]}, ran({"1f1b", 2, 2})),
             contains("rank 0 is also in rank0.json"));
  CHECK_THAT(refusal({lost, {.rank = 2}}, ran({"1f1b", 2, 2})), contains("none named PP:"));
  CHECK_THAT(refusal(two_ranks(), ran({"chimera", 2, 2})), contains("2 pipelines"));
}

TEST_CASE("an order that cannot be is refused by the rule check", "[kineto]") {
  std::vector<TraceText> traces{{.rank = 0}};
  traces[0].op("0B0", 0, 0, 100);
  traces[0].op("0F0", 200, 200, 100);
  CHECK_THAT(refusal(traces, ran({"1f1b", 1, 1})), contains("0B0"));
}

TEST_CASE("ops that overlap are moved and counted", "[kineto]") {
  std::vector<TraceText> traces{{.rank = 0}};
  traces[0].op("0F0", 0, 0, 1000);
  traces[0].op("0B0", 200, 900, 1000);
  const KinetoImport import = import_text(traces, ran({"1f1b", 1, 1}));
  CHECK(span_of(import.file.timeline, 0, "0B0").start == std::chrono::microseconds(1000));
  CHECK_THAT(joined(import.notes), contains("1 op began before the one before had ended (by up to "
                                            "0.100 ms)"));
}

TEST_CASE("a trace that is cut off, or none, is refused", "[kineto]") {
  const std::string whole = two_ranks()[0].text();
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, whole.size() / 2, whole.size() - 1}) {
    std::istringstream in(whole.substr(0, length));
    CHECK_THROWS_WITH(read_kineto(in, "t.json"),
                      contains("t.json: not the JSON of a trace, or cut"));
  }
  std::istringstream none(R"({"traceEvents": [{"ph": "X", "name": "F0", "ts": 1, "dur": 1}]})");
  CHECK_THROWS_WITH(read_kineto(none, "t.json"), contains("1 events and none named PP:"));
  std::istringstream bad(
      R"([{"ph": "X", "name": "PP:0F0", "ts": 1}, {"ph": "X", "name": "PP:0F1", "ts": 1, "dur": -1}])");
  CHECK_THROWS_WITH(
      read_kineto(bad, "t.json"),
      contains("event 0 ('PP:0F0'): expected numbers ts and dur >= 0, got ts 1, dur null") &&
          contains("event 1 ('PP:0F1')"));
}

TEST_CASE("gzip traces read as plain ones, a cut one says so", "[kineto]") {
  const auto path = (std::filesystem::temp_directory_path() / "stagesim_trace.json.gz").string();
  const std::string text = two_ranks()[0].text();
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  {
    TraceInput input(path);
    CHECK(read_kineto(input.stream(), path).at(0).ranges.size() == 8);
    CHECK_NOTHROW(input.check());
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  {
    TraceInput input(path);
    CHECK_THROWS_AS(read_kineto(input.stream(), path), InputError);
    CHECK_THROWS_WITH(input.check(), contains("not a whole gzip file"));
  }
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(TraceInput("nowhere.json"), contains("nowhere.json: cannot read this file"));
}

TEST_CASE("Megatron-LM's windows are the micro-batches in the order of the rank", "[kineto]") {
  // 1F1B on two ranks, two steps; the host is through before the device, and the model's own
  // forward_step lies inside.
  const std::string file = "megatron/core/pipeline_parallel/schedules.py";
  std::vector<TraceText> traces{{.rank = 0}, {.rank = 1}};
  for (int step = 0; step < 2; ++step) {
    for (TraceText& t : traces) {
      const double at = 100000.0 * step + 10 * t.rank;
      const auto window = [&](const std::string& function, double host, double ts, double dur) {
        t.event("python_function", file + "(321): " + function, at + host, 100);
        t.event("python_function", "pretrain_gpt.py(88): " + function, at + host + 1, 90);
        t.kernel("gemm", at + host + 20, at + ts, dur);
      };
      window("forward_step", 0, 0, 1000 + 100 * step);
      if (t.rank == 0) window("forward_step", 200, 2000, 1000);
      window("backward_step", 400, 4000, 2000);
      if (t.rank == 1) window("forward_step", 500, 7000, 1000);
      window("backward_step", 600, 9000, 2000);
    }
  }
  const KinetoImport import = import_text(traces, ran({"1f1b", 2, 2}), 2);
  using std::chrono::microseconds;
  const Timeline& t = import.file.timeline;
  CHECK(span_of(t, 0, "0F0").end - span_of(t, 0, "0F0").start == microseconds(1100));
  CHECK(span_of(t, 0, "0F1").start == microseconds(2000));
  CHECK(span_of(t, 1, "1F1").start == microseconds(7010));
  CHECK(span_of(t, 1, "1B0").start == microseconds(4010));
  CHECK_THAT(joined(import.notes), contains("the k-th forward_step of a rank"));
  CHECK_THAT(refusal(traces, ran({"zb-h1", 2, 2})), contains("where zb-h1 has no full backward"));
  // PyTorch's names are better where both are there.
  TraceText both{.rank = 0};
  both.op("0F0", 0, 0, 100);
  both.op("0B0", 200, 200, 100);
  both.event("python_function", file + "(321): forward_step", 0, 50);
  CHECK(both.read().ranges.size() == 2);
}
