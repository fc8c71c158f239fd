#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>

#include <algorithm>
#include <map>

#include "sim/base/error.hpp"
#include "tools/device/device_group.hpp"
#include "tools/device/kernels.hpp"

namespace stagesim {
namespace {

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  throw InputError(fmt::format("CUDA: {}: {}", what, cudaGetErrorString(result)));
}
void check(ncclResult_t result, const char* what) {
  if (result == ncclSuccess) return;
  throw InputError(fmt::format("NCCL: {}: {}", what, ncclGetErrorString(result)));
}

constexpr ncclDataType_t kType = ncclFloat16;
constexpr std::int64_t kTypeBytes = 2;

class NcclGroup : public DeviceGroup {
 public:
  explicit NcclGroup(int devices) : gpus_(static_cast<std::size_t>(devices)) {
    for (int d = 0; d < devices; ++d) {
      Gpu& gpu = gpus_[static_cast<std::size_t>(d)];
      check(cudaSetDevice(d), "a GPU");
      check(cudaStreamCreateWithFlags(&gpu.stream, cudaStreamNonBlocking), "a stream");
      check(cudaEventCreate(&gpu.before), "an event");
      check(cudaEventCreate(&gpu.after), "an event");
    }
    check(cudaSetDevice(0), "the first GPU");
  }

  ~NcclGroup() override {
    for (const auto& [participants, comms] : comms_)
      for (const ncclComm_t comm : comms) ncclCommDestroy(comm);
  }
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;

  int size() const override { return static_cast<int>(gpus_.size()); }

  std::string version() override {
    int code = 0;
    check(ncclGetVersion(&code), "version");
    return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100);
  }

  void queue(GroupOp op, int participants, std::int64_t bytes) override {
    if (participants < 1 || participants > size())
      throw InputError(fmt::format("NCCL: {} GPUs asked for, {} there", participants, size()));
    const std::vector<ncclComm_t>& comms = comms_of(participants);
    const auto n = static_cast<std::size_t>(participants);
    for (std::size_t i = 0; i < n; ++i) make_room(i, bytes);
    check(ncclGroupStart(), "a group of calls");
    for (std::size_t i = 0; i < n; ++i) call(op, i, n, bytes, comms[i]);
    check(ncclGroupEnd(), text(op).data());
  }

  void finish() override {
    for (const Gpu& gpu : gpus_) check(cudaStreamSynchronize(gpu.stream), "a stream");
  }

  double time_us(GroupOp op, int participants, std::int64_t bytes, int repetitions) override {
    queue(op, participants, bytes);  // buffers and connections, before the clock runs
    finish();
    const auto record = [&](cudaEvent_t Gpu::*event) {
      for (int i = 0; i < participants; ++i) {
        const Gpu& gpu = gpus_[static_cast<std::size_t>(i)];
        check(cudaSetDevice(i), "a GPU");
        check(cudaEventRecord(gpu.*event, gpu.stream), "an event");
      }
      check(cudaSetDevice(0), "the first GPU");
    };
    record(&Gpu::before);
    for (int r = 0; r < repetitions; ++r) queue(op, participants, bytes);
    record(&Gpu::after);
    finish();
    float longest_ms = 0;
    for (int i = 0; i < participants; ++i) {
      const Gpu& gpu = gpus_[static_cast<std::size_t>(i)];
      float ms = 0;
      check(cudaEventElapsedTime(&ms, gpu.before, gpu.after), "time of an event");
      longest_ms = std::max(longest_ms, ms);
    }
    return 1e3 * static_cast<double>(longest_ms) / repetitions;
  }

 private:
  struct Gpu {
    cudaStream_t stream = nullptr;  // lives as long as the process, as do the buffers
    cudaEvent_t before = nullptr, after = nullptr;
    void *in = nullptr, *out = nullptr;
    std::int64_t room = 0;
  };

  const std::vector<ncclComm_t>& comms_of(int participants) {
    std::vector<ncclComm_t>& comms = comms_[participants];
    if (!comms.empty()) return comms;
    std::vector<ncclComm_t> made(static_cast<std::size_t>(participants));
    check(ncclCommInitAll(made.data(), participants, nullptr), "communicators");
    return comms = made;
  }

  void make_room(std::size_t i, std::int64_t bytes) {
    Gpu& gpu = gpus_[i];
    if (bytes <= gpu.room) return;
    check(cudaSetDevice(static_cast<int>(i)), "a GPU");
    cudaFree(gpu.in);
    cudaFree(gpu.out);
    gpu.room = 0;
    const auto size = static_cast<std::size_t>(bytes);
    for (void** buffer : {&gpu.in, &gpu.out}) {
      check(cudaMalloc(buffer, size), "memory of a GPU");
      check(launch_fill(gpu.stream, *buffer, size), "memory of a GPU");
    }
    gpu.room = bytes;
    check(cudaSetDevice(0), "the first GPU");
  }

  // What GPU i of n does.
  void call(GroupOp op, std::size_t i, std::size_t n, std::int64_t bytes, ncclComm_t comm) {
    const Gpu& gpu = gpus_[i];
    const auto count = static_cast<std::size_t>(bytes / kTypeBytes), part = count / n;
    const auto send = [&](std::size_t to, std::size_t words) {
      const auto* from = static_cast<const char*>(gpu.in) + to * words * kTypeBytes;
      check(ncclSend(op == GroupOp::kAllToAll ? from : gpu.in, words, kType, static_cast<int>(to),
                     comm, gpu.stream),
            "a send");
    };
    const auto receive = [&](std::size_t from, std::size_t words) {
      auto* to = static_cast<char*>(gpu.out) + from * words * kTypeBytes;
      check(ncclRecv(op == GroupOp::kAllToAll ? to : gpu.out, words, kType, static_cast<int>(from),
                     comm, gpu.stream),
            "a receive");
    };
    switch (op) {
      case GroupOp::kSend:
        if (i == 0) send(n > 1 ? 1 : 0, count);
        if (i == 1 || n == 1) receive(0, count);
        return;
      case GroupOp::kExchange:
        if (i > 1) return;
        send(n > 1 ? 1 - i : 0, count);
        return receive(n > 1 ? 1 - i : 0, count);
      case GroupOp::kAllReduce:
        return check(ncclAllReduce(gpu.in, gpu.out, count, kType, ncclSum, comm, gpu.stream),
                     "an all-reduce");
      case GroupOp::kReduce:
        return check(ncclReduce(gpu.in, gpu.out, count, kType, ncclSum, 0, comm, gpu.stream),
                     "a reduce");
      case GroupOp::kBroadcast:
        return check(ncclBroadcast(gpu.in, gpu.out, count, kType, 0, comm, gpu.stream),
                     "a broadcast");
      case GroupOp::kAllGather:
        return check(ncclAllGather(gpu.in, gpu.out, part, kType, comm, gpu.stream),
                     "an all-gather");
      case GroupOp::kReduceScatter:
        return check(ncclReduceScatter(gpu.in, gpu.out, part, kType, ncclSum, comm, gpu.stream),
                     "a reduce-scatter");
      case GroupOp::kAllToAll:
        for (std::size_t other = 0; other < n; ++other) {
          send(other, part);
          receive(other, part);
        }
        return;
    }
  }

  std::vector<Gpu> gpus_;
  std::map<int, std::vector<ncclComm_t>> comms_;  // [participants], made when first asked for
};

}  // namespace

std::unique_ptr<DeviceGroup> device_group() {
  int devices = 0;
  const cudaError_t result = cudaGetDeviceCount(&devices);
  if (result != cudaSuccess || devices == 0)
    throw InputError(fmt::format(
        "no GPU: {}", result == cudaSuccess ? "none is visible" : cudaGetErrorString(result)));
  return std::make_unique<NcclGroup>(devices);
}

}  // namespace stagesim
