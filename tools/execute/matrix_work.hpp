#pragma once

#include <atomic>
#include <cstdint>

namespace stagesim {

// Double-precision products of matrices of a fixed size that stay in a core's cache, through the
// system's BLAS. Throw InputError in a build without one.

// On one core that does nothing else: the best of a few tries.
double matrix_products_per_second();
// `count` of them on this thread, or until stopped.
void multiply_matrices(std::int64_t count, const std::atomic<bool>& stopped);

}  // namespace stagesim
