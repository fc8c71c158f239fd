#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>

#include "sim/base/error.hpp"
#include "tools/device/device.hpp"
#include "tools/device/kernels.hpp"
#include "tools/device/partitions.hpp"

namespace stagesim {
namespace {

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  throw InputError(fmt::format("CUDA: {}: {}", what, cudaGetErrorString(result)));
}
void check(cublasStatus_t result, const char* what) {
  if (result == CUBLAS_STATUS_SUCCESS) return;
  throw InputError(fmt::format("cuBLAS: {}: {}", what, cublasGetStatusString(result)));
}

std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

// Scratch memory that grows; its contents mean nothing, but are numbers.
class Scratch {
 public:
  void* of(std::size_t bytes) {
    if (bytes > size_) {
      cudaFree(data_);
      data_ = nullptr;
      check(cudaMalloc(&data_, bytes), "memory of the GPU");
      check(launch_fill(nullptr, data_, bytes), "memory of the GPU");
      check(cudaDeviceSynchronize(), "memory of the GPU");
      size_ = bytes;
    }
    return data_;
  }

 private:
  void* data_ = nullptr;  // lives as long as the process
  std::size_t size_ = 0;
};

struct Stream {
  cudaStream_t stream = nullptr;
  std::pair<int, int> part{0, 1};  // of how many
  Partition partition{};           // without a context: the whole device
  cublasHandle_t blas = nullptr;
  Scratch a{}, b{}, c{}, d{};
  void* pinned = nullptr;
  std::size_t pinned_size = 0;
};

class CudaDevice : public Device {
 public:
  CudaDevice() {
    check(cudaGetDeviceProperties(&properties_, 0), "properties of the GPU");
    check(cudaSetDevice(0), "the first GPU");
    check(cudaFree(nullptr), "the first GPU");
  }

  DeviceInfo info() override {
    DeviceInfo info{.name = properties_.name,
                    .driver = "",
                    .runtime = "",
                    .blas = "",
                    .multiprocessors = properties_.multiProcessorCount,
                    .memory_gib = static_cast<double>(properties_.totalGlobalMem) / (1 << 30)};
    int number = 0;
    check(cudaGetDeviceCount(&info.devices), "number of GPUs");
    check(cudaDriverGetVersion(&number), "version of the driver");
    info.driver = version(number);
    check(cudaRuntimeGetVersion(&number), "version of the runtime");
    info.runtime = version(number);
    int part[3] = {};
    for (int i = 0; i < 3; ++i)
      check(cublasGetProperty(static_cast<libraryPropertyType>(i), &part[i]), "version");
    info.blas = fmt::format("{}.{}.{}", part[0], part[1], part[2]);
    check(cudaDeviceGetAttribute(&number, cudaDevAttrClockRate, 0), "clock of the GPU");
    info.clock_mhz = number / 1e3;
    return info;
  }

  StreamId add_stream(int part, int parts) override {
    const std::lock_guard lock(mutex_);
    std::vector<StreamId>& free = free_[{part, parts}];
    if (!free.empty()) {
      const StreamId id = free.back();
      free.pop_back();
      return id;
    }
    Stream& s = streams_.emplace_back();
    s.part = {part, parts};
    if (parts > 1) {
      s.partition = split_device(parts).at(static_cast<std::size_t>(part));
      s.stream = partition_stream(s.partition);
    } else {
      check(cudaStreamCreateWithFlags(&s.stream, cudaStreamNonBlocking), "a stream");
      s.partition.multiprocessors = properties_.multiProcessorCount;
    }
    return static_cast<StreamId>(streams_.size() - 1);
  }

  EventId record(StreamId id) override {
    Stream& s = stream(id);
    const CurrentContext current(s.partition.context);
    cudaEvent_t event = nullptr;
    EventId number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = used_events_++;
      if (number == events_.size()) {
        check(cudaEventCreate(&event), "an event");
        events_.push_back(event);
      }
      event = events_[number];
    }
    check(cudaEventRecord(event, s.stream), "recording an event");
    return number;
  }

  void wait(StreamId id, EventId event) override {
    Stream& s = stream(id);
    const CurrentContext current(s.partition.context);
    check(cudaStreamWaitEvent(s.stream, event_of(event), 0), "waiting for an event");
  }

  bool reached(EventId event) override {
    const cudaError_t result = cudaEventQuery(event_of(event));
    if (result != cudaErrorNotReady) check(result, "an event");
    return result == cudaSuccess;
  }

  // Milliseconds in a float: of a run of 10 s this resolves a microsecond.
  Nanos at(EventId event) override {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, event_of(0), event_of(event)), "time of an event");
    return Nanos(static_cast<std::int64_t>(1e6 * static_cast<double>(ms)));
  }

  void synchronize() override { check(cudaDeviceSynchronize(), "the GPU"); }

  void reset() override {
    synchronize();
    const std::lock_guard lock(mutex_);
    used_events_ = 0;
    free_.clear();
    for (StreamId id = 0; id < streams_.size(); ++id) free_[streams_[id].part].push_back(id);
  }

  void forget_events() override {
    synchronize();
    const std::lock_guard lock(mutex_);
    used_events_ = 0;
  }

  void nothing(StreamId id) override {
    Stream& s = stream(id);
    const CurrentContext current(s.partition.context);
    check(launch_nothing(s.stream), "an empty kernel");
  }

  void spin(StreamId id, Nanos time) override {
    Stream& s = stream(id);
    const CurrentContext current(s.partition.context);
    check(launch_spin(s.stream, time.count()), "a spinning kernel");
  }

  void multiply(StreamId id, const Gemm& g) override {
    Stream& s = stream(id);
    const CurrentContext current(s.partition.context);
    if (s.blas == nullptr) {
      check(cublasCreate(&s.blas), "a handle");
      check(cublasSetStream(s.blas, s.stream), "a stream");
      if (s.partition.context != nullptr)
        check(cublasSetSmCountTarget(s.blas, s.partition.multiprocessors), "multiprocessors");
    }
    const bool doubles = g.dtype == DType::kFp64;
    const cudaDataType_t type = type_of(g.dtype);
    const cublasComputeType_t compute = doubles                   ? CUBLAS_COMPUTE_64F
                                        : g.dtype == DType::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                  : CUBLAS_COMPUTE_32F;
    const auto bytes = [&](int rows, int columns) {
      return static_cast<std::size_t>(bytes_of(g.dtype)) * static_cast<std::size_t>(rows) *
             static_cast<std::size_t>(columns) * static_cast<std::size_t>(g.batch);
    };
    const float one = 1, zero = 0;
    const double one64 = 1, zero64 = 0;
    const void* alpha = doubles ? static_cast<const void*>(&one64) : &one;
    const void* beta = doubles ? static_cast<const void*>(&zero64) : &zero;
    const auto stride = [](int rows, int columns) {
      return static_cast<long long>(rows) * static_cast<long long>(columns);
    };
    check(cublasGemmStridedBatchedEx(s.blas, CUBLAS_OP_N, CUBLAS_OP_N, g.m, g.n, g.k, alpha,
                                     s.a.of(bytes(g.m, g.k)), type, g.m, stride(g.m, g.k),
                                     s.b.of(bytes(g.k, g.n)), type, g.k, stride(g.k, g.n), beta,
                                     s.c.of(bytes(g.m, g.n)), type, g.m, stride(g.m, g.n), g.batch,
                                     compute, CUBLAS_GEMM_DEFAULT),
          "a matrix product");
  }

  void move_bytes(StreamId id, MemoryKernel kernel, std::int64_t bytes) override {
    Stream& s = stream(id);
    const CurrentContext current(s.partition.context);
    const int multiprocessors = s.partition.multiprocessors;
    const auto size = static_cast<std::size_t>(bytes);
    switch (kernel) {
      case MemoryKernel::kAdd: {
        const std::size_t each = size / 3 / 16 * 16;
        return check(launch_add(s.stream, s.a.of(each), s.b.of(each), s.c.of(each),
                                static_cast<std::int64_t>(each / 2), multiprocessors),
                     "an addition");
      }
      case MemoryKernel::kSoftmax: {
        const std::size_t rows = size / 4096;
        return check(launch_softmax(s.stream, s.a.of(rows * 2048), s.c.of(rows * 2048),
                                    static_cast<std::int64_t>(rows)),
                     "a softmax");
      }
      case MemoryKernel::kAdam: {
        const std::size_t parameters = size / 28, each = 4 * parameters;
        return check(
            launch_adam(s.stream, static_cast<const float*>(s.a.of(each)),
                        static_cast<float*>(s.b.of(each)), static_cast<float*>(s.c.of(each)),
                        static_cast<float*>(s.d.of(each)), static_cast<std::int64_t>(parameters),
                        multiprocessors),
            "an optimizer step");
      }
    }
  }

  void copy(StreamId id, CopyKind kind, std::int64_t bytes) override {
    Stream& s = stream(id);
    const CurrentContext current(s.partition.context);
    const auto size = static_cast<std::size_t>(bytes);
    if (kind == CopyKind::kWithinDevice) {
      return check(
          cudaMemcpyAsync(s.c.of(size), s.a.of(size), size, cudaMemcpyDeviceToDevice, s.stream),
          "a copy");
    }
    if (size > s.pinned_size) {
      cudaFreeHost(s.pinned);
      s.pinned = nullptr;
      check(cudaMallocHost(&s.pinned, size), "pinned memory of the host");
      s.pinned_size = size;
    }
    const bool in = kind == CopyKind::kHostToDevice;
    void* const device = s.a.of(size);
    check(cudaMemcpyAsync(in ? device : s.pinned, in ? s.pinned : device, size,
                          in ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, s.stream),
          "a copy");
  }

  void allocate(StreamId id, std::int64_t bytes, bool pooled) override {
    Stream& s = stream(id);
    const CurrentContext current(s.partition.context);
    const auto size = static_cast<std::size_t>(bytes);
    void* data = nullptr;
    if (!pooled) {
      check(cudaMalloc(&data, size), "memory of the GPU");
      return check(cudaFree(data), "memory of the GPU");
    }
    if (!pool_keeps_) {
      cudaMemPool_t pool = nullptr;
      std::uint64_t all = ~std::uint64_t{0};
      check(cudaDeviceGetDefaultMemPool(&pool, 0), "the memory pool");
      check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
            "the memory pool");
      pool_keeps_ = true;
    }
    check(cudaMallocAsync(&data, size, s.stream), "memory of the pool");
    check(cudaFreeAsync(data, s.stream), "memory of the pool");
  }

 private:
  static cudaDataType_t type_of(DType dtype) {
    switch (dtype) {
      case DType::kFp64:
        return CUDA_R_64F;
      case DType::kFp32:
      case DType::kTf32:
        return CUDA_R_32F;
      case DType::kFp16:
        return CUDA_R_16F;
      case DType::kBf16:
        return CUDA_R_16BF;
    }
    return CUDA_R_16BF;
  }

  Stream& stream(StreamId id) {
    const std::lock_guard lock(mutex_);
    return streams_.at(id);
  }
  cudaEvent_t event_of(EventId event) {
    const std::lock_guard lock(mutex_);
    return events_.at(event);
  }

  cudaDeviceProp properties_{};
  std::mutex mutex_;  // of what follows; a stream itself belongs to one thread at a time
  std::deque<Stream> streams_;
  std::map<std::pair<int, int>, std::vector<StreamId>> free_;
  std::vector<cudaEvent_t> events_;
  EventId used_events_ = 0;
  bool pool_keeps_ = false;
};

}  // namespace

std::unique_ptr<Device> cuda_device() {
  // Streams beyond the hardware's queues wait for each other; 32 is the most, 8 the default.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  int devices = 0;
  const cudaError_t result = cudaGetDeviceCount(&devices);
  if (result != cudaSuccess || devices == 0)
    throw InputError(fmt::format(
        "no GPU: {}", result == cudaSuccess ? "none is visible" : cudaGetErrorString(result)));
  return std::make_unique<CudaDevice>();
}

}  // namespace stagesim
