#include "tests/execute/short_costs.hpp"

#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tests/support/catch.hpp"

namespace stagesim::test {

Costs short_costs(const Shape& shape) {
  constexpr Nanos kMs{1'000'000};
  Costs costs;
  for (int s = 0; s < shape.stages; ++s) {
    costs.stages.push_back({.forward = kMs / 4,
                            .backward = kMs / 2,
                            .input_grad = kMs / 4,
                            .weight_grad = kMs / 4,
                            .reduce = kMs / 20,
                            .step = kMs / 20,
                            .broadcast = kMs / 20});
    costs.links[0].transfer_time.push_back(kMs / 10);
  }
  costs.links[0].latency = kMs / 50;
  return costs;
}

Schedule fixed_order(const Schedule& s, const Costs& costs) {
  if (s.dispatch == Dispatch::kFixed) return s;
  return chosen_order(replay(lower(s, costs)), s.name);
}

void check_measured(const Program& program, const Timeline& t) {
  for (TaskId a = 0; a < program.what->size(); ++a) {
    CHECK(t.duration(a) >= program.duration[a]);
    for (std::uint32_t i = program.first_next[a]; i < program.first_next[a + 1]; ++i) {
      const TaskId b = program.next[i];
      const bool of_a_pair = program.what->op[b].pair == PairPart::kBackward;
      if (!of_a_pair && t.start[b] < t.end[a])
        FAIL(cell_text(program.what->op[b], 2) << " before " << cell_text(program.what->op[a], 2));
    }
  }
}

}  // namespace stagesim::test
