// What holds for every row of the table: the rule check passes (make_schedule runs it), the replay
// keeps every dependency, every micro-batch goes through every stage once, a rank never holds more
// than the schedule says, and closed forms equal the replay.

#include <algorithm>
#include <optional>
#include <random>

#include "sim/dependencies.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/field.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

Costs random_costs(const Shape& shape, std::mt19937& random) {
  Costs costs;
  const auto time = [&] { return Nanos(std::uniform_int_distribution<int>(0, 5000)(random)); };
  for (int s = 0; s < shape.stages; ++s) {
    StageCosts stage{
        .forward = time(), .input_grad = time(), .weight_grad = time(), .step = time()};
    stage.backward = stage.input_grad + stage.weight_grad;
    costs.stages.push_back(stage);
    costs.pair.push_back(time());
  }
  costs.links[0].latency = Nanos(std::uniform_int_distribution<int>(0, 3)(random) * 300);
  return costs;
}

// A legal run of the schedule, or nothing: generators refuse many random shapes.
std::optional<Schedule> maybe(const Wanted& wanted) {
  try {
    return make(wanted);
  } catch (const ShapeError&) {
    return std::nullopt;
  }
}

void check_run(const Schedule& s, const Timeline& t) {
  const Activities& what = *t.what;
  OpIndex index(s.shape.stages, s.shape.microbatches);
  std::size_t forwards = 0, gradients = 0;
  for (TaskId id = 0; id < what.size(); ++id) {
    const Op& op = what.op[id];
    if (op.kind > OpKind::kWeightGrad) continue;
    REQUIRE(index.insert(op, id));
    forwards += op.kind == OpKind::kForward ? 1 : 0;
    gradients += is_gradient(op.kind) ? 1 : 0;
  }
  const std::size_t pairs = std::size_t(s.shape.stages) * std::size_t(s.shape.microbatches);
  REQUIRE(forwards == pairs);
  REQUIRE(gradients == (s.shape.forward_only ? 0 : pairs));
  for (TaskId id = 0; id < what.size(); ++id) {
    for (const Dependency& d : dependencies(what.op[id], s.shape.stages)) {
      const TaskId before = index.find(d.op);
      REQUIRE(before != OpIndex::kNone);
      if (t.end[before] > t.start[id]) FAIL(s.name << ": " << cell_text(what.op[id], 2));
    }
  }
}

// A form beside its replay; "step" is what a batch takes between updates away from both ends.
double replayed(const ClosedForm& form, const Timeline& t, int batch) {
  if (form.quantity == "span") return in_units(longest_rank_span(t));
  if (form.quantity == "wall") return in_units(wall(t).length());
  REQUIRE(form.quantity == "step");
  const int last = t.shape().windows() - 2, windows = last - last / 2;
  return (update_end(t, last) - update_end(t, last / 2)) / windows * batch / t.shape().window;
}

int windows_for(const ScheduleInfo& info) { return info.rule == VersionRule::kFlush ? 1 : 10; }

}  // namespace

TEST_CASE("every schedule on random shapes and costs", "[property]") {
  for (const ScheduleInfo& info : schedule_table()) {
    std::mt19937 random(20260101);
    int legal = 0;
    for (int trial = 0; trial < 400; ++trial) {
      const auto pick = [&](int low, int high) {
        return std::uniform_int_distribution<int>(low, high)(random);
      };
      Wanted w{std::string(info.name), pick(1, 12), pick(1, 26), pick(1, 3)};
      for (const ScheduleOption& option : info.options) {
        if (option.name == "v" && pick(0, 1)) w.options["v"] = std::to_string(pick(2, 4));
        if (option.name == "waves" && pick(0, 1)) w.options["waves"] = std::to_string(pick(1, 3));
        if (option.name == "pipelines" && pick(0, 1))
          w.options["pipelines"] = std::to_string(2 * pick(1, 4));
        if (option.name == "group" && pick(0, 1)) w.options["group"] = std::to_string(pick(1, 26));
        if (option.name == "accumulate") w.options["accumulate"] = std::to_string(pick(1, 9));
        if (option.name == "warmup" && pick(0, 1)) w.options["warmup"] = "short";
      }
      const auto s = maybe(w);
      if (!s) continue;
      ++legal;
      const Timeline t = replay(lower(*s, random_costs(s->shape, random)));
      check_run(*s, t);
      if (info.most_activations == nullptr) continue;
      const ScheduleParams params{.ranks = w.ranks,
                                  .batch = w.batch,
                                  .window = s->shape.window,
                                  .windows = w.windows,
                                  .options = w.options};
      MemoryInputs inputs;
      inputs.stages.resize(std::size_t(s->shape.stages));
      inputs.weight_copies.assign(s->shape.rank_of_stage.size(), 1);
      const auto held = memory(t, inputs);
      for (int r = 0; r < w.ranks; ++r) {
        INFO(info.name << " p=" << w.ranks << " m=" << w.batch << " rank " << r);
        REQUIRE(held[std::size_t(r)].peak_activations <= info.most_activations(params, r));
      }
    }
    INFO(info.name);
    CHECK(legal >= 20);
  }
}

TEST_CASE("closed forms equal the replay", "[property]") {
  // Stages of F = 1, B = 2 (I = W = 1) and of F = B = 1; a pair is as long as its halves.
  struct Times {
    double f, i, w;
  };
  const Times times = GENERATE(Times{1, 1, 1}, Times{1, 0.5, 0.5}, Times{1.5, 1.25, 0.75});
  const EqualStages equal{times.f, times.i + times.w, times.i, times.w,
                          times.f + times.i + times.w};
  for (const ScheduleInfo& info : schedule_table()) {
    if (info.closed_forms == nullptr) continue;
    int compared = 0;
    for (int p = 1; p <= 10; ++p) {
      for (int m = 1; m <= 30; ++m) {
        const auto s = maybe({std::string(info.name), p, m, windows_for(info)});
        if (!s) continue;
        const ScheduleParams params{.ranks = p, .batch = m, .window = s->shape.window};
        const auto forms = info.closed_forms(params, equal);
        if (forms.empty()) continue;
        Costs costs = unit_costs(s->shape.stages, times.f, times.i + times.w);
        for (StageCosts& stage : costs.stages) {
          stage.input_grad = units(times.i);
          stage.weight_grad = units(times.w);
        }
        const Timeline t = replay(lower(*s, costs));
        for (const ClosedForm& form : forms) {
          INFO(info.name << " p=" << p << " m=" << m << ": " << form.formula);
          REQUIRE(replayed(form, t, m) == Approx(form.value).epsilon(1e-12));
          ++compared;
        }
      }
    }
    if (times.w == 1) {
      INFO(info.name);
      CHECK(compared > 0);
    }
  }
}

TEST_CASE("closed forms equal the replay at random times, shapes and parameters", "[property]") {
  std::mt19937 random(20260301);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (const ScheduleInfo& info : schedule_table()) {
    if (info.closed_forms == nullptr) continue;
    int compared = 0;
    for (int trial = 0; trial < 300; ++trial) {
      Wanted w{std::string(info.name), pick(1, 20), pick(1, 60), windows_for(info)};
      for (const ScheduleOption& option : info.options) {
        if (option.name == "accumulate") w.options["accumulate"] = std::to_string(pick(0, 9));
        if (option.name == "v") w.options["v"] = std::to_string(pick(2, 4));
        if (option.name == "warmup" && pick(0, 1)) w.options["warmup"] = "short";
        if (option.name == "threshold") w.options["threshold"] = std::to_string(pick(0, 3));
        if (option.name != "preload") continue;
        w.options["preload"] = std::to_string(pick(0, 2));
        w.ranks = pick(0, 5) == 0 ? 2 : 4 * pick(1, 5);
        w.batch = w.ranks * pick(1, 4);
      }
      // W <= I <= F is where the zero-bubble forms hold, F <= B = I + W (any at d = 2) where
      // AMDP's do.
      const double weight = pick(1, 8) / 4.0, input = weight + pick(0, 1) * pick(0, 4) / 4.0;
      const double forward = w.options.count("preload")
                                 ? pick(1, static_cast<int>(4 * (input + weight)) + 4) / 4.0
                                 : input + pick(0, 1) * weight / 2;
      const EqualStages equal{forward, input + weight, input, weight, forward + input + weight};
      const auto s = maybe(w);
      if (!s) continue;
      const ScheduleParams params{
          .ranks = w.ranks, .batch = w.batch, .window = s->shape.window, .options = w.options};
      const auto forms = info.closed_forms(params, equal);
      if (forms.empty()) continue;
      const Timeline t = replay(lower(*s, split_costs(s->shape.stages, forward, input, weight)));
      for (const ClosedForm& form : forms) {
        INFO(info.name << " p=" << w.ranks << " m=" << w.batch << " F=" << forward << " I=" << input
                       << " W=" << weight << ": " << form.formula);
        REQUIRE(replayed(form, t, w.batch) == Approx(form.value).epsilon(1e-9));
        ++compared;
      }
    }
    INFO(info.name);
    CHECK(compared >= 3);
  }
}

TEST_CASE("the V family: more micro-batches never take less time, 1F1B-V at most 6 m + 5 (p - 1)",
          "[property]") {
  // F = I = W = 1. Controllable Memory, arXiv 2405.15362, gives 1F1B-V no closed form.
  const std::string name = GENERATE("v-half", "v-min", "1f1b-v", "zb-v");
  for (int p = 1; p <= 24; ++p) {
    double before = 0;
    for (int m = 1; m <= 2 * p + 2; ++m) {
      INFO(name << " p=" << p << " m=" << m);
      const double now = wall_of({name, p, m});
      REQUIRE(now >= before);
      if (name == "1f1b-v" && m >= p) REQUIRE(now <= 6 * m + 5 * (p - 1));
      before = now;
    }
  }
}
