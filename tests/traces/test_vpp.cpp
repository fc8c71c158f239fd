#include <sstream>

#include "sim/bubble.hpp"
#include "tests/support/catch.hpp"
#include "tests/traces/ran.hpp"
#include "traces/kineto.hpp"
#include "traces/kineto_import.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

std::vector<RankTrace> read(const std::string& text) {
  std::istringstream in(text);
  return read_kineto(in, "vpp.json");
}

std::string refusal(const std::string& text) {
  try {
    read(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

Timeline import(const std::vector<RankTrace>& traces, const Wanted& wanted) {
  return import_kineto(traces, ran(wanted)).file.timeline;
}

std::string id(char kind, int rank, int mb) {
  return fmt::format("pp_{}-mbs_{}-model_chunk_0-task_type_{}", rank, mb,
                     kind == 'F' ? "forward" : "backward");
}
std::string task(char kind, int rank, int mb, double ms, const std::vector<std::string>& after) {
  std::string ids;
  for (const std::string& a : after) ids += (ids.empty() ? "\"" : ", \"") + a + "\"";
  return fmt::format(
      R"({{"task_id": "{}", "task_type": "{}", "pp_rank": {}, "microbatch_id": {},
           "model_chunk_id": 0, "duration": {}, "finished": true, "dependencies": [{}]}})",
      id(kind, rank, mb), kind == 'F' ? "forward" : "backward", rank, mb, ms, ids);
}

// 1F1B, p = 2, m = 2, F = 10 ms, B = 20 ms; the second rank's first backward takes 25.
std::string two_ranks() {
  return R"({"0": [)" + task('F', 0, 0, 10, {}) + "," + task('F', 0, 1, 10, {}) + "," +
         task('B', 0, 0, 20, {id('F', 0, 0), id('B', 1, 0)}) + "," +
         task('B', 0, 1, 20, {id('F', 0, 1), id('B', 1, 1)}) + R"(], "1": [)" +
         task('F', 1, 0, 10, {id('F', 0, 0)}) + "," + task('B', 1, 0, 25, {id('F', 1, 0)}) + "," +
         task('F', 1, 1, 10, {id('F', 0, 1)}) + "," + task('B', 1, 1, 20, {id('F', 1, 1)}) + "]}";
}

}  // namespace

TEST_CASE("tasks of NVIDIA's VPP simulator start when their dependencies have ended", "[vpp]") {
  const std::vector<RankTrace> traces = read(two_ranks());
  REQUIRE(traces.size() == 2);
  CHECK(traces[1].rank == 1);
  const Timeline t = import(traces, {"1f1b", 2, 2});
  // By hand: rank 1 runs 10-20, 20-45, 45-55, 55-75; rank 0 0-10, 10-20, 45-65, 75-95.
  std::vector<double> ends;
  for (const int r : {0, 1})
    for (const TaskId k : order_of_rank(t, r))
      if (!is_update_part(t.what->op[k].kind)) ends.push_back(to_ms(t.end[k]));
  CHECK(ends == std::vector<double>{10, 20, 65, 95, 20, 45, 55, 75});
  CHECK(bubble(t, {IntervalKind::kWall}).ranks[1].busy == Nanos(65'000'000));
}

TEST_CASE("the Chrome trace of the VPP simulator states when each op ran", "[vpp]") {
  const auto event = [](int rank, int ms, int duration_ms, const char* name, const char* category) {
    return fmt::format(
        ",\n{{\"ph\": \"X\", \"pid\": 0, \"tid\": {}, \"ts\": {}, \"dur\": {}, \"name\": \"{}\", "
        "\"cat\": \"{}\"}}",
        rank, 1000 * ms, 1000 * duration_ms, name, category);
  };
  const std::string events =
      R"({"displayTimeUnit": "ms", "traceEvents": [{"ph": "M", "name": "thread_name", "tid": 0})" +
      event(1, 10, 10, "F(mb0,mc0)", "forward") + event(1, 20, 20, "B(mb0,mc0)", "backward") +
      event(0, 40, 20, "B(mb0,mc0)", "backward") + event(0, 0, 10, "F(mb0,mc0)", "forward") + "]}";
  const Timeline t = import(read(events), {"gpipe", 2, 1});
  CHECK(wall(t).length() == Nanos(60'000'000));
  CHECK(bubble(t, {IntervalKind::kWall}).bubble == Approx(0.5));
}

TEST_CASE("what is wrong with a list of tasks is said, all together", "[vpp][errors]") {
  const std::string text =
      R"({"0": [)" + task('F', 0, 0, 10, {"nobody"}) + "," + task('F', 0, 0, 10, {}) +
      R"(, {"task_id": "x", "task_type": "sideways", "pp_rank": -1, "microbatch_id": 0,
            "duration": "long", "dependencies": [3]}, 7]})";
  const std::string said = refusal(text);
  CHECK_THAT(said, contains("depends on 'nobody', which is not in the file"));
  CHECK_THAT(said, contains("task 'pp_0-mbs_0-model_chunk_0-task_type_forward' is there twice"));
  CHECK_THAT(said, contains("0[2].pp_rank"));
  CHECK_THAT(said, contains("0[2].task_type"));
  CHECK_THAT(said, contains("missing field 'model_chunk_id'"));
  CHECK_THAT(said, contains("0[2].duration"));
  CHECK_THAT(said, contains("0[2].dependencies: expected task ids, got 3"));
  CHECK_THAT(said, contains("0[3]: expected a task"));
  const std::string cycle = R"({"0": [)" + task('F', 0, 0, 1, {id('B', 0, 0)}) + "," +
                            task('B', 0, 0, 1, {id('F', 0, 0)}) + "]}";
  CHECK_THAT(refusal(cycle), contains("pp_0-mbs_0-model_chunk_0-task_type_forward waits for a task "
                                      "that waits for it"));
  const std::string no_rank =
      R"~({"traceEvents": [{"ph": "X", "cat": "forward", "name": "F(mb0,mc0)", "ts": 1, "dur": 2,
          "tid": "one"}]})~";
  CHECK_THAT(refusal(no_rank), contains("expected the pipeline rank as tid, got \"one\""));
}
