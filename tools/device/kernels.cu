#include <cuda_fp16.h>

#include "tools/device/kernels.hpp"

namespace stagesim {
namespace {

__global__ void nothing() {}

__global__ void fill(unsigned short* data, unsigned long long words) {
  const unsigned long long step = static_cast<unsigned long long>(gridDim.x) * blockDim.x;
  for (unsigned long long i =
           static_cast<unsigned long long>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < words; i += step) {
    unsigned x = static_cast<unsigned>(i) * 2654435761u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    // Sign and fraction at random, the exponent that of numbers from 1/2 to 1.
    data[i] = static_cast<unsigned short>((x & 0x807fu) | 0x3f00u);
  }
}

__device__ unsigned long long nanoseconds() {
  unsigned long long time;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  return time;
}

__global__ void spin(long long ns) {
  const unsigned long long start = nanoseconds();
  while (nanoseconds() - start < static_cast<unsigned long long>(ns)) {
  }
}

__global__ void add(const uint4* a, const uint4* b, uint4* c, long long words) {
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < words;
       i += step) {
    const uint4 x = a[i], y = b[i];
    uint4 z;
    const __half2* px = reinterpret_cast<const __half2*>(&x);
    const __half2* py = reinterpret_cast<const __half2*>(&y);
    __half2* pz = reinterpret_cast<__half2*>(&z);
    for (int k = 0; k < 4; ++k) pz[k] = __hadd2(px[k], py[k]);
    c[i] = z;
  }
}

constexpr int kRow = 1024, kThreads = 128, kEach = kRow / kThreads;

template <typename Combine>
__device__ float over_block(float value, Combine combine) {
  __shared__ float part[kThreads / 32];
  for (int offset = 16; offset > 0; offset /= 2)
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = value;
  __syncthreads();
  value = part[0];
  for (int i = 1; i < kThreads / 32; ++i) value = combine(value, part[i]);
  __syncthreads();
  return value;
}

__global__ void softmax(const __half* in, __half* out) {
  const long long row = static_cast<long long>(blockIdx.x) * kRow;
  float x[kEach];
  float largest = -3.0e38f;
  for (int i = 0; i < kEach; ++i) {
    x[i] = __half2float(in[row + i * kThreads + threadIdx.x]);
    largest = fmaxf(largest, x[i]);
  }
  largest = over_block(largest, [](float a, float b) { return fmaxf(a, b); });
  float sum = 0;
  for (int i = 0; i < kEach; ++i) {
    x[i] = __expf(x[i] - largest);
    sum += x[i];
  }
  sum = over_block(sum, [](float a, float b) { return a + b; });
  for (int i = 0; i < kEach; ++i) out[row + i * kThreads + threadIdx.x] = __float2half(x[i] / sum);
}

__global__ void adam(const float* gradient, float* weight, float* m, float* v,
                     long long parameters) {
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < parameters;
       i += step) {
    const float g = gradient[i];
    const float first = 0.9f * m[i] + 0.1f * g, second = 0.999f * v[i] + 0.001f * g * g;
    m[i] = first;
    v[i] = second;
    weight[i] -= 1e-4f * first / (sqrtf(second) + 1e-8f);
  }
}

constexpr int kBlock = 256, kBlocksPerMultiprocessor = 8;

}  // namespace

cudaError_t launch_nothing(cudaStream_t stream) {
  nothing<<<1, 1, 0, stream>>>();
  return cudaGetLastError();
}

cudaError_t launch_fill(cudaStream_t stream, void* data, std::size_t bytes) {
  fill<<<1024, 256, 0, stream>>>(static_cast<unsigned short*>(data), bytes / 2);
  return cudaGetLastError();
}

cudaError_t launch_spin(cudaStream_t stream, std::int64_t ns) {
  spin<<<1, 1, 0, stream>>>(ns);
  return cudaGetLastError();
}

cudaError_t launch_add(cudaStream_t stream, const void* a, const void* b, void* c,
                       std::int64_t elements, int multiprocessors) {
  add<<<multiprocessors * kBlocksPerMultiprocessor, kBlock, 0, stream>>>(
      static_cast<const uint4*>(a), static_cast<const uint4*>(b), static_cast<uint4*>(c),
      elements / 8);
  return cudaGetLastError();
}

cudaError_t launch_softmax(cudaStream_t stream, const void* in, void* out, std::int64_t rows) {
  softmax<<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(static_cast<const __half*>(in),
                                                                static_cast<__half*>(out));
  return cudaGetLastError();
}

cudaError_t launch_adam(cudaStream_t stream, const float* gradient, float* weight, float* m,
                        float* v, std::int64_t parameters, int multiprocessors) {
  adam<<<multiprocessors * kBlocksPerMultiprocessor, kBlock, 0, stream>>>(gradient, weight, m, v,
                                                                          parameters);
  return cudaGetLastError();
}

}  // namespace stagesim
