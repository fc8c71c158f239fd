#include "sim/critical_path.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

TEST_CASE("the critical path of 1F1B is fill, the last stage's work, drain", "[critical_path]") {
  const Timeline t = run({"1f1b", 4, 8}, unit_costs(4, 1, 2, 0.5));
  const CriticalPath path = critical_path(t);
  CHECK(path.length == wall(t).length());
  const auto of = [&](OpKind k) { return in_units(path.by_kind[std::size_t(k)]); };
  // 41 = 33 of work and 16 hops of 0.5 (aliyun/SimAI#283).
  CHECK(of(OpKind::kForward) + of(OpKind::kBackward) == 33);
  CHECK(of(OpKind::kSendForward) + of(OpKind::kSendBackward) == 8);
}

TEST_CASE("an empty timeline has an empty critical path", "[critical_path]") {
  Timeline t;
  t.what = std::make_shared<Activities>();
  CHECK(critical_path(t).tasks.empty());
}
