#include "sim/base/error.hpp"
#include "tools/device/device_group.hpp"

namespace stagesim {

std::unique_ptr<DeviceGroup> device_group() {
  throw InputError(
      "this build has no NCCL: install it (libnccl-dev, or the CUDA toolkit's own), configure "
      "again, and build");
}

}  // namespace stagesim
