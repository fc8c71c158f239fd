#include "tools/processes/processes.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace stagesim {

int launched_count() {
  int most = 1;
  // Open MPI; MPICH and Intel MPI; srun
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    const std::string_view text = value;
    int count = 1;
    std::from_chars(text.data(), text.data() + text.size(), count);
    most = std::max(most, count);
  }
  return most;
}

Message wait_for_message(Processes& processes, std::chrono::microseconds pause) {
  for (;;) {
    if (std::optional<Message> message = processes.receive()) return std::move(*message);
    if (pause.count() > 0)
      std::this_thread::sleep_for(pause);
    else
      std::this_thread::yield();
  }
}

}  // namespace stagesim
