#include <fmt/format.h>

#include "sim/base/error.hpp"
#include "tools/processes/processes.hpp"

namespace stagesim {

std::unique_ptr<Processes> launched_processes() {
  if (launched_count() == 1) return nullptr;
  throw InputError(
      fmt::format("{} processes were started together, but this stagesim was built without MPI: "
                  "start one, or install libboost-mpi-dev and build again",
                  launched_count()));
}

}  // namespace stagesim
