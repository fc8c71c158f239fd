#include <algorithm>

#include "schedules/generators.hpp"

namespace stagesim {
namespace {

// One pipeline without a flush on the newest weights; every rank updates by itself when it has the
// gradients of a window. A stage s sees at most ceil((p - 1 - s) / window) updates between F and B.
Schedule paci(const ScheduleParams& params, const Costs*) {
  return asynchronous_1f1b("paci", params, VersionRule::kLatest);
}

int paci_window(const ScheduleParams& params) {
  const int accumulate = option_int(paci_info(), params, "accumulate", 0, 1'000'000'000);
  return accumulate == 0 ? params.batch : accumulate;
}

}  // namespace

ScheduleInfo paci_info() {
  return {"paci",
          {},
          "asynchronous 1F1B, newest weights, each rank accumulates and updates by itself",
          "PACI, arXiv 2606.07881",
          VersionRule::kLatest,
          {{"accumulate", "a", "0", "micro-batches per update; 0: the whole batch"}},
          paci_window,
          paci,
          nullptr,
          one_f_one_b_activations,
          unflushed_step};
}

}  // namespace stagesim
