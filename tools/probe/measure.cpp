#include "tools/probe/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace stagesim {
namespace {

constexpr double kRoundUs = 10'000;
constexpr int kMostRepetitions = 500;  // a stream takes about a thousand before the host waits
constexpr Nanos kQueueing{25'000};     // host time of a repetition, amply

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

Measurement measure_issue(Device& device, StreamId stream) {
  using Clock = std::chrono::steady_clock;
  const auto round = [&] {
    const Clock::time_point before = Clock::now();
    for (int i = 0; i < kMostRepetitions; ++i) device.nothing(stream);
    const std::chrono::duration<double, std::micro> took = Clock::now() - before;
    device.synchronize();
    return took.count() / kMostRepetitions;
  };
  round();
  return rounds_of(kMostRepetitions, round);
}

Measurement measure_beside(Device& device, StreamId stream, const std::function<void()>& work,
                           StreamId other, const std::function<void()>& beside,
                           double beside_alone_us) {
  const double alone_us = timed_us(device, stream, 3, work);
  const int repetitions = repetitions_for(alone_us);
  const auto others = static_cast<int>(std::ceil(2 * alone_us * repetitions / beside_alone_us)) + 1;
  const auto round = [&] {
    const EventId before = device.record(other);
    for (int i = 0; i < others; ++i) beside();
    device.wait(stream, before);
    return timed_us(device, stream, repetitions, work);
  };
  round();
  return rounds_of(repetitions, round);
}

}  // namespace stagesim
