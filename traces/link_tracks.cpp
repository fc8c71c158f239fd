#include "traces/link_tracks.hpp"

#include <algorithm>
#include <tuple>

namespace stagesim {

LinkTracks link_tracks(const Timeline& timeline, int rank, std::uint32_t first_transfer) {
  const Activities& what = *timeline.what;
  const auto receiver = [&](TaskId t) { return what.lanes[what.lane[t]].to_rank; };
  LinkTracks result;

  const auto r = static_cast<std::size_t>(rank);
  std::uint32_t transfer = first_transfer;
  for (TaskId t = what.first_of_rank[r]; t < what.first_of_rank[r + 1]; ++t) {
    if (!is_transfer(what.op[t].kind)) continue;
    if (timeline.duration(t) > Nanos(0)) result.slices.push_back({.task = t, .transfer = transfer});
    ++transfer;
  }
  std::sort(result.slices.begin(), result.slices.end(), [&](const auto& a, const auto& b) {
    return std::tuple(receiver(a.task), timeline.start[a.task], a.task) <
           std::tuple(receiver(b.task), timeline.start[b.task], b.task);
  });

  std::vector<Nanos> free_at;   // of each track
  std::size_t first_track = 0;  // of the current receiver
  for (LinkTracks::Slice& slice : result.slices) {
    const int to_rank = receiver(slice.task);
    if (result.tracks.empty() || result.tracks.back().to_rank != to_rank) {
      first_track = result.tracks.size();
    }
    std::size_t track = first_track;
    while (track < result.tracks.size() && free_at[track] > timeline.start[slice.task]) ++track;
    if (track == result.tracks.size()) {
      result.tracks.push_back({to_rank, static_cast<int>(track - first_track) + 1});
      free_at.emplace_back();
    }
    free_at[track] = timeline.end[slice.task];
    slice.track = static_cast<std::uint32_t>(track);
  }
  return result;
}

}  // namespace stagesim
