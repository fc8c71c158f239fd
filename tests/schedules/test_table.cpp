#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("names and aliases are found, others answered with the nearest", "[table][errors]") {
  CHECK(find_schedule("1f1b").name == "1f1b");
  CHECK(find_schedule("dapple").name == "1f1b");
  CHECK(find_schedule("pipedream-flush").name == "1f1b");
  CHECK(find_schedule("2bw").name == "pipedream-2bw");
  CHECK_THROWS_WITH(
      find_schedule("1f1c"),
      contains("unknown schedule '1f1c' (did you mean '1f1b'?); known: gpipe, 1f1b, ") &&
          contains(", amdp, "));
  CHECK_THROWS_WITH(find_schedule("dappel"), contains("did you mean 'dapple'?"));
}

TEST_CASE("every name and alias is unique and every row is complete", "[table]") {
  std::set<std::string_view> names;
  for (const ScheduleInfo& info : schedule_table()) {
    CHECK(names.insert(info.name).second);
    for (const std::string_view alias : info.aliases) CHECK(names.insert(alias).second);
    CHECK_FALSE(info.summary.empty());
    CHECK_FALSE(info.source.empty());
    CHECK(info.window != nullptr);
    CHECK(info.generate != nullptr);
  }
}

TEST_CASE("unknown and wrong parameters are refused", "[table][errors]") {
  CHECK_THROWS_WITH(make({"gpipe", 2, 2, 1, 0, {{"preload", "1"}}}),
                    "gpipe: unknown parameter 'preload': this schedule has none");
  CHECK_THROWS_WITH(make({"amdp", 4, 4, 1, 0, {{"preload", "two"}}}),
                    "amdp: preload: expected a whole number from 0 to 2, got 'two'");
  CHECK_THROWS_WITH(make({"amdp", 4, 4, 1, 0, {{"rule", "lifo"}}}),
                    "amdp: rule: expected closed-form or fifo or lowest-first, got 'lifo'");
}

TEST_CASE("the display name carries what differs from the defaults", "[table]") {
  CHECK(display_name(find_schedule("amdp"), {{"preload", "2"}, {"optimizer", "owner"}}) == "amdp");
  CHECK(display_name(find_schedule("amdp"), {{"preload", "1"}}) == "amdp:preload=1");
}

TEST_CASE("shapes too large to run are refused with the arithmetic, before any work",
          "[table][errors]") {
  CHECK_THROWS_WITH(make({"1f1b", 16384, 100'000'000}),
                    contains("16384 ranks x 100000000 micro-batches"));
}

TEST_CASE("amdp's threshold sets the window to k d", "[table]") {
  CHECK(make({"amdp", 8, 32, 2, 0, {{"threshold", "1"}}}).shape.window == 8);
  CHECK(make({"amdp", 8, 32, 2, 0, {{"threshold", "8"}}}).shape.window == 64);
  CHECK(make({"amdp", 8, 32, 2}).shape.window == 32);
}
