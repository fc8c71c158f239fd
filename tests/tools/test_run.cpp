// What a scenario's run must say, against closed forms and published reports.

#include "tests/support/catch.hpp"
#include "tests/tools/scenario_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

double fill_bubble(int p, int m) { return double(p - 1) / (m + p - 1); }

Scenario gpt() {
  return read_scenario(parse_json(scenario_text("gpt-1.5b-8xa800"), "gpt"), "gpt", {});
}

// Time of all tasks of a kind, summed over ranks.
Nanos time_in(const Timeline& timeline, OpKind kind) {
  Nanos sum{0};
  for (TaskId t = 0; t < timeline.what->size(); ++t) {
    if (timeline.what->op[t].kind == kind) sum += timeline.duration(t);
  }
  return sum;
}

Nanos idle(const ScheduleResult& r, IdleCause cause) {
  Nanos sum{0};
  for (const RankIdle& rank : r.bubble.ranks) sum += rank.by_cause[static_cast<std::size_t>(cause)];
  return sum;
}

}  // namespace

// marin-community/marin#6532
TEST_CASE("GPipe's bubble is (p - 1)/(m + p - 1) of the wall", "[run]") {
  for (const auto& [p, m, wall] : {std::tuple{8, 8, 45}, {8, 16, 69}, {4, 8, 33}, {1, 8, 24}}) {
    const ScheduleResult r = result(unit(p, m), "gpipe");
    CHECK(to_ms(r.step_time) == Approx(wall));
    CHECK(r.bubble.bubble == Approx(fill_bubble(p, m)));
    CHECK(r.bubble.over_ideal == Approx(double(p - 1) / m));
    CHECK(r.bubble.interval.kind == IntervalKind::kWall);
  }
}

// microsoft/nnscaler#30
TEST_CASE("where the slow stage sits matters to 1F1B and not to GPipe", "[run]") {
  const auto step = [](const char* forward, const char* backward, const char* schedule) {
    return step_ms(R"({"model": {"stage_times": {"F": )" + std::string(forward) + R"(, "B": )" +
                       backward +
                       R"(}}, "parallel": {"pipeline": 4}, "batch": {"microbatches": 8}})",
                   schedule);
  };
  CHECK(step("[1,1,1,2]", "[2,2,2,4]", "1f1b") == Approx(57));
  CHECK(step("[1,2,1,1]", "[2,4,2,2]", "1f1b") == Approx(53));
  CHECK(step("[2,1,1,1]", "[4,2,2,2]", "1f1b") == Approx(51));
  CHECK(step("1", "2", "1f1b") == Approx(33));
  for (const auto& [f, b] : {std::pair{"[1,1,1,2]", "[2,2,2,4]"},
                             {"[1,2,1,1]", "[2,4,2,2]"},
                             {"[2,1,1,1]", "[4,2,2,2]"}}) {
    CHECK(step(f, b, "gpipe") == Approx(57));
  }
}

// ISEEKYAN/verl_megatron_practice#9 and bigscience-workshop/bigscience#70
TEST_CASE("a larger micro-batch at a fixed global batch means a larger bubble", "[run]") {
  const auto derived = [](int p, int data, int micro, int global) {
    return read(R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": )" +
                std::to_string(p) + R"(, "data": )" + std::to_string(data) +
                R"(}, "batch": {"micro": )" + std::to_string(micro) + R"(, "global": )" +
                std::to_string(global) + "}}");
  };
  const auto check = [](const Scenario& s, int m, double bubble) {
    CHECK(s.batch == m);
    CHECK(run_schedule(s, {"1f1b", {}}).result.bubble.bubble == Approx(bubble).margin(5e-5));
  };
  check(derived(8, 4, 1, 256), 64, 0.0986);
  check(derived(8, 4, 2, 256), 32, 0.1795);
  check(derived(8, 4, 4, 256), 16, 0.3043);
  check(derived(8, 4, 8, 256), 8, 0.4667);
  check(derived(12, 16, 2, 32), 1, 0.9167);
  check(derived(12, 16, 2, 192), 6, 0.6471);
  check(derived(12, 16, 2, 384), 12, 0.4783);
  check(derived(12, 16, 2, 2048), 64, 0.1467);
}

// rohitg00/ai-engineering-from-scratch#66: two numbers, both called bubble.
TEST_CASE("the share of the total and the ratio to useful work are two numbers", "[run]") {
  const ScheduleResult r =
      result(R"({"model": {"stage_times": {"F": 1, "B": 1}}, "parallel": {"pipeline": 16},
                                      "batch": {"microbatches": 8}})",
             "1f1b");
  CHECK(r.bubble.bubble == Approx(30.0 / 46));
  CHECK(r.bubble.over_ideal == Approx(30.0 / 16));
}

// aliyun/SimAI#283: with messages of c ms 1F1B grows by 16 c, GPipe by 6 c.
TEST_CASE("latency costs 1F1B more than the fill and drain", "[run][network]") {
  const auto step = [](double us, const char* schedule) {
    return step_ms(
        unit(4, 8, R"(, "cluster": {"p2p": {"latency_us": )" + std::to_string(us) + "}}"),
        schedule);
  };
  for (const auto& [us, one, all] : {std::tuple{0.0, 33.0, 33.0},
                                     {100.0, 34.6, 33.6},
                                     {500.0, 41.0, 36.0},
                                     {1000.0, 49.0, 39.0}}) {
    CHECK(step(us, "1f1b") == Approx(one));
    CHECK(step(us, "gpipe") == Approx(all));
  }
}

// By hand, p = m = 2, messages of 1 ms. Overlapped: rank 0 runs F0 F1 at 0..2, B0 6..8, B1 9..11.
// Blocking: the send of F0 holds rank 0 until 2, so that F1 ends at 3; B0 and F1 then cross from 5
// to 6, B1 runs 10..12.
TEST_CASE("blocking communication holds the rank while a message is on its way", "[run][network]") {
  const auto step = [](const char* mode, const char* us) {
    return step_ms(unit(2, 2,
                        R"(, "cluster": {"p2p": {"latency_us": )" + std::string(us) +
                            R"(}}, "comm": {"mode": ")" + mode + "\"}"),
                   "1f1b");
  };
  CHECK(step("overlapped", "1000") == Approx(11));
  CHECK(step("blocking", "1000") == Approx(12));
  CHECK(step("blocking", "0") == Approx(step("overlapped", "0")));
}

// The group of sends and receives between two ops is posted when the first one is done, before the
// update that stands between them: so a barrier finds every rank.
TEST_CASE("a barrier and blocking communication do not hang a single pipeline", "[run][network]") {
  const std::string schedule = GENERATE("gpipe", "1f1b", "pipedream", "2bw");
  const int ranks = GENERATE(1, 2, 4);
  const std::string text =
      unit(ranks, 4, R"(, "comm": {"mode": "blocking"}, "run": {"steps": 3, "barrier": true})");
  CHECK_NOTHROW(result(text, schedule));
}

// A unit of d micro-batches takes 3 d + 1 with B = 2 F, and the barrier costs one F per update.
TEST_CASE("a global barrier costs AMDP one forward per update", "[run][amdp]") {
  const int d = GENERATE(4, 8);
  const int units = GENERATE(1, 2, 4, 8);
  const double unit_ms = 3 * d + 1;
  CHECK(step_ms(unit(d, d * units), "amdp") == Approx(units * unit_ms));
  const ScheduleResult r = result(unit(d, d * units, R"(, "run": {"barrier": true})"), "amdp");
  CHECK(to_ms(r.step_time) == Approx(units * unit_ms + 1));
  CHECK(r.bubble.bubble == Approx((units + 1) / (units * unit_ms + 1)));
}

TEST_CASE("an update of length x costs AMDP exactly x", "[run][amdp]") {
  const auto step = [](const char* update) {
    return step_ms(R"({"model": {"stage_times": {"F": 1, "B": 2}, "update_time": )" +
                       std::string(update) +
                       R"(}, "parallel": {"pipeline": 4}, "batch": {"microbatches": 8}})",
                   "amdp");
  };
  // A rank hosts d/2 = 2 stages but the owner steps one.
  CHECK(step("0.5") == Approx(step("0") + 0.5));
}

TEST_CASE("AMDP is not ahead of PipeDream-2BW where the stages are equal", "[run][amdp]") {
  CHECK(step_ms(unit(8, 8), "amdp") == Approx(25));
  CHECK(step_ms(unit(8, 8), "2bw") == Approx(24));
}

TEST_CASE("memory is weights x copies and what is in flight", "[run][memory]") {
  const std::string text = R"({"model": {"stage_times": {"F": 1, "B": 2}, "stage_bytes": {
      "activation": 100, "message": 10, "weights": 1000, "gradients": 2000, "optimizer": 6000, "workspace": 50}},
    "parallel": {"pipeline": 2}, "batch": {"microbatches": 4}})";
  const ScheduleResult flush = result(text, "1f1b");
  REQUIRE(flush.memory.size() == 2);
  // Rank 0 keeps two micro-batches and the gradient it works on, rank 1 one and the next
  // activation.
  CHECK(flush.memory[0].resting == 9050);
  CHECK(flush.memory[0].peak == 9050 + 2 * 100 + 10);
  CHECK(flush.memory[0].peak_activations == 2);
  CHECK(flush.memory[1].peak == 9050 + 100 + 10);
  CHECK(flush.memory[1].peak_activations == 1);
  CHECK(result(text, "gpipe").memory[0].peak_activations == 4);
  CHECK(result(text, "2bw").memory[1].resting == 10050);
  CHECK(result(text, "pipedream").memory[0].resting == 10050);  // p - r versions
  CHECK(result(text, "pipedream").memory[1].resting == 9050);
}

TEST_CASE("weight versions held: flush 1, PipeDream p - r, 2BW 2, AMDP d/2 stages",
          "[run][memory]") {
  for (const std::string schedule : {"gpipe", "1f1b", "pipedream", "2bw", "amdp"}) {
    const ScheduleResult r = result(unit(4, 8), schedule);
    for (int rank = 0; rank < 4; ++rank) {
      const int copies = schedule == "pipedream"                   ? 4 - rank
                         : schedule == "2bw" || schedule == "amdp" ? 2
                                                                   : 1;
      CHECK(r.versions.copies_of_rank[std::size_t(rank)] == copies);
    }
  }
}

TEST_CASE("AMDP's threshold sets the window in units of d", "[run][amdp]") {
  for (const auto& [spec, window, updates] : {std::tuple{"amdp", 8, 1.0},
                                              {"amdp:threshold=1", 4, 2.0},
                                              {"amdp:threshold=2", 8, 1.0},
                                              {"amdp:threshold=4", 16, 0.5}}) {
    const ScheduleResult r = result(unit(4, 8), spec);
    CHECK(r.shape.window == window);
    CHECK(r.updates_per_batch == Approx(updates));
    CHECK(to_ms(r.step_time) == Approx(26));  // the order is the same for every window length
    CHECK(r.batch == 8);
  }
}

TEST_CASE("an asynchronous run of n steps replays n + 2 windows", "[run]") {
  const int steps = GENERATE(1, 2, 4, 7);
  const std::string more = R"(, "run": {"steps": )" + std::to_string(steps) + "}";
  for (const char* schedule : {"2bw", "amdp"}) {
    CHECK(result(unit(4, 8, more), schedule).shape.windows() == steps + 2);
  }
  // An update after every backward: the batch of 8 at either edge, and as many per step between.
  const ScheduleResult r = result(unit(4, 8, more), "pipedream");
  CHECK(r.shape.window == 1);
  CHECK(r.shape.windows() == 8 * (steps + 2));
  CHECK(r.updates_per_batch == Approx(8));
}

TEST_CASE("a flush schedule replays exactly the steps asked for", "[run]") {
  CHECK(result(unit(4, 8), "1f1b").shape.windows() == 1);
  CHECK(result(unit(4, 8, R"(, "run": {"steps": 3})"), "1f1b").shape.windows() == 3);
}

TEST_CASE("with equal stages the step time does not depend on the number of steps", "[run]") {
  const std::string schedule =
      GENERATE("gpipe", "1f1b", "pipedream", "2bw", "amdp", "amdp:preload=1", "amdp:threshold=1");
  const double one = step_ms(unit(4, 8, R"(, "run": {"steps": 1})"), schedule);
  for (const int steps : {2, 3, 8}) {
    CHECK(step_ms(unit(4, 8, R"(, "run": {"steps": )" + std::to_string(steps) + "}"), schedule) ==
          Approx(one));
  }
}

TEST_CASE("AMDP pays reduce and broadcast for its replicas, PipeDream-2BW does not",
          "[run][update]") {
  Scenario scenario = gpt();
  scenario.model->tied = false;  // else both ends add up the embedding's gradient
  const Run amdp = run_schedule(scenario, {"amdp", {}});
  CHECK(time_in(amdp.timeline, OpKind::kReduce) > Nanos(0));
  CHECK(time_in(amdp.timeline, OpKind::kBroadcast) > Nanos(0));
  CHECK(idle(amdp.result, IdleCause::kReduceBroadcast) > Nanos(0));
  const Run single = run_schedule(scenario, {"2bw", {}});
  CHECK(time_in(single.timeline, OpKind::kReduce) == Nanos(0));
  CHECK(time_in(single.timeline, OpKind::kBroadcast) == Nanos(0));
  CHECK(idle(single.result, IdleCause::kReduceBroadcast) == Nanos(0));
  CHECK(time_in(single.timeline, OpKind::kStep) > Nanos(0));
  // A replicated optimizer all-reduces and needs no broadcast.
  const Run replicated = run_schedule(scenario, {"amdp", {{"optimizer", "replicated"}}});
  CHECK(time_in(replicated.timeline, OpKind::kReduce) > Nanos(0));
  CHECK(time_in(replicated.timeline, OpKind::kBroadcast) == Nanos(0));
}

TEST_CASE("data-parallel copies make the update slower and the tokens more", "[run][update]") {
  const auto scenario = [](int nodes, int data) {
    return R"({"model": {"preset": "gpt-1.5b"}, "parallel": {"pipeline": 8, "data": )" +
           std::to_string(data) +
           R"(}, "batch": {"micro": 1, "microbatches": 16}, "cluster": {"gpu": "a800-sxm-80gb", "nodes": )" +
           std::to_string(nodes) +
           R"(, "gpus_per_node": 8, "intra": "nvlink3", "inter": "hdr200x8"}})";
  };
  const Run one = run_schedule(read(scenario(1, 1)), {"2bw", {}});
  const Run two = run_schedule(read(scenario(2, 2)), {"2bw", {}});
  // One copy: only the tied embedding's gradient is added up.
  CHECK(time_in(two.timeline, OpKind::kReduce) > 4 * time_in(one.timeline, OpKind::kReduce));
  CHECK(two.result.step_time > one.result.step_time);
  const double tokens_of_a_step = 16 * 1024;
  CHECK(one.result.tokens_per_s == Approx(tokens_of_a_step / to_ms(one.result.step_time) * 1e3));
  CHECK(two.result.tokens_per_s ==
        Approx(2 * tokens_of_a_step / to_ms(two.result.step_time) * 1e3));
}

TEST_CASE("a schedule that refuses leaves the others alone, a name nobody knows does not",
          "[run][errors]") {
  const Scenario s = read(unit(6, 12));
  const std::vector<Attempt> attempts = run_schedules(s, {{"1f1b", {}}, {"amdp", {}}, {"2bw", {}}});
  REQUIRE(attempts.size() == 3);
  CHECK(attempts[0].run.has_value());
  CHECK(!attempts[1].run.has_value());
  CHECK_THAT(attempts[1].refusal, contains("amdp: 6 ranks do not work"));
  CHECK(attempts[2].run.has_value());
  CHECK_THROWS_WITH(run_schedules(s, {{"1f1b", {}}, {"1f1c", {}}}),
                    contains("unknown schedule '1f1c' (did you mean '1f1b'?)"));
  CHECK_THROWS_WITH(run_schedules(s, {{"1f1b", {}}, {"amdp", {{"prelod", "1"}}}}),
                    contains("unknown parameter 'prelod' (did you mean 'preload'?)"));
}

// huggingface/nanotron#347: the four numbers and the names of the options in one message.
TEST_CASE("a refusal names where the number of micro-batches came from", "[run][errors]") {
  const Scenario s =
      read(R"({"model": {"stage_times": {"F": 1, "B": 2}}, "parallel": {"pipeline": 8},
                              "batch": {"micro": 8, "global": 8}})");
  CHECK_THROWS_WITH(run_schedule(s, {"2bw", {}}),
                    contains("1 micro-batch") &&
                        contains("batch.global 8 / (batch.micro 8 x data-parallel copies 1)") &&
                        contains("8 ranks need at least 8"));
}
