#include "tools/execute/train.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/execute/train_replica.hpp"
#include "tools/execute/train_stage.hpp"

namespace stagesim {
namespace {

class TrainBackend : public Backend {
 public:
  TrainBackend(const Program& program, const TrainSetup& setup)
      : what_(*program.what),
        shape_(what_.shape),
        setup_(setup),
        slots_(static_cast<std::size_t>(shape_.stages) *
               static_cast<std::size_t>(shape_.microbatches)),
        entered_(static_cast<std::size_t>(shape_.microbatches), 0),
        times_(what_.size()),
        began_(Clock::now()) {
    STAGESIM_CHECK(!shape_.forward_only && setup.shape.blocks % shape_.stages == 0);
    trained_.loss.assign(static_cast<std::size_t>(shape_.microbatches), 0);
    trained_.version.assign(what_.size(), -1);
    for (int stage = 0; stage < shape_.stages; ++stage)
      work_.emplace_back(setup_, shape_.stages, stage);
    for (int p = 0; p < shape_.pipelines; ++p) {
      for (int stage = 0; stage < shape_.stages; ++stage) {
        replicas_.push_back(
            std::make_unique<Replica>(shape_, shape_.rank_of(p, stage),
                                      work_[static_cast<std::size_t>(stage)].first_weights()));
      }
    }
    if (shape_.rule == VersionRule::kFlush) {
      trained_.gradient.assign(static_cast<std::size_t>(shape_.windows()),
                               BlockWeights(static_cast<std::size_t>(setup.shape.blocks)));
    }
  }

  void begin_rank(int) override {}
  void finish_rank(int) override {}
  void stop() override {}
  Span measured(TaskId t) const override { return times_[t]; }

  void compute(TaskId t, const std::vector<TaskId>&) override {
    times_[t].start = Clock::now() - began_;
    trained_.version[t] = run(what_.op[t]);
    times_[t].end = Clock::now() - began_;
  }

  // Handed over in memory; when is the clock's business.
  void transfer(TaskId t, const std::vector<TaskId>&) override {
    times_[t].start = times_[t].end = Clock::now() - began_;
  }

  Trained result() {
    for (int stage = 0; stage < shape_.stages; ++stage) {
      for (const Numbers& block : *replica(0, stage).weights()) trained_.weights.push_back(block);
    }
    return std::move(trained_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  // What is between the ops of one stage and micro-batch; written before it is read on another
  // thread, with the dispatcher's lock in between.
  struct Slot {
    Numbers x{}, d_y{};  // come in from the stage before and after
    InFlight in_flight{};
  };

  Slot& slot(int stage, int microbatch) {
    return slots_[static_cast<std::size_t>(stage) * entered_.size() +
                  static_cast<std::size_t>(microbatch)];
  }
  Replica& replica(int pipeline, int stage) {
    return *replicas_[static_cast<std::size_t>(pipeline * shape_.stages + stage)];
  }

  std::int32_t run(const Op& op) {
    switch (op.kind) {
      case OpKind::kForward:
        return run_forward(op);
      case OpKind::kBackward: {
        const std::int32_t version = run_input_gradient(op);
        run_weight_gradient(op);
        return version;
      }
      case OpKind::kInputGrad:
        return run_input_gradient(op);
      case OpKind::kWeightGrad:
        return run_weight_gradient(op);
      case OpKind::kReduce:
        reduce(op);
        return op.microbatch;
      case OpKind::kStep:
        step(op);
        return op.microbatch;
      case OpKind::kBroadcast:
        receive_weights(op);
        return op.microbatch;
      default:
        return is_update_part(op.kind) ? op.microbatch : -1;
    }
  }

  std::int32_t run_forward(const Op& op) {
    Slot& here = slot(op.stage, op.microbatch);
    std::int32_t& entered = entered_[static_cast<std::size_t>(op.microbatch)];
    Replica& own = replica(op.pipeline, op.stage);
    if (op.stage == 0) entered = own.current();
    std::tie(here.in_flight.version, here.in_flight.read) = own.to_read(op.microbatch, entered);
    Numbers y;
    const double loss = work_[op.stage].run_forward(*here.in_flight.read, op.microbatch,
                                                    std::move(here.x), here.in_flight, y);
    if (op.stage + 1 < shape_.stages) {
      slot(op.stage + 1, op.microbatch).x = std::move(y);
    } else {
      trained_.loss[static_cast<std::size_t>(op.microbatch)] = loss;
    }
    return here.in_flight.version;
  }

  std::int32_t run_input_gradient(const Op& op) {
    Slot& here = slot(op.stage, op.microbatch);
    const auto [version, weights] =
        replica(op.pipeline, op.stage).to_use(op.microbatch, here.in_flight);
    Numbers d_x = work_[op.stage].run_input_gradient(*weights, op.microbatch, std::move(here.d_y),
                                                     here.in_flight);
    if (op.stage > 0) slot(op.stage - 1, op.microbatch).d_y = std::move(d_x);
    return version;
  }

  std::int32_t run_weight_gradient(const Op& op) {
    Slot& here = slot(op.stage, op.microbatch);
    Replica& own = replica(op.pipeline, op.stage);
    const std::int32_t version = own.to_use(op.microbatch, here.in_flight).first;
    work_[op.stage].run_weight_gradient(op.microbatch, here.in_flight,
                                        *own.gradients(op.microbatch / shape_.window));
    here.in_flight = {};
    return version;
  }

  // The same sum on every rank that wants it, to the bit.
  void reduce(const Op& op) {
    if (shape_.pipelines == 1 || !steps(op)) return;
    auto total = std::make_shared<BlockWeights>(*replica(0, op.stage).gradients(op.microbatch));
    for (int p = 1; p < shape_.pipelines; ++p)
      add_scaled(*total, *replica(p, op.stage).gradients(op.microbatch));
    replica(op.pipeline, op.stage).set_total(std::move(total));
  }

  int owner_of(int stage) const { return shape_.rank_of(0, stage); }
  // Whether that replica's rank runs the optimizer.
  bool steps(const Op& op) const {
    return shape_.optimizer != Optimizer::kOwner || shape_.pipelines == 1 ||
           shape_.rank_of(op.pipeline, op.stage) == owner_of(op.stage);
  }

  void step(const Op& op) {
    Replica& own = replica(op.pipeline, op.stage);
    const std::shared_ptr<BlockWeights> total = own.total(op.microbatch);
    const Weights before = own.weights();
    auto next = std::make_shared<BlockWeights>(*before);
    add_scaled(*next, *total, -setup_.learning_rate / shape_.window);
    if (!trained_.gradient.empty() && op.pipeline == 0) keep_gradient(op, *total);
    own.take(op.microbatch, std::move(next), *before);
  }

  void keep_gradient(const Op& op, const BlockWeights& total) {
    BlockWeights& all = trained_.gradient[static_cast<std::size_t>(op.microbatch)];
    const std::size_t first = op.stage * total.size();
    for (std::size_t b = 0; b < total.size(); ++b) {
      all[first + b] = total[b];
      for (double& g : all[first + b]) g /= shape_.window;
    }
  }

  void receive_weights(const Op& op) {
    if (steps(op)) return;
    Replica& own = replica(op.pipeline, op.stage);
    const Weights before = own.weights();
    own.take(op.microbatch, replica(0, op.stage).weights(), *before);
  }

  const Activities& what_;
  const Shape& shape_;
  const TrainSetup& setup_;
  std::vector<StageWork> work_{};                     // [stage]
  std::vector<std::unique_ptr<Replica>> replicas_{};  // [pipeline * stages + stage]
  std::vector<Slot> slots_;                           // [stage * micro-batches + micro-batch]
  std::vector<std::int32_t> entered_;                 // [micro-batch]
  Trained trained_{};
  std::vector<Span> times_;  // [task]
  Clock::time_point began_;
};

}  // namespace

Trained train(const Program& program, const TrainSetup& setup, const DispatchOptions& options,
              Timeline& measured) {
  TrainBackend backend(program, setup);
  measured = execute(program, backend, options);
  return backend.result();
}

Trained train_alone(const TrainSetup& setup, int microbatches, int window, bool keep_gradients) {
  const StageWork all(setup, 1, 0);
  Trained trained;
  trained.weights = all.first_weights();
  BlockWeights sum = zeros_like(trained.weights);
  for (int m = 0; m < microbatches; ++m) {
    InFlight in_flight;
    Numbers y;
    trained.loss.push_back(all.run_forward(trained.weights, m, {}, in_flight, y));
    all.run_input_gradient(trained.weights, m, {}, in_flight);
    all.run_weight_gradient(m, in_flight, sum);
    if ((m + 1) % window > 0) continue;
    add_scaled(trained.weights, sum, -setup.learning_rate / window);
    if (keep_gradients) {
      for (Numbers& block : sum)
        for (double& g : block) g /= window;
      trained.gradient.push_back(sum);
    }
    sum = zeros_like(sum);
  }
  return trained;
}

double worst_difference(const BlockWeights& a, const BlockWeights& b) {
  STAGESIM_CHECK(a.size() == b.size());
  double worst = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    STAGESIM_CHECK(a[k].size() == b[k].size());
    double difference = 0, largest = 0;
    for (std::size_t i = 0; i < a[k].size(); ++i) {
      if (!std::isfinite(a[k][i]) || !std::isfinite(b[k][i]))
        return std::numeric_limits<double>::infinity();
      difference = std::max(difference, std::abs(a[k][i] - b[k][i]));
      largest = std::max(largest, std::abs(b[k][i]));
    }
    if (difference > 0) worst = std::max(worst, largest > 0 ? difference / largest : difference);
  }
  return worst;
}

}  // namespace stagesim
