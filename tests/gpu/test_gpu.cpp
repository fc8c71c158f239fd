// Kernels, streams and NCCL on the GPU of this machine, if it has one; else every case says so.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cmath>
#include <vector>

#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"
#include "tools/device/device.hpp"
#include "tools/device/device_group.hpp"
#include "tools/device/kernels.hpp"

using namespace stagesim;

namespace {

bool no_gpu() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) return false;
  WARN("skipped: no GPU");
  return true;
}

// Memory of the GPU with a copy on the host.
template <typename T>
class OnGpu {
 public:
  explicit OnGpu(std::vector<T> values) : values_(std::move(values)) {
    REQUIRE(cudaMalloc(&data_, bytes()) == cudaSuccess);
    REQUIRE(cudaMemcpy(data_, values_.data(), bytes(), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  ~OnGpu() { cudaFree(data_); }
  OnGpu(const OnGpu&) = delete;
  OnGpu& operator=(const OnGpu&) = delete;

  T* data() { return static_cast<T*>(data_); }
  const std::vector<T>& back() {
    REQUIRE(cudaMemcpy(values_.data(), data_, bytes(), cudaMemcpyDeviceToHost) == cudaSuccess);
    return values_;
  }

 private:
  std::size_t bytes() const { return values_.size() * sizeof(T); }
  std::vector<T> values_;
  void* data_ = nullptr;
};

constexpr int kMultiprocessors = 32;

}  // namespace

TEST_CASE("memory is filled with numbers between -1 and 1 of both signs", "[gpu]") {
  if (no_gpu()) return;
  OnGpu<__nv_bfloat16> data(std::vector<__nv_bfloat16>(100'000, __float2bfloat16(77)));
  REQUIRE(launch_fill(nullptr, data.data(), 200'000) == cudaSuccess);
  int negative = 0;
  double sum = 0;
  for (const __nv_bfloat16 word : data.back()) {
    const float x = __bfloat162float(word);
    REQUIRE(std::abs(x) <= 1);
    REQUIRE(std::abs(x) >= 0.5f);
    negative += x < 0 ? 1 : 0;
    sum += x;
  }
  CHECK(std::abs(negative - 50'000) < 1000);
  CHECK(std::abs(sum) < 1000);
}

TEST_CASE("addition, every element", "[gpu]") {
  if (no_gpu()) return;
  constexpr std::size_t kWords = 80'008;
  std::vector<__half> a, b;
  for (std::size_t i = 0; i < kWords; ++i) {
    a.push_back(__float2half(static_cast<float>(i % 512)));
    b.push_back(__float2half(static_cast<float>(i % 300) / 2));
  }
  OnGpu<__half> x(a), y(b), z(std::vector<__half>(kWords, __float2half(-5)));
  REQUIRE(launch_add(nullptr, x.data(), y.data(), z.data(), kWords, kMultiprocessors) ==
          cudaSuccess);
  const std::vector<__half>& sums = z.back();
  for (std::size_t i = 0; i < kWords; ++i)  // exact in 11 bits
    REQUIRE(__half2float(sums[i]) == __half2float(a[i]) + __half2float(b[i]));
}

TEST_CASE("softmax over rows of 1024", "[gpu]") {
  if (no_gpu()) return;
  constexpr std::size_t kRows = 33, kRow = 1024;
  std::vector<__half> in;
  for (std::size_t i = 0; i < kRows * kRow; ++i)
    in.push_back(__float2half(static_cast<float>((i * 37) % 101) / 20 - 2));
  OnGpu<__half> x(in), y(std::vector<__half>(in.size(), __float2half(-5)));
  REQUIRE(launch_softmax(nullptr, x.data(), y.data(), kRows) == cudaSuccess);
  const std::vector<__half>& out = y.back();
  for (std::size_t row = 0; row < kRows; ++row) {
    double sum = 0;
    for (std::size_t i = 0; i < kRow; ++i)
      sum += std::exp(static_cast<double>(__half2float(in[row * kRow + i])));
    for (std::size_t i = 0; i < kRow; ++i) {
      const double expected = std::exp(static_cast<double>(__half2float(in[row * kRow + i]))) / sum;
      REQUIRE(static_cast<double>(__half2float(out[row * kRow + i])) ==
              Approx(expected).epsilon(2e-3).margin(1e-6));
    }
  }
}

TEST_CASE("Adam, against the formula in double precision", "[gpu]") {
  if (no_gpu()) return;
  constexpr std::size_t kParameters = 50'001;
  std::vector<float> g, w, m, v;
  for (std::size_t i = 0; i < kParameters; ++i) {
    g.push_back(static_cast<float>(i % 17) / 10 - 0.8f);
    w.push_back(static_cast<float>(i % 23) / 5);
    m.push_back(static_cast<float>(i % 7) / 10);
    v.push_back(static_cast<float>(i % 5) / 10);
  }
  OnGpu<float> gradient(g), weight(w), first(m), second(v);
  REQUIRE(launch_adam(nullptr, gradient.data(), weight.data(), first.data(), second.data(),
                      kParameters, kMultiprocessors) == cudaSuccess);
  const std::vector<float>&nw = weight.back(), &nm = first.back(), &nv = second.back();
  for (std::size_t i = 0; i < kParameters; ++i) {
    const double grad = g[i], em = 0.9 * m[i] + 0.1 * grad, ev = 0.999 * v[i] + 0.001 * grad * grad;
    REQUIRE(nm[i] == Approx(em).epsilon(1e-5).margin(1e-6));
    REQUIRE(nv[i] == Approx(ev).epsilon(1e-5).margin(1e-6));
    REQUIRE(nw[i] == Approx(w[i] - 1e-4 * em / (std::sqrt(ev) + 1e-8)).epsilon(1e-5));
  }
}

TEST_CASE("streams keep their order, wait for events, and spin no shorter than asked", "[gpu]") {
  if (no_gpu()) return;
  const std::unique_ptr<Device> device = cuda_device();
  device->reset();
  const StreamId one = device->add_stream(0, 1), other = device->add_stream(0, 1);
  const EventId zero = device->record(one);
  device->spin(one, Nanos{3'000'000});
  const EventId spun = device->record(one);
  device->wait(other, spun);
  const EventId seen = device->record(other);
  device->synchronize();
  CHECK(device->reached(seen));
  CHECK((device->at(spun) - device->at(zero)).count() >= 2'990'000);
  CHECK(device->at(seen) >= device->at(spun));
  CHECK(device->info().multiprocessors > 0);
}

TEST_CASE("shares of the GPU multiply and move bytes", "[gpu]") {
  if (no_gpu()) return;
  const std::unique_ptr<Device> device = cuda_device();
  device->reset();
  for (int part = 0; part < 2; ++part) {
    const StreamId stream = device->add_stream(part, 2);
    const EventId before = device->record(stream);
    device->multiply(stream, {.dtype = DType::kBf16, .m = 512, .n = 512, .k = 64, .batch = 8});
    device->multiply(stream, {.dtype = DType::kFp64, .m = 256, .n = 256, .k = 256});
    device->move_bytes(stream, MemoryKernel::kSoftmax, 1 << 20);
    device->copy(stream, CopyKind::kDeviceToHost, 1 << 16);
    device->allocate(stream, 1 << 20, true);
    const EventId after = device->record(stream);
    device->synchronize();
    CHECK(device->at(after) > device->at(before));
  }
}

TEST_CASE("NCCL answers, with whatever GPUs there are", "[gpu][nccl]") {
  if (no_gpu()) return;
  const std::unique_ptr<DeviceGroup> group = device_group();
  CHECK_THAT(group->version(), contains("."));
  for (const GroupOp op : group_ops()) {
    INFO(text(op));
    CHECK(group->time_us(op, group->size(), 1 << 20, 3) > 0);
  }
  CHECK_THROWS_AS(group->queue(GroupOp::kSend, group->size() + 1, 1024), InputError);
}
