#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "schedules/orders.hpp"

// The V family: p ranks, 2 p stages, rank r hosts stages r and 2 p - 1 - r.

namespace stagesim {

// What a rank does with a micro-batch, in the order of dependencies. "Down" is stage r, "up" stage
// 2 p - 1 - r. Where the backward is whole, I is its first half and W its second.
enum VPass : std::uint8_t { kFDown, kFUp, kIUp, kIDown, kWUp, kWDown, kVPasses };

inline Op v_cell(VPass pass, int ranks, int rank, int microbatch, bool whole = false) {
  const bool down = pass == kFDown || pass == kIDown || pass == kWDown;
  const OpKind kind = pass <= kFUp   ? OpKind::kForward
                      : whole        ? OpKind::kBackward
                      : pass >= kWUp ? OpKind::kWeightGrad
                                     : OpKind::kInputGrad;
  return cell(kind, down ? rank : 2 * ranks - 1 - rank, microbatch);
}

// Slots in which one rank starts kFDown, kFUp, kIUp and kIDown of micro-batch 0.
using VBlock = std::array<int, 4>;

// Squeezes a building block that repeats every 6 slots (Controllable Memory, section 4): no pass
// moves where its rank would then hold more than the block itself does on the worst rank.
// One order per rank, micro-batches from 0; of equal passes, more micro-batches never take less
// time. O(ops + p^3), and p times that for fewer micro-batches than fill the pipe (about p).
std::vector<std::vector<Op>> squeezed_block(const std::vector<VBlock>& block, int microbatches,
                                            bool whole_backward);

// The same order of one window in each window.
Schedule v_schedule(std::string_view name, const ScheduleParams& params,
                    const std::vector<std::vector<Op>>& order);

inline int two_stages(const ScheduleParams&) { return 2; }

}  // namespace stagesim
