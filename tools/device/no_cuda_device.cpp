#include "sim/base/error.hpp"
#include "tools/device/device.hpp"

namespace stagesim {

std::unique_ptr<Device> cuda_device() {
  throw InputError(
      "this build has no CUDA: install the CUDA toolkit (nvcc and cuBLAS), configure again with "
      "nvcc on the path, and build");
}

}  // namespace stagesim
