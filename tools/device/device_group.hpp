#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace stagesim {

// What GPUs do together, by the names that calibrate takes.
enum class GroupOp : std::uint8_t {
  kSend,      // GPU 0 to GPU 1
  kExchange,  // the same and back, at once
  kAllReduce,
  kReduce,
  kBroadcast,
  kAllGather,
  kReduceScatter,
  kAllToAll,
};
const std::vector<GroupOp>& group_ops();
std::string_view text(GroupOp op);

// The GPUs of this process and NCCL between them. Bytes are of a message, or as nccl-tests counts
// them: the larger of a GPU's send and receive buffer, so for all-gather, reduce-scatter and
// all-to-all what all GPUs hold together. One thread; everything throws InputError with what the
// library says.
class DeviceGroup {
 public:
  virtual ~DeviceGroup() = default;
  virtual int size() const = 0;
  virtual std::string version() = 0;  // "2.28.9"

  // Queued on streams of its own, in order, among GPUs 0 to participants - 1; returns at once.
  virtual void queue(GroupOp op, int participants, std::int64_t bytes) = 0;
  // Returns when all that was queued is done.
  virtual void finish() = 0;
  // Of one of `repetitions` queued back to back, in us: from the first start to the end on the GPU
  // that ends last.
  virtual double time_us(GroupOp op, int participants, std::int64_t bytes, int repetitions) = 0;
};

// All GPUs that the process sees. InputError when this build has no NCCL, or there is no GPU.
std::unique_ptr<DeviceGroup> device_group();

}  // namespace stagesim
