#pragma once

#include "tools/device/device_group.hpp"

namespace stagesim {

// t = latency + what passes the busiest link / rate, for tests of the host's logic.
struct FakeGroupLaw {
  int gpus = 4;
  double latency_us = 8, gb_per_s = 200;
};

class FakeGroup : public DeviceGroup {
 public:
  explicit FakeGroup(const FakeGroupLaw& law = {}) : law_(law) {}

  int size() const override { return law_.gpus; }
  std::string version() override { return "0.0.0"; }
  void queue(GroupOp op, int participants, std::int64_t bytes) override;
  void finish() override { queued_ = 0; }
  double time_us(GroupOp op, int participants, std::int64_t bytes, int repetitions) override;

  int queued() const { return queued_; }  // and not finished

 private:
  FakeGroupLaw law_;
  int queued_ = 0;
};

}  // namespace stagesim
