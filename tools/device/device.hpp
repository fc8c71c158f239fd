#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sim/base/time.hpp"

namespace stagesim {

using StreamId = std::uint32_t;
using EventId = std::uint32_t;

struct DeviceInfo {
  std::string name, driver, runtime, blas;  // versions as the libraries print them
  int devices = 1;                          // that the process sees; this is the first
  int multiprocessors = 0;
  double memory_gib = 0;
  double clock_mhz = 0;  // of the multiprocessors, now; 0: not said
};

enum class DType : std::uint8_t { kFp32, kTf32, kFp16, kBf16, kFp64 };
std::string_view text(DType dtype);
constexpr int bytes_of(DType d) {
  return d == DType::kFp64 ? 8 : d == DType::kFp32 || d == DType::kTf32 ? 4 : 2;
}

// C (m x n) = A (m x k) B (k x n), `batch` times side by side; inputs and output of one type, sums
// in fp32 (fp64 of fp64).
struct Gemm {
  DType dtype = DType::kBf16;
  int m = 0, n = 0, k = 0, batch = 1;
  double flops() const { return 2.0 * m * n * k * batch; }
};

// Kernels whose time is the bytes they move.
enum class MemoryKernel : std::uint8_t {
  kAdd,      // two 16-bit inputs, one output
  kSoftmax,  // rows of 1024 in 16 bits
  kAdam,     // 28 bytes per parameter: gradient, master and both moments read, all but the first
             // written
};
std::string_view text(MemoryKernel kernel);
enum class CopyKind : std::uint8_t { kHostToDevice, kDeviceToHost, kWithinDevice };
std::string_view text(CopyKind kind);

// One GPU, as much of it as probe and execution need. Work is queued on streams, in order within
// one; calls return at once and may come from several threads. Everything throws InputError with
// what the driver says.
class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceInfo info() = 0;

  // On `part` of `parts` equal partitions of the multiprocessors (1: all of them).
  virtual StreamId add_stream(int part, int parts) = 0;
  virtual EventId record(StreamId stream) = 0;
  virtual void wait(StreamId stream, EventId event) = 0;
  virtual bool reached(EventId event) = 0;
  // When a reached event happened, since some moment before the first one.
  virtual Nanos at(EventId event) = 0;
  virtual void synchronize() = 0;
  // Nothing is under way and no stream or event is asked for any more: they may be given again.
  virtual void reset() = 0;
  // The same of events alone.
  virtual void forget_events() = 0;

  virtual void nothing(StreamId stream) = 0;  // an empty kernel
  virtual void spin(StreamId stream, Nanos time) = 0;
  virtual void multiply(StreamId stream, const Gemm& gemm) = 0;
  virtual void move_bytes(StreamId stream, MemoryKernel kernel, std::int64_t bytes) = 0;
  virtual void copy(StreamId stream, CopyKind kind, std::int64_t bytes) = 0;
  // Takes memory and gives it back: from the stream's pool, which keeps it, or from the driver.
  virtual void allocate(StreamId stream, std::int64_t bytes, bool pooled) = 0;
};

// The first GPU of this machine. InputError when this build has no CUDA, or there is no GPU.
std::unique_ptr<Device> cuda_device();

}  // namespace stagesim
