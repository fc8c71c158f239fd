// Orders that other programs produce, recorded once (the first line of each file says by what):
// ours are the same cell for cell.

#include <fstream>
#include <sstream>

#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

std::vector<std::string> recorded_rows(const std::string& name) {
  std::ifstream file(std::string(STAGESIM_RECORDED) + "/" + name + ".txt");
  INFO(name);
  REQUIRE(file);
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (line[0] != '#') rows.push_back(line);
  }
  return rows;
}

// The rows of the text form without the updates, which the recorded orders leave out.
std::vector<std::string> rows_of(Schedule s) {
  for (std::vector<Op>& ops : s.ops_of_rank) {
    std::erase_if(ops, [](const Op& op) { return op.kind == OpKind::kUpdate; });
  }
  std::istringstream text(schedule_text(s));
  std::vector<std::string> rows;
  for (std::string line; std::getline(text, line);) {
    if (line[0] != '#') rows.push_back(line);
  }
  return rows;
}

}  // namespace

TEST_CASE("orders equal the recorded ones", "[recorded]") {
  const std::string name =
      GENERATE("interleaved-1f1b", "looped-bfs", "zb-h1", "zb-h2", "zb1p-interleaved", "zb-v",
               "v-half", "v-min", "1f1b-v", "dualpipe", "dualpipev", "chimera");
  const int p = GENERATE(4, 8);
  const std::string size = p == 4 ? "_p4_m8" : "_p8_m16";
  CHECK(rows_of(make({name, p, 2 * p})) == recorded_rows(name + size));
}
