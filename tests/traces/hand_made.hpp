#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "sim/timeline.hpp"

namespace stagesim::test {

// A Timeline written down op by op, for what no replay produces. Times in nanoseconds.
class HandMade {
 public:
  // Stage s of every pipeline on rank s modulo ranks.
  explicit HandMade(int ranks, int stages = 0, int pipelines = 1) {
    shape_.ranks = ranks;
    shape_.stages = std::max(stages, ranks);
    shape_.pipelines = pipelines;
    shape_.microbatches = shape_.window = 1;
    for (int i = 0; i < pipelines * shape_.stages; ++i) {
      shape_.rank_of_stage.push_back(i % shape_.stages % ranks);
    }
  }

  std::size_t op(int rank, const Op& op, std::int64_t start, std::int64_t end) {
    ops_.push_back({rank, op, Nanos(start), Nanos(end)});
    return ops_.size() - 1;
  }
  void message(std::size_t from, std::size_t to, std::int64_t start, std::int64_t end,
               std::int64_t bytes = 0) {
    messages_.push_back({from, to, Nanos(start), Nanos(end), bytes});
  }
  Shape& shape() { return shape_; }

  Timeline timeline() const {
    auto what = std::make_shared<Activities>();
    Timeline result;
    const auto add = [&](const Op& op, LaneId lane, Nanos start, Nanos end) {
      what->op.push_back(op);
      what->lane.push_back(lane);
      result.start.push_back(start);
      result.end.push_back(end);
    };
    what->shape = shape_;
    for (int r = 0; r < shape_.ranks; ++r) what->lanes.push_back({r, r, {}});
    what->lanes.push_back({-1, -1, {}});
    std::vector<TaskId> id(ops_.size());
    for (int r = 0; r < shape_.ranks; ++r) {
      what->first_of_rank.push_back(what->size());
      for (std::size_t i = 0; i < ops_.size(); ++i) {
        if (ops_[i].rank != r) continue;
        id[i] = what->size();
        add(ops_[i].op, static_cast<LaneId>(r), ops_[i].start, ops_[i].end);
        for (const Message& m : messages_) {
          if (m.from != i) continue;
          Op send = ops_[i].op;
          send.kind = send.kind == OpKind::kForward ? OpKind::kSendForward : OpKind::kSendBackward;
          what->lanes.push_back({r, ops_[m.to].rank, {}});
          add(send, static_cast<LaneId>(what->lanes.size() - 1), m.start, m.end);
          what->transfers.push_back({id[i], static_cast<TaskId>(m.to), m.bytes});
        }
      }
    }
    what->first_of_rank.push_back(what->size());
    for (Transfer& transfer : what->transfers) transfer.consumer = id[transfer.consumer];
    result.what = what;
    return result;
  }

 private:
  struct Ran {
    int rank;
    Op op;
    Nanos start, end;
  };
  struct Message {
    std::size_t from, to;
    Nanos start, end;
    std::int64_t bytes;
  };
  Shape shape_;
  std::vector<Ran> ops_;
  std::vector<Message> messages_;
};

}  // namespace stagesim::test
