// The planner against a search that replays everything, and against loops of its own.
#include <algorithm>
#include <cmath>
#include <limits>

#include "hwmodels/megatron_args.hpp"
#include "hwmodels/pipeline_layout.hpp"
#include "tests/support/catch.hpp"
#include "tools/study/plan.hpp"
#include "tools/study/plan_space.hpp"
#include "tools/study/run.hpp"

using namespace stagesim;

namespace {

// 6.7 billion parameters on 8 GPUs of 40 GB, so little that not everything fits.
ScenarioInput small_input(const std::string& more = "") {
  ScenarioInput input;
  input.json = parse_json(R"({"model": {"preset": "gpt-6.7b"}, "batch": {"global": 16},
                              "cluster": {"node": "p4d", "nodes": 1})" +
                              more + "}",
                          "test");
  input.file = "test";
  return input;
}

const std::vector<std::string> kFew{"gpipe", "1f1b",          "interleaved-1f1b",
                                    "zb-h1", "pipedream-2bw", "amdp"};

PlanOptions few(PlanObjective objective = PlanObjective::kTime) {
  return {.objective = objective, .schedules = kFew, .threads = 2};
}

std::vector<std::string> lines(const PlanResult& result) {
  std::vector<std::string> all;
  for (const Plan& p : result.best)
    all.push_back(
        fmt::format("{}: {} ms, {} GiB", p.choice.text(), p.step_ms, p.summary.peak_memory_gib));
  return all;
}

}  // namespace

TEST_CASE("the best of every schedule is that of an exhaustive search, for any number of threads",
          "[plan]") {
  const PlanObjective objective = GENERATE(PlanObjective::kTime, PlanObjective::kMemory);
  PlanOptions options = few(objective);
  const PlanResult pruned = plan(small_input(), options);
  options.prune = false;
  options.threads = 3;
  const PlanResult all = plan(small_input(), options);
  REQUIRE(all.best.size() == kFew.size());
  CHECK(lines(pruned) == lines(all));
  CHECK(pruned.choices == all.choices);
  CHECK(all.pruned == 0);
  CHECK(pruned.pruned > 100);
  CHECK(pruned.replayed + pruned.pruned + pruned.refused == pruned.choices);
  CHECK(all.too_large > 0);
}

TEST_CASE("plain loops over all that can be set find the same winner", "[plan]") {
  double best_ms = std::numeric_limits<double>::max();
  std::string best;
  for (const int p : {1, 2, 4, 8}) {
    for (const int t : {1, 2, 4, 8}) {
      for (const int micro : {1, 2, 4, 8, 16}) {
        for (const char* recompute : {"none", "selective", "full"}) {
          for (const char* layers : {"even", "balanced"}) {
            ScenarioInput input = small_input(fmt::format(
                R"(, "parallel": {{"pipeline": {}, "tensor": {}, "sequence_parallel": {}}},
                   "partition": {{"layers": "{}"}})",
                p, t, t > 1, layers));
            input.json["batch"]["micro"] = micro;
            input.json["model"]["recompute"] = recompute;
            for (const char* schedule :
                 {"gpipe", "1f1b", "interleaved-1f1b:v=2", "interleaved-1f1b:v=4", "zb-h1",
                  "pipedream-2bw", "amdp"}) {
              try {
                const Scenario s = input.read();
                const Run run = run_schedule(s, parse_schedule_spec(schedule));
                const double ms = to_ms(run.result.step_time) / 16;
                if (!run.result.fits.value() || ms >= best_ms) continue;
                best_ms = ms;
                best = fmt::format("{} {} {} {} {} {}", p, t, micro, recompute, layers, schedule);
              } catch (const InputError&) {  // does not divide, or the schedule refuses
              }
            }
          }
        }
      }
    }
  }
  const PlanResult result = plan(small_input(), few());
  const Plan& winner = result.best.at(0);
  const PlanChoice& c = winner.choice;
  CHECK(winner.ms_per_sample == Approx(best_ms).epsilon(1e-12));
  CHECK(fmt::format("{} {} {} {} {} {}", c.pipeline, c.tensor, c.micro, c.recompute, c.partition,
                    c.schedule.text()) == best);
}

TEST_CASE("no schedule goes below its bounds", "[plan]") {
  std::size_t refused = 0;
  const PlanSpace space = plan_space(small_input());
  int runs = 0;
  for (const PlanSetting& setting : plan_settings(space, 1, refused)) {
    for (const ScheduleSpec& schedule : plan_schedules({})) {
      try {
        const Run run = run_schedule(setting.scenario, schedule);
        INFO(setting.choice.text() << schedule.text());
        REQUIRE(to_ms(run.result.step_time) / 16 >= setting.bound_ms);
        REQUIRE(summary_of(run.result).peak_memory_gib >= setting.bound_gib);
        ++runs;
      } catch (const InputError&) {
      }
    }
  }
  CHECK(runs > 1000);
  CHECK(refused > 0);
}

TEST_CASE("a plan is a scenario that runs to the same step", "[plan]") {
  const PlanResult result = plan(small_input(), few());
  for (const Plan& p : result.best) {
    const Scenario s = p.input.read();
    const Run run = run_schedule(s, s.schedule);
    CHECK(to_ms(run.result.step_time) == p.step_ms);
    CHECK(run.layers == p.layers);
    CHECK(p.gpus == 8);
  }
}

TEST_CASE("limits: mismatch, headroom, a deadline", "[plan]") {
  PlanOptions options = few();
  options.most_mismatch = 0;
  const PlanResult same = plan(small_input(), options);
  for (const Plan& p : same.best) CHECK(p.summary.max_mismatch == 0);
  CHECK(same.without.at("amdp") == "mismatch 1, 0 allowed");

  options = few();
  options.headroom = 0.5;
  for (const Plan& p : plan(small_input(), options).best)
    CHECK(p.summary.peak_memory_gib <= p.capacity_gib / 2);

  // On two nodes the best step is faster than on one; a deadline between them needs both.
  ScenarioInput input = small_input();
  input.json["cluster"]["nodes"] = 2;
  const double one = plan(small_input(), few()).best[0].step_ms;
  const double two = plan(input, few()).best[0].step_ms;
  REQUIRE(two < one);
  options = few(PlanObjective::kGpus);
  options.deadline_ms = (one + two) / 2;
  const PlanResult both = plan(input, options);
  CHECK(both.best.at(0).gpus == 16);
  options.deadline_ms = one * 1.001;
  CHECK(plan(input, options).best.at(0).gpus == 8);
  options.deadline_ms = two / 10;
  const PlanResult none = plan(input, options);
  CHECK(none.best.empty());
  CHECK_THAT(none.without.at("1f1b"), contains("its best step takes"));
}

TEST_CASE("what a plan needs", "[plan][errors]") {
  ScenarioInput no_model;
  no_model.json = parse_json(R"({"model": {"stage_times": {"F": 1, "B": 2}},
                                 "batch": {"microbatches": 4}})",
                             "test");
  no_model.file = "test";
  CHECK_THROWS_WITH(plan(no_model, few()), contains("plan: needs a model and GPUs"));
  ScenarioInput no_global = small_input();
  no_global.json["batch"] = {{"microbatches", 8}};
  CHECK_THROWS_WITH(plan(no_global, few()), contains("plan: needs batch.global"));
  no_global.json["batch"] = {{"global", "many"}};
  CHECK_THROWS_WITH(plan(no_global, few()), contains("batch.global: expected a whole number"));
  ScenarioInput no_count = small_input();
  no_count.json["cluster"] = {{"gpu", "a100-sxm-40gb"}};
  CHECK_THROWS_WITH(plan(no_count, few()), contains("plan: needs a model and GPUs"));
}

TEST_CASE("a global batch that not all GPUs can share alone", "[plan]") {
  ScenarioInput input = small_input();
  input.json["batch"]["global"] = 6;
  const PlanResult result = plan(input, few());
  REQUIRE_FALSE(result.best.empty());
  for (const Plan& p : result.best) CHECK(6 % (p.data * p.choice.micro) == 0);
}

TEST_CASE("Megatron-LM's flags say the layers that the plan has", "[plan]") {
  PlanOptions options{.schedules = {"1f1b", "interleaved-1f1b"}, .threads = 2};
  for (const Plan& p : plan(small_input(), options).best) {
    const std::string flags = megatron_flags_of(p);
    INFO(flags);
    CHECK_THAT(flags,
               contains(fmt::format("--pipeline-model-parallel-size {} ", p.choice.pipeline)));
    CHECK_THAT(flags, contains("--global-batch-size 16"));
    const auto quote = flags.find("layout '");
    if (quote == std::string::npos) continue;
    const auto stages =
        read_pipeline_layout(flags.substr(quote + 8, flags.find('\'', quote + 8) - quote - 8));
    CHECK(layout_problems(stages, 32).empty());
    REQUIRE(stages.size() == p.layers.size());
    for (std::size_t i = 0; i < stages.size(); ++i) CHECK(stages[i].layers == p.layers[i]);
  }
  Plan uneven;
  uneven.choice = {.nodes = 1,
                   .pipeline = 4,
                   .tensor = 2,
                   .micro = 2,
                   .recompute = "full",
                   .partition = "balanced",
                   .schedule = {.name = "1f1b", .options = {}}};
  uneven.layers = {6, 7, 1, 18};
  uneven.input = small_input(R"(, "parallel": {"pipeline": 4, "tensor": 2, "zero": 1})");
  uneven.input.json["batch"]["micro"] = 2;
  CHECK(megatron_flags_of(uneven) ==
        "--pipeline-model-parallel-size 4 --tensor-model-parallel-size 2 --micro-batch-size 2 "
        "--global-batch-size 16 --pipeline-model-parallel-layout 'Et*6|t*7|t|t*18L' "
        "--use-distributed-optimizer --recompute-granularity full --recompute-method uniform "
        "--recompute-num-layers 1");
  uneven.choice.schedule.name = "amdp";
  CHECK(megatron_flags_of(uneven).empty());
}
