#include "tools/device/partitions.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <map>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

// The driver's functions come from the driver itself, so that a build needs none to link.
template <typename Function>
Function* driver(const char* name, unsigned version) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  if (cudaGetDriverEntryPointByVersion(name, &found, version, cudaEnableDefault, &result) !=
          cudaSuccess ||
      result != cudaDriverEntryPointSuccess || found == nullptr)
    throw InputError(
        fmt::format("CUDA: this driver has no {}; shares of a GPU need CUDA 12.4 or later", name));
  return reinterpret_cast<Function*>(found);
}

void check(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  const char* text = nullptr;
  driver<decltype(cuGetErrorString)>("cuGetErrorString", 6000)(result, &text);
  throw InputError(fmt::format("CUDA: {}: {}", what, text == nullptr ? "unknown error" : text));
}

}  // namespace

std::vector<Partition> split_device(int parts) {
  static std::map<int, std::vector<Partition>> made;
  const auto known = made.find(parts);
  if (known != made.end()) return known->second;
  CUdevice device = 0;
  check(driver<decltype(cuDeviceGet)>("cuDeviceGet", 2000)(&device, 0), "the first GPU");
  CUdevResource all{};
  check(driver<decltype(cuDeviceGetDevResource)>("cuDeviceGetDevResource", 12040)(
            device, &all, CU_DEV_RESOURCE_TYPE_SM),
        "multiprocessors of the GPU");
  const unsigned each = all.sm.smCount / static_cast<unsigned>(parts);
  std::vector<CUdevResource> shares(static_cast<std::size_t>(parts));
  const auto split =
      driver<decltype(cuDevSmResourceSplitByCount)>("cuDevSmResourceSplitByCount", 12040);
  // A share is rounded up to the GPU's step, so the largest that leaves enough for all is searched.
  unsigned wanted = each;
  for (; wanted > 0; --wanted) {
    auto groups = static_cast<unsigned>(parts);
    CUdevResource rest{};
    const CUresult result = split(shares.data(), &groups, &all, &rest, 0, wanted);
    if (result == CUDA_SUCCESS && groups == static_cast<unsigned>(parts)) break;
  }
  if (wanted == 0)
    throw InputError(
        fmt::format("CUDA: {} multiprocessors do not make {} shares", all.sm.smCount, parts));
  std::vector<Partition> result;
  for (CUdevResource& share : shares) {
    CUdevResourceDesc description{};
    check(driver<decltype(cuDevResourceGenerateDesc)>("cuDevResourceGenerateDesc", 12040)(
              &description, &share, 1),
          "a share of the GPU");
    CUgreenCtx green{};
    check(driver<decltype(cuGreenCtxCreate)>("cuGreenCtxCreate", 12040)(
              &green, description, device, CU_GREEN_CTX_DEFAULT_STREAM),
          "a context on a share of the GPU");
    Partition partition;
    check(
        driver<decltype(cuCtxFromGreenCtx)>("cuCtxFromGreenCtx", 12040)(&partition.context, green),
        "a context on a share of the GPU");
    partition.multiprocessors = static_cast<int>(share.sm.smCount);
    result.push_back(partition);
  }
  return made[parts] = result;
}

CUstream partition_stream(const Partition& partition) {
  const CurrentContext current(partition.context);
  CUstream stream{};
  check(driver<decltype(cuStreamCreate)>("cuStreamCreate", 2000)(&stream, CU_STREAM_NON_BLOCKING),
        "a stream on a share of the GPU");
  return stream;
}

CurrentContext::CurrentContext(CUcontext context) {
  if (context == nullptr) return;
  check(driver<decltype(cuCtxPushCurrent)>("cuCtxPushCurrent", 4000)(context), "a context");
  pushed_ = true;
}

CurrentContext::~CurrentContext() {
  if (!pushed_) return;
  CUcontext popped{};
  static_cast<void>(driver<decltype(cuCtxPopCurrent)>("cuCtxPopCurrent", 4000)(&popped));
}

}  // namespace stagesim
