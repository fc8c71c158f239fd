#include <cmath>
#include <sstream>

#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"
#include "tests/traces/hand_made.hpp"
#include "viz/text_grid.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("an overlapped pair is drawn as two halves and the legend says so", "[grid]") {
  const Timeline t = run({"dualpipe", 2, 4}, unit_costs(2, 1, 1));
  const std::string grid = text_grid(t, 120);
  CHECK_THAT(grid, contains("an overlapped pair: two halves, F then B"));
  CHECK_THAT(text_grid(run({"1f1b", 2, 4}, unit_costs(2, 1, 1)), 120), !contains("pair"));
}

namespace {

std::vector<std::string> lines(const std::string& grid) {
  REQUIRE(grid.back() == '\n');
  std::istringstream in(grid);
  std::vector<std::string> result;
  for (std::string line; std::getline(in, line);) result.push_back(line);
  return result;
}

// What stands right of "rank r |".
std::vector<std::string> rows(const std::string& grid) {
  std::vector<std::string> result;
  for (const std::string& line : lines(grid)) {
    if (line.substr(0, 5) == "rank ") result.push_back(line.substr(line.find('|') + 1));
  }
  return result;
}

Timeline one_f_one_b(int ranks, int batch, double forward = 1, double backward = 2) {
  return run({.schedule = "1f1b", .ranks = ranks, .batch = batch},
             unit_costs(ranks, forward, backward));
}

}  // namespace

TEST_CASE("1F1B of two ranks as it is drawn on paper", "[viz]") {
  CHECK(text_grid(one_f_one_b(2, 2), 100) ==
        "3 columns = 1 us; 9 us in all\n"
        "    us  0              5\n"
        "rank 0 |F0-F1-......B0====...B1====\n"
        "rank 1 |...F0-B0====F1-B1====......\n"
        "F forward, B backward, . idle; number: micro-batch\n");
}

TEST_CASE("1F1B of four ranks and eight micro-batches fits 100 columns with its labels", "[viz]") {
  CHECK(text_grid(one_f_one_b(4, 8), 100) ==
        "one column = 0.5 us; 33 us in all\n"
        "    us  0         5         10        15        20        25        30\n"
        "rank 0 |F0F1F2F3............B0==F4B1==F5B2==F6B3==F7B4==..B5==..B6==..B7==\n"
        "rank 1 |..F0F1F2........B0==F3B1==F4B2==F5B3==F6B4==F7B5==..B6==..B7==....\n"
        "rank 2 |....F0F1....B0==F2B1==F3B2==F4B3==F5B4==F6B5==F7B6==..B7==........\n"
        "rank 3 |......F0B0==F1B1==F2B2==F3B3==F4B4==F5B5==F6B6==F7B7==............\n"
        "F forward, B backward, . idle; number: micro-batch\n");
}

TEST_CASE("split backwards and the parts of an update have their own look", "[viz]") {
  HandMade made(1);
  made.op(0, {.kind = OpKind::kForward}, 500, 510);
  made.op(0, {.kind = OpKind::kInputGrad}, 510, 520);
  made.op(0, {.kind = OpKind::kWeightGrad}, 530, 540);
  made.op(0, {.kind = OpKind::kReduce}, 540, 545);
  made.op(0, {.kind = OpKind::kStep}, 545, 550);
  CHECK(
      text_grid(made.timeline(), 100) ==
      "3 columns = 10 ns; 50 ns in all, from 500 ns\n"
      "    ns  0              50\n"
      "rank 0 |F0-I0=...W0-U0~\n"
      "F forward, I input gradient, W weight gradient, U update, . idle; number: micro-batch, of U "
      "the\n  window\n");
}

TEST_CASE("times that share no step are drawn with rounded borders", "[viz]") {
  // "F0-" needs three columns for 1.01 us. Rank 0 has borders
  // at 1.01, 2.02, 4.05, 6.08, 7.09, 9.12: columns 3.1, 6.1, 12.3, 18.4, 21.5 (a hair below), 27.6.
  const std::string grid = text_grid(one_f_one_b(2, 2, 1.01, 2.03), 60);
  CHECK(lines(grid)[0] == "one column = 0.33 us (borders rounded); 9.12 us in all");
  CHECK(rows(grid)[0] == "F0-F1-......B0====...B1=====");
}

TEST_CASE("letters stand for ops when their numbers do not fit", "[viz]") {
  const std::string grid = text_grid(one_f_one_b(4, 16), 100);
  // 19 x 3 time units; "F10" would need three columns for each.
  CHECK(lines(grid)[0] + lines(grid)[1] ==
        "one column = 1 us; 57 us in all; letters only, because 128 ops with their numbers do not "
        "fit 100  columns (they need 179)");
  CHECK(rows(grid)[0] == "FFFF......B=FB=FB=FB=FB=FB=FB=FB=FB=FB=FB=FB=FB=.B=.B=.B=");
  CHECK(rows(text_grid(one_f_one_b(4, 16), 179))[0].substr(0, 12) == "F0-F1-F2-F3-");
  CHECK(rows(text_grid(one_f_one_b(4, 16), 178))[0].substr(0, 5) == "FFFF.");
}

TEST_CASE("a long timeline is sampled, and all of it is shown", "[viz]") {
  const int width = GENERATE(40, 61, 100, 250);
  const Timeline timeline = one_f_one_b(4, 1000);
  const std::string grid = text_grid(timeline, width);
  CHECK_THAT(grid, contains("shows"));
  // "one column = 0.051 ms; …", in units of 1 us
  const int per_column = static_cast<int>(std::lround(1000 * std::stod(grid.substr(13))));
  for (const std::string& row : rows(grid)) {
    // (m + p - 1) x 3 = 3009 units, the last column perhaps in part
    CHECK(static_cast<int>(row.size()) * per_column >= 3009);
    CHECK((static_cast<int>(row.size()) - 1) * per_column < 3009);
  }
}

TEST_CASE("a sampled column shows what most of its work is, or idle above half", "[viz]") {
  HandMade made(2);
  // 32 columns of 100 ns at width 40: mostly B, mostly idle, half idle; a partial column at the
  // end.
  made.op(0, {.kind = OpKind::kForward}, 0, 20);
  made.op(0, {.kind = OpKind::kBackward}, 20, 100);
  made.op(0, {.microbatch = 1, .kind = OpKind::kForward}, 100, 149);
  made.op(0, {.microbatch = 2, .kind = OpKind::kForward}, 250, 300);
  made.op(0, {.kind = OpKind::kStep}, 3144, 3190);
  made.op(1, {.microbatch = 9, .stage = 1, .kind = OpKind::kForward}, 0, 1);
  const std::string grid = text_grid(made.timeline(), 40);
  CHECK(lines(grid)[0].substr(0, 30) == "one column = 0.1 us; 3.19 us i");
  // Appended, because g++ 12 warns of out-of-bounds copies in "x" + string + "y".
  CHECK(rows(grid)[0] == std::string("B.F").append(28, '.').append("U"));
  CHECK(rows(grid)[1] == std::string(32, '.'));
}

TEST_CASE("a grid keeps to its width, whatever the timeline", "[viz]") {
  const int width = GENERATE(40, 64, 100);
  const int ranks = GENERATE(1, 4, 12, 100);
  const int batch = GENERATE(1, 8, 300);
  const double forward = GENERATE(1.0, 1.237);
  const std::string grid = text_grid(one_f_one_b(ranks, batch, forward, 2), width);
  CHECK(rows(grid).size() == static_cast<std::size_t>(ranks));
  for (const std::string& line : lines(grid)) {
    CHECK(line.size() <= static_cast<std::size_t>(width));
    CHECK(line.find_last_not_of(' ') + 1 == line.size());
  }
}

TEST_CASE("two pipelines differ by case, more by name if there is room", "[viz]") {
  const auto amdp = [](int ranks) {
    return run({.schedule = "amdp", .ranks = ranks, .batch = ranks, .windows = 1},
               unit_costs(ranks, 1, 2));
  };
  const std::string two = text_grid(amdp(4), 100);
  CHECK_THAT(two, contains("lower case: pipeline 1"));
  CHECK_THAT(two, contains("f1") && contains("b1") && contains("F0") && contains("B0"));
  CHECK_THAT(text_grid(amdp(8), 400), contains("F1@1") && contains("; after @: pipeline"));
  CHECK_THAT(text_grid(amdp(8), 100), contains("f1") && contains("lower case: odd pipelines"));
}

TEST_CASE("stages that share a rank differ by case, or by their number", "[viz]") {
  HandMade two(1, 2);
  two.op(0, {.microbatch = 0, .stage = 0}, 0, 10);
  two.op(0, {.microbatch = 0, .stage = 1}, 10, 20);
  CHECK(rows(text_grid(two.timeline()))[0] == "F0-f0-");
  CHECK_THAT(text_grid(two.timeline()), contains("lower case: second stage of the rank"));

  HandMade three(1, 3);
  for (int s = 0; s < 3; ++s)
    three.op(0, {.stage = static_cast<std::uint16_t>(s)}, 10 * s, 10 * s + 10);
  CHECK(rows(text_grid(three.timeline()))[0] == "0F0-1F0-2F0-");
  CHECK_THAT(text_grid(three.timeline()), contains("before the letter: stage"));
}

TEST_CASE("nothing to draw is said, not drawn", "[viz]") {
  CHECK(text_grid(HandMade(3).timeline()) == "nothing to draw: no ops\n");
  CHECK(text_grid(one_f_one_b(2, 3, 0, 0)) == "nothing to draw: 12 ops, all of zero length\n");
  CHECK_THAT(text_grid(one_f_one_b(2, 3, 0, 2)), contains("; 6 ops of zero length not drawn"));
}
