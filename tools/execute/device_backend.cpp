#include "tools/execute/device_backend.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <deque>
#include <optional>
#include <thread>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

// Of the time of two tiles of 128 x 128 on each multiprocessor of a rank's share: long enough that
// launching it costs the host little beside it. In fp32 without tensor cores, because those of all
// ranks together wait for the cache that they share.
Gemm product_of(int multiprocessors) {
  return {.dtype = DType::kFp32, .m = 128 * std::max(1, multiprocessors / 4), .n = 1024, .k = 1024};
}

// The slowest rank's, while all of them multiply at once: what they share besides multiprocessors,
// clock and memory among it, is in it. The device's clock settles first.
double nanos_per_product(Device& device, const std::vector<StreamId>& ranks, const Gemm& product) {
  constexpr int kProducts = 100, kRounds = 7, kWarmUp = 20;
  constexpr Nanos kQueueing{20'000'000};
  const StreamId gate = device.add_stream(0, 1);
  double slowest = 0;
  std::vector<std::vector<double>> rounds(ranks.size());
  for (int round = -kWarmUp; round < kRounds; ++round) {
    std::vector<EventId> before, after;
    // All start together, once everything is queued: the host would be too slow beside them.
    device.spin(gate, kQueueing);
    const EventId go = device.record(gate);
    for (const StreamId stream : ranks) {
      device.wait(stream, go);
      before.push_back(device.record(stream));
      for (int p = 0; p < kProducts; ++p) device.multiply(stream, product);
      after.push_back(device.record(stream));
    }
    device.synchronize();
    for (std::size_t r = 0; r < ranks.size() && round >= 0; ++r)
      rounds[r].push_back(
          static_cast<double>((device.at(after[r]) - device.at(before[r])).count()) / kProducts);
  }
  for (std::vector<double>& of_rank : rounds) {
    std::sort(of_rank.begin(), of_rank.end());
    slowest = std::max(slowest, of_rank[of_rank.size() / 2]);
  }
  return slowest;
}

class DeviceBackend : public Backend {
 public:
  DeviceBackend(const Program& program, Device& device, DeviceWork work,
                const std::vector<StageWork>* stages)
      : program_(program),
        device_(device),
        begin_(program.what->size()),
        end_(program.what->size()),
        queued_(static_cast<std::size_t>(program.what->shape.ranks)) {
    STAGESIM_CHECK(!program.network.shared());
    const Activities& what = *program.what;
    const int ranks = what.shape.ranks;
    if (work == DeviceWork::kModel) model_.emplace(program, *stages);
    for (int r = 0; r < ranks; ++r)
      lane_.push_back(work == DeviceWork::kSpin ? device.add_stream(0, 1)
                                                : device.add_stream(r, ranks));
    for (std::size_t l = lane_.size(); l < what.lanes.size(); ++l) {
      const bool link = what.lanes[l].from_rank != what.lanes[l].to_rank;
      lane_.push_back(link ? device.add_stream(0, 1) : 0);
    }
    for (const Lane& lane : what.lanes)
      arrival_.push_back(lane.latency.count() > 0 ? device.add_stream(0, 1) : 0);
    if (work == DeviceWork::kGemm) measure_product();
    began_ = device.record(lane_.at(0));
  }

  void begin_rank(int) override {}

  void finish_rank(int rank) override {
    for (const EventId event : queued_[static_cast<std::size_t>(rank)]) wait_for(event);
  }

  void compute(TaskId t, const std::vector<TaskId>& after) override {
    const LaneId rank = program_.what->lane[t];
    std::deque<EventId>& queued = queued_[rank];
    if (queued.size() == kQueuedOps) {
      wait_for(queued.front());
      queued.pop_front();
    }
    const StreamId stream = lane_[rank];
    for (const TaskId before : after) {
      if (program_.what->lane[before] != rank) device_.wait(stream, end_[before]);
    }
    begin_[t] = device_.record(stream);
    work(stream, t);
    end_[t] = program_.duration[t].count() > 0 ? device_.record(stream) : begin_[t];
    queued.push_back(end_[t]);
  }

  void transfer(TaskId t, const std::vector<TaskId>& after) override {
    const LaneId lane = program_.what->lane[t];
    const Nanos latency = program_.what->lanes[lane].latency;
    for (const TaskId before : after) device_.wait(lane_[lane], end_[before]);
    begin_[t] = device_.record(lane_[lane]);
    if (program_.duration[t] > latency) device_.spin(lane_[lane], program_.duration[t] - latency);
    end_[t] = device_.record(lane_[lane]);
    if (latency.count() == 0) return;
    device_.wait(arrival_[lane], end_[t]);
    device_.spin(arrival_[lane], latency);
    end_[t] = device_.record(arrival_[lane]);
  }

  void stop() override { stopped_ = true; }

  Span measured(TaskId t) const override {
    const Nanos zero = device_.at(began_);
    return {device_.at(begin_[t]) - zero, device_.at(end_[t]) - zero};
  }

 private:
  void measure_product() {
    const auto ranks = static_cast<std::size_t>(program_.what->shape.ranks);
    product_ = product_of(device_.info().multiprocessors / program_.what->shape.ranks);
    product_ns_ = nanos_per_product(
        device_, {lane_.begin(), lane_.begin() + static_cast<std::ptrdiff_t>(ranks)}, product_);
    for (TaskId t = 0; t < program_.what->size(); ++t) {
      const auto time = static_cast<double>(program_.duration[t].count());
      if (program_.what->lane[t] >= static_cast<LaneId>(program_.what->shape.ranks) || time == 0 ||
          time >= product_ns_ / 2)
        continue;
      throw InputError(fmt::format(
          "--work gemm: {} takes {:.3f} us, and one matrix product {:.3f} us on the share of a "
          "rank; use --scale to make ops longer",
          cell_text(program_.what->op[t], program_.what->shape.pipelines), time / 1e3,
          product_ns_ / 1e3));
    }
  }

  void work(StreamId stream, TaskId t) {
    const Nanos time = program_.duration[t];
    if (time.count() == 0) return;
    if (model_ && model_->has(t)) return model_->issue(device_, stream, t);
    if (product_ns_ == 0) return device_.spin(stream, time);
    const auto products = std::llround(static_cast<double>(time.count()) / product_ns_);
    for (long long i = 0; i < products && !stopped_; ++i) device_.multiply(stream, product_);
  }

  void wait_for(EventId event) const {
    while (!device_.reached(event) && !stopped_)
      std::this_thread::sleep_for(std::chrono::microseconds(50));
  }

  const Program& program_;
  Device& device_;
  std::vector<StreamId> lane_;     // [lane]
  std::vector<StreamId> arrival_;  // [lane]: of a link with latency
  // [task]; read by other ranks only after the dispatcher's lock
  std::vector<EventId> begin_, end_;
  std::vector<std::deque<EventId>> queued_;  // [rank]
  EventId began_ = 0;
  std::optional<OpKernels> model_;
  Gemm product_;
  double product_ns_ = 0;  // 0: spins
  std::atomic<bool> stopped_ = false;
};

}  // namespace

std::unique_ptr<Backend> device_backend(const Program& program, Device& device, DeviceWork work,
                                        const std::vector<StageWork>* stages) {
  STAGESIM_CHECK((work == DeviceWork::kModel) == (stages != nullptr));
  return std::make_unique<DeviceBackend>(program, device, work, stages);
}

}  // namespace stagesim
