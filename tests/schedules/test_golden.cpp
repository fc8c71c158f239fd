// Golden orders: a person looked at them once; a change shows as a diff. tests/update_golden.sh
// rewrites them.

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("every schedule at p = 4, m = 8 equals its golden file", "[golden]") {
  for (const ScheduleInfo& info : schedule_table()) {
    const int window = info.window({.ranks = 4, .batch = 8});
    const std::string text = schedule_text(make({std::string(info.name), 4, 8, 16 / window}));
    const std::string path =
        std::string(STAGESIM_GOLDEN) + "/" + std::string(info.name) + "_p4_m8.txt";
    if (std::getenv("STAGESIM_UPDATE_GOLDEN") != nullptr) {
      std::ofstream(path) << text;
      continue;
    }
    std::ifstream file(path);
    INFO(path);
    REQUIRE(file);
    std::stringstream golden;
    golden << file.rdbuf();
    CHECK(golden.str() == text);
  }
}
