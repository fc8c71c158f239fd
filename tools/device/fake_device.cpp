#include "tools/device/fake_device.hpp"

#include <algorithm>
#include <cmath>

namespace stagesim {

DeviceInfo FakeDevice::info() {
  return {.name = "fake device",
          .driver = "0",
          .runtime = "0",
          .blas = "0",
          .multiprocessors = 128,
          .memory_gib = 80,
          .clock_mhz = 1000};
}

StreamId FakeDevice::add_stream(int, int parts) {
  const std::lock_guard lock(mutex_);
  streams_.push_back({.parts = parts});
  return static_cast<StreamId>(streams_.size() - 1);
}

EventId FakeDevice::record(StreamId stream) {
  const std::lock_guard lock(mutex_);
  events_.push_back(streams_.at(stream).now);
  return static_cast<EventId>(events_.size() - 1);
}

void FakeDevice::wait(StreamId stream, EventId event) {
  const std::lock_guard lock(mutex_);
  streams_.at(stream).now = std::max(streams_.at(stream).now, events_.at(event));
}

Nanos FakeDevice::at(EventId event) {
  const std::lock_guard lock(mutex_);
  return events_.at(event);
}

void FakeDevice::reset() {
  const std::lock_guard lock(mutex_);
  events_.clear();
  streams_.clear();
}

void FakeDevice::forget_events() {
  const std::lock_guard lock(mutex_);
  events_.clear();
}

void FakeDevice::pass(StreamId stream, double us) {
  const std::lock_guard lock(mutex_);
  // mt19937's own output, because distributions differ between standard libraries.
  const double draw = static_cast<double>(random_()) / 4294967296.0;
  streams_.at(stream).now += Nanos(std::llround(1e3 * us * (1 + law_.noise * draw)));
}

void FakeDevice::nothing(StreamId stream) { pass(stream, law_.launch_us); }

void FakeDevice::spin(StreamId stream, Nanos time) {
  const std::lock_guard lock(mutex_);
  streams_.at(stream).now += time;
}

void FakeDevice::multiply(StreamId stream, const Gemm& gemm) {
  int parts = 1;
  {
    const std::lock_guard lock(mutex_);
    parts = streams_.at(stream).parts;
  }
  pass(stream, law_.gemm_us + gemm.flops() * parts / law_.gemm_tflops / 1e6);
}

void FakeDevice::move_bytes(StreamId stream, MemoryKernel, std::int64_t bytes) {
  pass(stream, law_.memory_us + static_cast<double>(bytes) / law_.memory_gb_per_s / 1e3);
}

void FakeDevice::copy(StreamId stream, CopyKind kind, std::int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (kind == CopyKind::kWithinDevice)  // read and written
    return pass(stream, law_.memory_us + 2 * size / law_.memory_gb_per_s / 1e3);
  pass(stream, law_.host_us + size / law_.host_gb_per_s / 1e3);
}

}  // namespace stagesim
