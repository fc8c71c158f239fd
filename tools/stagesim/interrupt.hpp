#pragma once

#include <atomic>
#include <csignal>

namespace stagesim {

// While it lives, Ctrl-C and SIGTERM set a flag instead of ending the program. One at a time.
class InterruptFlag {
 public:
  InterruptFlag() : before_int_(std::signal(SIGINT, set)), before_term_(std::signal(SIGTERM, set)) {
    raised() = false;
  }
  ~InterruptFlag() {
    std::signal(SIGINT, before_int_);
    std::signal(SIGTERM, before_term_);
  }
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  const std::atomic<bool>* flag() const { return &raised(); }

 private:
  using Handler = void (*)(int);
  static std::atomic<bool>& raised() {
    static std::atomic<bool> flag = false;
    return flag;
  }
  static void set(int) { raised() = true; }

  Handler before_int_, before_term_;
};

}  // namespace stagesim
