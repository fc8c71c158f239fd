#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/time.hpp"
#include "sim/overlap_tax.hpp"

namespace stagesim {

// How long each op of one stage takes and what it holds in memory. Zero is a legal cost.
struct StageCosts {
  Nanos forward{}, backward{};
  Nanos input_grad{}, weight_grad{};  // the split backward
  Nanos reduce{};     // this stage's gradients among its replicas (and the data-parallel group)
  Nanos step{};       // optimizer of this stage
  Nanos broadcast{};  // this stage's weights from the owner to its replicas
};

struct StageBytes {
  std::int64_t activation = 0;          // of one micro-batch, from F until B (or W)
  std::int64_t activation_after_i = 0;  // the part that stays until W
  std::int64_t checkpoint = 0;  // under recompute: what F leaves of its activation until B or I
  std::int64_t message = 0;     // activation sent on to the next stage; the gradient back is as big
  std::int64_t weights = 0;     // one version
  std::int64_t gradients = 0;
  std::int64_t optimizer = 0;  // of a rank that owns it
  std::int64_t workspace = 0;  // scratch that the stage needs while it runs
};

// A class of links, such as "nvlink3" inside a node. latency delays the arrival only: the link is
// occupied for transfer_time - latency.
struct LinkClass {
  std::string name{};
  Nanos latency{};
  std::vector<Nanos>
      transfer_time{};  // [s]: what stage s sends on, or gets a gradient of the same size for
  // Of a port, one direction, bytes per nanosecond; 0: what its fastest message reaches.
  double gb_per_s = 0;
  // Each way when a port sends and receives at once; 0: not measured, the directions are apart.
  double exchange_gb_per_s = 0;
};

// Which messages share which links. Fair: each rank has a port out and a port in within its node;
// between nodes a rank uses the network card (NIC) that belongs to its first GPU. GPUs of a node
// are numbered rank by rank, and those of one rank that share a card all send at once.
struct LinkSharing {
  bool fair =
      false;  // else every ordered pair of ranks has a link to itself, one message at a time
  int gpus_per_node = 1, nics_per_node = 1;  // the second divides the first
};

enum class CommMode : std::uint8_t {
  kOverlapped,  // a transfer starts when its producer ends and runs beside compute
  kBlocking,  // Megatron-LM without p2p overlap: the rank computes nothing until the group is done
};

// Of a list that repeats every step: [i mod size]; empty: 1.
inline double scale_of(const std::vector<double>& microbatch_scale, int microbatch) {
  if (microbatch_scale.empty()) return 1;
  return microbatch_scale[static_cast<std::size_t>(microbatch) % microbatch_scale.size()];
}

// Of a rank relative to one that takes the stated times; empty: 1.
inline double speed_of(const std::vector<double>& rank_speed, int rank) {
  return rank_speed.empty() ? 1 : rank_speed.at(static_cast<std::size_t>(rank));
}

// Everything that decides how long a Schedule takes. Independent of hardware models and of JSON.
struct Costs {
  std::vector<StageCosts> stages;
  // [s]: an overlapped pair whose forward is of stage s; empty: as long as F and B one after
  // another
  std::vector<Nanos> pair{};
  // [i mod size]: micro-batch i relative to the one that the costs are of; empty: all the same
  std::vector<double> microbatch_scale{};
  // [rank]: compute and optimizer steps take their time / this; empty: all 1
  std::vector<double> rank_speed{};
  std::vector<LinkClass> links{{}};  // [0] within a node, [1] between nodes when there are several
  std::vector<std::int64_t> message_bytes;  // [s]: what transfer_time[s] carries; empty: not known
  int ranks_per_node = 0;                   // 0: all ranks on one node
  CommMode comm = CommMode::kOverlapped;
  LinkSharing sharing{};
  OverlapTax overlap_tax{};  // not together with fair sharing
  bool barrier = false;      // all ranks wait between reduce and optimizer step

  std::size_t link_class(int from_rank, int to_rank) const {
    return ranks_per_node == 0 || from_rank / ranks_per_node == to_rank / ranks_per_node ? 0 : 1;
  }
};

}  // namespace stagesim
