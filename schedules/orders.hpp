#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "schedules/table.hpp"

// What generators of flush schedules share: placements, windows, and the two patterns that most
// published orders are built from.

namespace stagesim {

inline Op cell(OpKind kind, int stage, int microbatch, int pipeline = 0) {
  return {.microbatch = microbatch,
          .stage = static_cast<std::uint16_t>(stage),
          .pipeline = static_cast<std::uint16_t>(pipeline),
          .kind = kind};
}

enum class Placement : std::uint8_t {
  kLoop,    // stage s on rank s mod p (Megatron-LM's interleaving)
  kZigzag,  // there and back again: stage s of pass s / p on rank s mod p or p - 1 - s mod p
};

// An empty flush schedule of one pipeline with v stages per rank.
Schedule one_pipeline(std::string_view name, const ScheduleParams& params, int v,
                      Placement placement);

// Adds pipeline 1, a replica of the only one there is, laid over the ranks from the other end.
void add_mirror(Schedule& schedule);

// ShapeError "<name>: 3 ranks; it needs an even number, <why>; use 2 or 4".
void check_even_ranks(std::string_view name, int ranks, std::string_view why);

// Fills ops_of_rank: `append(ops, rank, first)` adds the ops of one window, whose micro-batches are
// first..first + window - 1; the updates of the rank's stages follow each window.
void append_windows(Schedule& schedule,
                    const std::function<void(std::vector<Op>&, int, int)>& append);

// Waves: on a clock with F = B = 1, the j-th micro-batch of a pipeline in a unit of `per_unit` has
// F of stage s in slot s + 2 j and B in slot 2 S - 1 - s + 2 j, and units follow each other every 2
// S slots (S stages). Pipelines take equal blocks of the batch, the first ones one micro-batch
// more. The order of a rank is the order of its slots, which must differ: Chimera, Hanayo, BitPipe.
void append_wave_windows(Schedule& schedule, int per_unit);

// How interleaved schedules walk through (stage of the rank, micro-batch): groups of `group`
// micro-batches, each through all v stages before the next group (Megatron-LM's
// microbatch_group_size_per_vp_stage). k counts from 0 to m v - 1.
struct Step {
  int chunk = 0, microbatch = 0;
};
std::vector<Step> grouped_steps(int microbatches, int group, int v);

// F, B, I or W of such a step on `rank`; backwards walk the chunks from the last to the first.
Op grouped_cell(OpKind kind, const Step& step, int p, int v, int rank, int first);

// Reads "group" (0: p) and checks Megatron-LM's rule p <= N <= m, m mod N = 0 or >= p. ShapeError
// with the inequality that fails and a legal value nearby.
int checked_group(const ScheduleInfo& info, const ScheduleParams& params);

// `warmup` forwards, then one forward, one input gradient and, `delay` input gradients later, its
// weight gradient in turn; the remaining weight gradients at the end (ZB-H1, ZB-H2, ZB1P). op(kind,
// k) gives the k-th op of a kind.
void append_split_one_f_one_b(std::vector<Op>& ops, int total, int warmup, int delay,
                              const std::function<Op(OpKind, int)>& op);

}  // namespace stagesim
