#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace stagesim {

struct Message {
  int from = 0;
  std::string text{};
};

// Processes that were started together and send each other messages. Used by one thread.
class Processes {
 public:
  virtual ~Processes() = default;
  virtual int rank() const = 0;  // 0 writes what all found
  virtual int count() const = 0;
  virtual std::string machine() const = 0;
  // Returns at once. Messages between the same two arrive in the order sent.
  virtual void send(int to, std::string text) = 0;
  // The next that has arrived, if any.
  virtual std::optional<Message> receive() = 0;
  // Returns when all have come here.
  virtual void barrier() = 0;
};

// The next message, however long it takes; looks every `pause`, or all the time.
Message wait_for_message(Processes& processes, std::chrono::microseconds pause = {});

// Those that mpirun or srun started with this one; null where there is just this one. Call it once
// in a program. Throws InputError where there are several and this build knows no MPI.
std::unique_ptr<Processes> launched_processes();

// How many a launcher says it started, by the variables that it sets: 1 without one.
int launched_count();

}  // namespace stagesim
