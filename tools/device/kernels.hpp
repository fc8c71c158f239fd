#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace stagesim {

// Launchers of the kernels in kernels.cu; each returns what the launch returned.
cudaError_t launch_nothing(cudaStream_t stream);
// 16-bit words of bf16 numbers between -1 and 1 that look random; as fp32 or fp64 they are numbers
// of about that size too. Products of zeros draw less power, and run faster than real ones.
cudaError_t launch_fill(cudaStream_t stream, void* data, std::size_t bytes);
// One thread that watches the device's clock of nanoseconds.
cudaError_t launch_spin(cudaStream_t stream, std::int64_t ns);
// c[i] = a[i] + b[i], 16-bit elements, two to a word.
cudaError_t launch_add(cudaStream_t stream, const void* a, const void* b, void* c,
                       std::int64_t elements, int multiprocessors);
// Softmax over rows of 1024 16-bit elements.
cudaError_t launch_softmax(cudaStream_t stream, const void* in, void* out, std::int64_t rows);
// Adam on fp32: gradient read, weight and both moments read and written.
cudaError_t launch_adam(cudaStream_t stream, const float* gradient, float* weight, float* m,
                        float* v, std::int64_t parameters, int multiprocessors);

}  // namespace stagesim
