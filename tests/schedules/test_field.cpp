// The numbers that the field agrees on: independent tools and an independent replay give them.
// F = 1, B = 2, I = W = 1, an overlapped pair 3, times of one stage, messages free unless said.

#include "tests/support/catch.hpp"
#include "tests/support/field.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("makespans at p4 m8 and p8 m16", "[field]") {
  struct Row {
    std::string name;
    Options options;
    double p4, p8, span4, span8;
  };
  const Row row =
      GENERATE(Row{"gpipe", {}, 33, 69, 33, 69}, Row{"1f1b", {}, 33, 69, 33, 69},
               Row{"eager-1f1b", {}, 33, 69, 33, 69}, Row{"interleaved-1f1b", {}, 57, 117, 57, 117},
               Row{"looped-bfs", {}, 57, 117, 57, 117},
               Row{"interleaved-1f1b", {{"v", "4"}}, 105, 213, 105, 213},
               Row{"zb-h1", {}, 27, 55, 27, 55}, Row{"zb1p-interleaved", {}, 51, 103, 51, 103},
               Row{"zb-h2", {}, 27, 55, 24, 48}, Row{"zb-v", {}, 51, 103, 48, 96},
               Row{"v-half", {}, 53, 113, 53, 113}, Row{"v-min", {}, 59, 123, 59, 123},
               Row{"1f1b-v", {}, 63, 129, 63, 129}, Row{"dualpipe", {}, 26, 54, 26, 54},
               Row{"dualpipev", {}, 54, 110, 54, 110}, Row{"chimera", {}, 30, 66, 30, 66});
  INFO(row.name);
  CHECK(wall_of({row.name, 4, 8, 1, 0, row.options}) == row.p4);
  CHECK(wall_of({row.name, 8, 16, 1, 0, row.options}) == row.p8);
  CHECK(span_of({row.name, 4, 8, 1, 0, row.options}) == row.span4);
  CHECK(span_of({row.name, 8, 16, 1, 0, row.options}) == row.span8);
}

TEST_CASE("few micro-batches, and Chimera's N = D", "[field]") {
  CHECK(wall_of({"1f1b", 4, 2}) == 15);
  CHECK(wall_of({"zb-h1", 4, 2}) == 11);
  CHECK(wall_of({"zb-v", 4, 2}) == 19);
  CHECK(wall_of({"zb-v", 4, 4}) == 27);
  CHECK(wall_of({"v-half", 4, 2}) == 22);
  CHECK(wall_of({"v-min", 4, 2}) == 23);
  CHECK(wall_of({"chimera", 4, 4}) == 16);
  CHECK(wall_of({"chimera", 8, 8}) == 36);
}

TEST_CASE("makespans with a message latency between ranks", "[field]") {
  struct Row {
    std::string name;
    int p;
    double tenth, half;
  };
  const Row row = GENERATE(Row{"1f1b", 4, 34.6, 41}, Row{"1f1b", 8, 73, 89},
                           Row{"interleaved-1f1b", 4, 58.4, 64}, Row{"zb-h1", 4, 28.2, 33},
                           Row{"dualpipev", 4, 55.6, 64});
  INFO(row.name);
  CHECK(wall_of({row.name, row.p, 2 * row.p}, 0.1) == Approx(row.tenth).epsilon(1e-12));
  CHECK(wall_of({row.name, row.p, 2 * row.p}, 0.5) == Approx(row.half).epsilon(1e-12));
}

TEST_CASE("eager 1F1B hides a latency that 1F1B pays every round trip", "[field]") {
  CHECK(wall_of({"eager-1f1b", 4, 8}, 0.5) < wall_of({"1f1b", 4, 8}, 0.5));
}

TEST_CASE("peak live activations in stages", "[field][memory]") {
  CHECK(peaks_of({"gpipe", 4, 8}) == Ints{8, 8, 8, 8});
  CHECK(peaks_of({"1f1b", 4, 8}) == Ints{4, 3, 2, 1});
  CHECK(peaks_of({"eager-1f1b", 4, 8}) == Ints{7, 5, 3, 1});
  CHECK(peaks_of({"interleaved-1f1b", 4, 8}) == Ints{11, 9, 7, 5});
  CHECK(peaks_of({"interleaved-1f1b", 8, 16}) == Ints{23, 21, 19, 17, 15, 13, 11, 9});
  CHECK(peaks_of({"looped-bfs", 4, 8}) == Ints{16, 16, 16, 16});
  CHECK(peaks_of({"zb-h1", 4, 8}) == Ints{4, 4, 4, 4});
  CHECK(peaks_of({"zb-h2", 4, 8}) == Ints{7, 7, 7, 7});
  CHECK(peaks_of({"zb-h2", 8, 16}) == Ints(8, 15));
  CHECK(peaks_of({"zb1p-interleaved", 4, 8}) == Ints(4, 8));
  CHECK(peaks_of({"zb1p-interleaved", 8, 16}) == Ints(8, 16));
  CHECK(peaks_of({"zb-v", 4, 8}) == Ints(4, 8));
  CHECK(peaks_of({"zb-v", 8, 16}) == Ints(8, 16));
  CHECK(peaks_of({"v-half", 4, 8}) == Ints(4, 6));
  CHECK(peaks_of({"v-half", 8, 16}) == Ints(8, 10));
  CHECK(peaks_of({"v-min", 4, 8}) == Ints(4, 4));
  CHECK(peaks_of({"v-min", 8, 16}) == Ints{7, 8, 8, 8, 8, 8, 8, 8});
  CHECK(peaks_of({"1f1b-v", 4, 8}) == Ints(4, 6));
  CHECK(peaks_of({"1f1b-v", 8, 16}) == Ints(8, 12));
  CHECK(peaks_of({"dualpipe", 4, 8}) == Ints(4, 5));
  CHECK(peaks_of({"dualpipe", 8, 16}) == Ints(8, 9));
  CHECK(peaks_of({"dualpipev", 4, 8}) == Ints(4, 9));
  CHECK(peaks_of({"dualpipev", 8, 16}) == Ints(8, 17));
  CHECK(peaks_of({"chimera", 4, 8}) == Ints{3, 4, 4, 3});
  CHECK(peaks_of({"chimera", 8, 16}) == Ints{5, 6, 7, 8, 8, 7, 6, 5});
  CHECK(peaks_of({"gems", 4, 8}) == Ints(4, 1));
  CHECK(peaks_of({"forward-only", 4, 8}) == Ints(4, 1));
}
