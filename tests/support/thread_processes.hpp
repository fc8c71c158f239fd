#pragma once

#include <barrier>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "tools/processes/processes.hpp"

namespace stagesim::test {

// Processes that are threads of this one.
class ThreadProcesses {
 public:
  explicit ThreadProcesses(int count)
      : count_(count), boxes_(std::size_t(count)), barrier_(count) {}

  // Calls run(processes) on a thread for each; exceptions must not come out of it.
  void run(const std::function<void(Processes&)>& run) {
    std::vector<std::thread> threads;
    for (int r = 0; r < count_; ++r) {
      threads.emplace_back([this, &run, r] {
        One one(*this, r);
        run(one);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  struct Box {
    std::mutex mutex;
    std::deque<Message> messages;
  };

  class One : public Processes {
   public:
    One(ThreadProcesses& all, int rank) : all_(all), rank_(rank) {}
    int rank() const override { return rank_; }
    int count() const override { return all_.count_; }
    std::string machine() const override { return "here"; }
    void send(int to, std::string text) override {
      Box& box = all_.boxes_.at(std::size_t(to));
      const std::lock_guard lock(box.mutex);
      box.messages.push_back({rank_, std::move(text)});
    }
    std::optional<Message> receive() override {
      Box& box = all_.boxes_.at(std::size_t(rank_));
      const std::lock_guard lock(box.mutex);
      if (box.messages.empty()) return std::nullopt;
      Message message = std::move(box.messages.front());
      box.messages.pop_front();
      return message;
    }
    void barrier() override { all_.barrier_.arrive_and_wait(); }

   private:
    ThreadProcesses& all_;
    int rank_;
  };

  int count_;
  std::deque<Box> boxes_;
  std::barrier<> barrier_;
};

}  // namespace stagesim::test
