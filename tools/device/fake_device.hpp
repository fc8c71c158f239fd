#pragma once

#include <mutex>
#include <random>
#include <vector>

#include "tools/device/device.hpp"

namespace stagesim {

// How long work takes on a fake device: t = fixed + amount / rate, of one stream alone.
struct FakeLaw {
  double launch_us = 4;  // of the host between two queued kernels
  double gemm_us = 6, gemm_tflops = 500;
  double memory_us = 2, memory_gb_per_s = 2500;
  double host_us = 8, host_gb_per_s = 50;
  double noise = 0;  // relative, uniform, times never below the law
  unsigned seed = 1;
};

// A device in virtual time: every stream has a clock, work moves it on by what the law says, and
// an event is a reading of it. Nothing waits, so that tests of the host's logic have exact answers.
// A partition has its share of the rate of products.
class FakeDevice : public Device {
 public:
  explicit FakeDevice(const FakeLaw& law = {}) : law_(law), random_(law.seed) {}

  DeviceInfo info() override;
  StreamId add_stream(int part, int parts) override;
  EventId record(StreamId stream) override;
  void wait(StreamId stream, EventId event) override;
  bool reached(EventId) override { return true; }
  Nanos at(EventId event) override;
  void synchronize() override {}
  void reset() override;
  void forget_events() override;

  void nothing(StreamId stream) override;
  void spin(StreamId stream, Nanos time) override;
  void multiply(StreamId stream, const Gemm& gemm) override;
  void move_bytes(StreamId stream, MemoryKernel kernel, std::int64_t bytes) override;
  void copy(StreamId stream, CopyKind kind, std::int64_t bytes) override;
  void allocate(StreamId, std::int64_t, bool) override {}  // takes the host's time alone

 private:
  struct Stream {
    Nanos now{};
    int parts = 1;
  };
  void pass(StreamId stream, double us);

  FakeLaw law_;
  std::mutex mutex_;  // of what follows
  std::mt19937 random_;
  std::vector<Stream> streams_;
  std::vector<Nanos> events_;
};

}  // namespace stagesim
