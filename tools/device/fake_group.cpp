#include "tools/device/fake_group.hpp"

#include <fmt/format.h>

#include "sim/base/error.hpp"

namespace stagesim {

void FakeGroup::queue(GroupOp, int participants, std::int64_t) {
  if (participants < 1 || participants > law_.gpus)
    throw InputError(fmt::format("{} GPUs asked for, {} there", participants, law_.gpus));
  ++queued_;
}

double FakeGroup::time_us(GroupOp op, int participants, std::int64_t bytes, int repetitions) {
  for (int r = 0; r < repetitions; ++r) queue(op, participants, bytes);
  finish();
  const double n = participants;
  double share = 1;
  if (op == GroupOp::kAllReduce) share = 2 * (n - 1) / n;
  if (op == GroupOp::kAllGather || op == GroupOp::kReduceScatter || op == GroupOp::kAllToAll)
    share = (n - 1) / n;
  return law_.latency_us + share * static_cast<double>(bytes) / law_.gb_per_s / 1e3;
}

}  // namespace stagesim
