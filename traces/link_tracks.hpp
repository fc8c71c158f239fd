#pragma once

#include <cstdint>
#include <vector>

#include "sim/timeline.hpp"

namespace stagesim {

// The messages that one rank sends, laid on rows so that those of a row never overlap. Latency lets
// several messages of one link be on their way at once; such a link gets further rows.
struct LinkTracks {
  struct Track {
    int to_rank = 0;
    int nth = 1;  // of the rows of this link
  };
  struct Slice {
    TaskId task = 0;
    std::uint32_t transfer = 0;  // index into Activities::transfers
    std::uint32_t track = 0;     // index into tracks
  };
  std::vector<Track> tracks;  // by receiver, then nth
  std::vector<Slice> slices;  // by receiver, then start
};

// Messages that take no time get no slice. `first_transfer` is the index of the rank's first one.
LinkTracks link_tracks(const Timeline& timeline, int rank, std::uint32_t first_transfer);

}  // namespace stagesim
