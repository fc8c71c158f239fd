#include "tools/device/device.hpp"
#include "tools/device/device_group.hpp"

namespace stagesim {

std::string_view text(DType dtype) {
  switch (dtype) {
    case DType::kFp32:
      return "fp32";
    case DType::kTf32:
      return "tf32";
    case DType::kFp16:
      return "fp16";
    case DType::kBf16:
      return "bf16";
    case DType::kFp64:
      return "fp64";
  }
  return "";
}

std::string_view text(MemoryKernel kernel) {
  switch (kernel) {
    case MemoryKernel::kAdd:
      return "add";
    case MemoryKernel::kSoftmax:
      return "softmax";
    case MemoryKernel::kAdam:
      return "adam";
  }
  return "";
}

std::string_view text(CopyKind kind) {
  switch (kind) {
    case CopyKind::kHostToDevice:
      return "host_to_device";
    case CopyKind::kDeviceToHost:
      return "device_to_host";
    case CopyKind::kWithinDevice:
      return "within_device";
  }
  return "";
}

const std::vector<GroupOp>& group_ops() {
  static const std::vector<GroupOp> ops{
      GroupOp::kSend,      GroupOp::kExchange,  GroupOp::kAllReduce,     GroupOp::kReduce,
      GroupOp::kBroadcast, GroupOp::kAllGather, GroupOp::kReduceScatter, GroupOp::kAllToAll};
  return ops;
}

std::string_view text(GroupOp op) {
  switch (op) {
    case GroupOp::kSend:
      return "send";
    case GroupOp::kExchange:
      return "exchange";
    case GroupOp::kAllReduce:
      return "all_reduce";
    case GroupOp::kReduce:
      return "reduce";
    case GroupOp::kBroadcast:
      return "broadcast";
    case GroupOp::kAllGather:
      return "all_gather";
    case GroupOp::kReduceScatter:
      return "reduce_scatter";
    case GroupOp::kAllToAll:
      return "all_to_all";
  }
  return "";
}

}  // namespace stagesim
