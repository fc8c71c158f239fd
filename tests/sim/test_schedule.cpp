#include "sim/dependencies.hpp"
#include "sim/schedule.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_program.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

const std::string kSmall =
    "# small ranks=2 stages=2 pipelines=1 microbatches=2 window=2 rule=flush optimizer=replicated\n"
    "# rank of each stage: 0 1\n"
    "0F0 0F1 0B0 0B1 0U0\n"
    "1F0 1B0 1F1 1B1 1U0\n";

Schedule small(const std::string& from = "", const std::string& to = "") {
  std::string text = kSmall;
  if (!from.empty()) text.replace(text.find(from), from.size(), to);
  return parse_schedule(text, "s.txt");
}

}  // namespace

TEST_CASE("the text form round-trips to the same bytes", "[schedule]") {
  CHECK(schedule_text(small()) == kSmall);
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const std::string text = schedule_text(random_schedule(random, {.several_pipelines = true}));
    CHECK(schedule_text(parse_schedule(text, "r.txt")) == text);
  }
  const std::string amdp = schedule_text(make({"amdp", 8, 16, 2}));
  CHECK(schedule_text(parse_schedule(amdp, "a.txt")) == amdp);
}

TEST_CASE("text errors name line, column, token and what was expected, all together",
          "[schedule][errors]") {
  CHECK_THROWS_WITH(
      small("0F1 0B0", "0F1xyz 0G0"),
      "s.txt:3:5: expected a cell such as 2F0, 1W3, 0B7@1 or (0F7;7B3)OVERLAP_F_B, got '0F1xyz'\n"
      "s.txt:3:12: expected a cell such as 2F0, 1W3, 0B7@1 or (0F7;7B3)OVERLAP_F_B, got '0G0'");
  for (const char* cell : {"F0", "0F", "0F-1", "-1F0", "0F0@", "0F0@x", "0F99999999999",
                           "99999999F0", "0f0", "(0F0)"}) {
    CHECK_THROWS_AS(small("0F1", cell), InputError);
  }
  CHECK_THROWS_WITH(small("rule=flush", "rule=flash"),
                    contains("s.txt:1: rule: expected flush, stash, double-buffer, latest, "
                             "vertical-sync or predict, got 'flash'"));
  CHECK_THROWS_WITH(small("window=2", "windows=2"),
                    contains("unknown key 'windows' (did you mean 'window'?)"));
  CHECK_THROWS_WITH(small("microbatches=2", "microbatches=3"),
                    contains("3 do not divide by the window of 2"));
  CHECK_THROWS_WITH(small("stage: 0 1", "stage: 0 7"),
                    contains("s.txt:2: expected a rank from 0 to 1, got '7'"));
  CHECK_THROWS_WITH(small("1F0 1B0 1F1 1B1 1U0\n", ""),
                    contains("expected 2 lines of cells, one per rank, got 1"));
  CHECK_THROWS_AS(parse_schedule("", "s.txt"), InputError);
}

TEST_CASE("the rule check names rank, step and cause", "[schedule][errors]") {
  CHECK(schedule_problems(small()).empty());
  CHECK(schedule_problems(small("0F0 0F1 0B0", "0B0 0F1 0F0")) ==
        std::vector<std::string>{"small: rank 0 step 0: 0B0 runs before 0F0, which it needs"});
  CHECK(schedule_problems(small("0B0 0B1 0U0", "0B0 0U0 0B1")) ==
        std::vector<std::string>{
            "small: rank 0 step 3: 0U0 runs before 0B1: that gradient would be lost"});
  CHECK(
      schedule_problems(small("1F1 1B1", "1F1 1F1 1B1")) ==
      std::vector<std::string>{
          "small: rank 1 step 3: 1F1 a second time (full and split backward exclude each other)"});
  CHECK(schedule_problems(small(" 1B1", "")) ==
        std::vector<std::string>{"small: rank 0 step 0: 1 ops are missing, the first is 1B1 (2 "
                                 "stages x 2 micro-batches, each F and B or I, W)"});
  CHECK(schedule_problems(small(" 0U0", "")) ==
        std::vector<std::string>{"small: rank 0 step 0: stage 0 of pipeline 0 updates 0 times, "
                                 "expected 1 (one per window)"});
  CHECK(schedule_problems(small("1F1", "1F5")).back() ==
        "small: rank 1 step 2: 1F5 is outside 2 stages, 1 pipelines, 2 micro-batches");
  CHECK_THROWS_WITH(check_schedule(small("0F0 0F1 0B0", "0B0 0F1 0F0")),
                    "small: rank 0 step 0: 0B0 runs before 0F0, which it needs\n"
                    "the first one, between > and <:\n"
                    "  rank   0   >0B0< 0F1 0F0 0B1 0U0\n"
                    "  rank   1   1F0 1B0 1F1 1B1 1U0");
}

TEST_CASE("a stage on the wrong rank is named with both ranks", "[schedule][errors]") {
  // pytorch/torchtitan#774: an order made for another placement.
  const auto found = schedule_problems(small("stage: 0 1", "stage: 1 0"));
  REQUIRE(found.size() >= 1);
  CHECK(found[0] == "small: rank 0 step 0: 0F0 runs here, but stage 0 of pipeline 0 is on rank 1");
}

TEST_CASE("split backwards: W needs I, a full backward beside W is refused", "[schedule][errors]") {
  Schedule s = small("0B0 0B1", "0I0 0W0 0I1 0W1");
  CHECK(schedule_problems(s).empty());
  s = small("0B0 0B1", "0W0 0I0 0B1");
  CHECK(schedule_problems(s) ==
        std::vector<std::string>{"small: rank 0 step 2: 0W0 runs before 0I0, which it needs"});
  s = small("0B0 0B1", "0B0 0W0 0B1");
  CHECK(schedule_problems(s).size() == 1);
}

TEST_CASE("a header that promises more than the file holds is answered without building tables",
          "[schedule][errors]") {
  const Schedule s = parse_schedule(
      "# big ranks=1 stages=60000 pipelines=1 microbatches=1000000000 window=1 rule=flush "
      "optimizer=owner\n"
      "# rank of each stage:" +
          [] {
            std::string zeros;
            for (int i = 0; i < 60000; ++i) zeros += " 0";
            return zeros;
          }() +
          "\n0F0\n",
      "s.txt");
  CHECK(schedule_problems(s).size() == 1);
}

TEST_CASE("dependencies: the one place that knows", "[schedule]") {
  const auto names = [](const Op& op) {
    std::vector<std::string> out;
    for (const Dependency& d : dependencies(op, 3)) out.push_back(cell_text(d.op, 1));
    return out;
  };
  CHECK(names({.microbatch = 5, .stage = 0}).empty());
  CHECK(names({.microbatch = 5, .stage = 2}) == std::vector<std::string>{"1F5"});
  CHECK(names({.microbatch = 5, .stage = 1, .kind = OpKind::kBackward}) ==
        std::vector<std::string>{"1F5", "2B5"});
  CHECK(names({.microbatch = 5, .stage = 2, .kind = OpKind::kInputGrad}) ==
        std::vector<std::string>{"2F5"});
  CHECK(names({.microbatch = 5, .stage = 1, .kind = OpKind::kWeightGrad}) ==
        std::vector<std::string>{"1I5"});
  CHECK(names({.microbatch = 5, .stage = 1, .kind = OpKind::kUpdate}).empty());
}
