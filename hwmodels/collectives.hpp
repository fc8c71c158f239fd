#pragma once

#include <string>

#include "hwmodels/link_profile.hpp"

namespace stagesim {

// Microseconds of a collective over one kind of link; bytes as nccl-tests counts them, the larger
// of a rank's send and receive buffer. 0 for fewer than two participants.
//   measured with as many participants: that curve;
//   with others: the curve of the nearest number (by ratio), scaled by nccl-tests' bus factors,
//     2 (n-1) / n of an all-reduce, (n-1) / n of gathers, 1 of reduce and broadcast;
//   not at all: a ring (reduce and broadcast: a pipelined chain) at the latency and the
//     large-message rate of the link, Thakur et al. 2005 sections 3 and 4.
double collective_microseconds(const LinkProfile& link, CollectiveKind kind, int participants,
                               double bytes);

// Which of the three, for a report: "nccl-tests curve of 8 GPUs (log: …)" or "ring at 200 GB/s".
std::string collective_text(const LinkProfile& link, CollectiveKind kind, int participants);

}  // namespace stagesim
