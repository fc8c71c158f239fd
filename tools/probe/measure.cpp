#include "tools/probe/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace stagesim {
namespace {

constexpr double kRoundUs = 10'000;
constexpr Nanos kQueueing{25'000};  // host time of a repetition, amply

// Runs rounds (which return the time of one repetition) until they agree.
Measurement rounds_of(int repetitions, const std::function<double()>& round) {
  std::vector<double> times;
  Measurement m{.repetitions = repetitions};
  while (m.rounds < kFewestRounds || (m.spread > kStable && m.rounds < kMostRounds)) {
    times.push_back(round());
    std::vector<double> sorted = times;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t n = sorted.size(), cut = n / 10;
    m.us = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    m.spread = m.us == 0 ? 0 : (sorted[n - 1 - cut] - sorted[cut]) / m.us;
    m.rounds = static_cast<int>(n);
  }
  return m;
}

double timed_us(Device& device, StreamId stream, int repetitions,
                const std::function<void()>& work) {
  // Held back until all is queued, or short kernels would be timed by how fast the host is.
  if (repetitions > 1) device.spin(stream, repetitions * kQueueing);
  const EventId before = device.record(stream);
  for (int i = 0; i < repetitions; ++i) work();
  const EventId after = device.record(stream);
  device.synchronize();
  return static_cast<double>((device.at(after) - device.at(before)).count()) / 1e3 / repetitions;
}

int repetitions_for(double us) {
  return std::clamp(static_cast<int>(kRoundUs / std::max(us, 1e-3)), 1, kMostRepetitions);
}

}  // namespace

Measurement measure(Device& device, StreamId stream, const std::function<void()>& work) {
  timed_us(device, stream, 2, work);  // memory, libraries and clocks
  const int repetitions = repetitions_for(timed_us(device, stream, 3, work));
  timed_us(device, stream, repetitions, work);
  return rounds_of(repetitions, [&] { return timed_us(device, stream, repetitions, work); });
}

Measurement measure_host(Device& device, int repetitions, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto round = [&] {
    const Clock::time_point before = Clock::now();
    for (int i = 0; i < repetitions; ++i) work();
    const std::chrono::duration<double, std::micro> took = Clock::now() - before;
    device.synchronize();
    return took.count() / repetitions;
  };
  round();
  return rounds_of(repetitions, round);
}

Measurement measure_timed(const std::function<double(int)>& time_us) {
  time_us(2);
  const int repetitions = repetitions_for(time_us(3));
  return rounds_of(repetitions, [&] { return time_us(repetitions); });
}

Measurement measure_beside(Device& device, StreamId stream, const std::function<void()>& work,
                           const std::function<void()>& queue_beside,
                           const std::function<void()>& finish_beside, double beside_alone_us) {
  const double alone_us = timed_us(device, stream, 3, work);
  const int repetitions = repetitions_for(alone_us);
  const double until_us = repetitions * (alone_us + static_cast<double>(kQueueing.count()) / 1e3);
  const auto others = static_cast<int>(std::ceil(2 * until_us / beside_alone_us)) + 1;
  const auto round = [&] {
    for (int i = 0; i < others; ++i) queue_beside();
    const double us = timed_us(device, stream, repetitions, work);
    finish_beside();
    return us;
  };
  round();
  return rounds_of(repetitions, round);
}

}  // namespace stagesim
