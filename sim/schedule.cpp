#include "sim/schedule.hpp"

namespace stagesim {

std::string_view text(VersionRule rule) {
  switch (rule) {
    case VersionRule::kFlush:
      return "flush";
    case VersionRule::kStash:
      return "stash";
    case VersionRule::kDoubleBuffer:
      return "double-buffer";
    case VersionRule::kLatest:
      return "latest";
    case VersionRule::kVerticalSync:
      return "vertical-sync";
    case VersionRule::kPredict:
      return "predict";
  }
  return "?";
}

std::string_view text(Optimizer optimizer) {
  switch (optimizer) {
    case Optimizer::kReplicated:
      return "replicated";
    case Optimizer::kOwner:
      return "owner";
  }
  return "?";
}

std::string_view text(Dispatch dispatch) {
  switch (dispatch) {
    case Dispatch::kFixed:
      return "fixed";
    case Dispatch::kFifo:
      return "fifo";
    case Dispatch::kLowestFirst:
      return "lowest-first";
  }
  return "?";
}

std::vector<std::vector<HostedStage>> hosted_stages(const Shape& shape) {
  std::vector<std::vector<HostedStage>> hosted(static_cast<std::size_t>(shape.ranks));
  for (int p = 0; p < shape.pipelines; ++p) {
    for (int stage = 0; stage < shape.stages; ++stage) {
      hosted[static_cast<std::size_t>(shape.rank_of(p, stage))].push_back(
          {static_cast<std::uint16_t>(p), static_cast<std::uint16_t>(stage)});
    }
  }
  return hosted;
}

}  // namespace stagesim
