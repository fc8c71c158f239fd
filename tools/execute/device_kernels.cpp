#include "tools/execute/device_kernels.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <thread>

namespace stagesim {
namespace {

constexpr int kSide = 2048;  // of the product that stands in for FLOPs without a size

MemoryKernel memory_kernel(KernelKind kind) {
  switch (kind) {
    case KernelKind::kSoftmax:
    case KernelKind::kSoftmaxBackward:
      return MemoryKernel::kSoftmax;
    case KernelKind::kAdam:
      return MemoryKernel::kAdam;
    default:
      return MemoryKernel::kAdd;
  }
}

DeviceKernel device_kernel(const Kernel& k, DType dtype) {
  const auto whole = [](double x) { return std::max(1, static_cast<int>(std::lround(x))); };
  if (k.flops == 0)
    return {.gemm = {},
            .kernel = memory_kernel(k.kind),
            .bytes = std::max<std::int64_t>(4096, std::llround(k.bytes))};
  Gemm gemm{.dtype = dtype, .m = kSide, .n = kSide, .k = whole(k.flops / 2 / kSide / kSide)};
  if (k.m > 0)
    gemm = {
        .dtype = dtype, .m = whole(k.m), .n = whole(k.n), .k = whole(k.k), .batch = whole(k.batch)};
  return {.gemm = gemm, .kernel = MemoryKernel::kAdd, .bytes = 0};
}

}  // namespace

DeviceKernels device_kernels(const Kernels& kernels, DType dtype) {
  DeviceKernels all;
  for (const Kernel& k : kernels) all.push_back(device_kernel(k, dtype));
  return all;
}

std::vector<StageWork> stage_work(const std::vector<StageKernels>& stages, DType dtype) {
  std::vector<StageWork> all;
  for (const StageKernels& s : stages)
    all.push_back({.forward = device_kernels(s.forward, dtype),
                   .input_grad = device_kernels(s.input_grad, dtype),
                   .weight_grad = device_kernels(s.weight_grad, dtype),
                   .step = device_kernels(s.step, dtype)});
  return all;
}

OpKernels::OpKernels(const Program& program, const std::vector<StageWork>& stages)
    : program_(program), stages_(stages) {
  for (const Program::Pair& pair : program.pairs) partner_[pair.forward] = pair.backward;
}

std::vector<const DeviceKernels*> OpKernels::of(TaskId task) const {
  const Op& op = program_.what->op[task];
  const StageWork& stage = stages_.at(op.stage);
  std::vector<const DeviceKernels*> all;
  switch (op.kind) {
    case OpKind::kForward:
      all = {&stage.forward};
      break;
    case OpKind::kBackward:
      all = {&stage.input_grad, &stage.weight_grad};
      break;
    case OpKind::kInputGrad:
      all = {&stage.input_grad};
      break;
    case OpKind::kWeightGrad:
      all = {&stage.weight_grad};
      break;
    case OpKind::kStep:
      all = {&stage.step};
      break;
    default:
      break;
  }
  const auto partner = partner_.find(task);
  if (partner != partner_.end()) {
    for (const DeviceKernels* kernels : of(partner->second)) all.push_back(kernels);
  }
  return all;
}

void OpKernels::issue(Device& device, StreamId stream, TaskId task) const {
  for (const DeviceKernels* kernels : of(task)) {
    for (const DeviceKernel& k : *kernels) {
      if (k.gemm.m > 0)
        device.multiply(stream, k.gemm);
      else
        device.move_bytes(stream, k.kernel, k.bytes);
    }
  }
}

OpKernels::Work OpKernels::work_of(TaskId task) const {
  const Op& op = program_.what->op[task];
  const auto partner = partner_.find(task);
  return {op.kind, op.stage,
          partner == partner_.end() ? -1 : program_.what->op[partner->second].stage};
}

std::vector<Nanos> timed_durations(const Program& program, const std::vector<StageWork>& stages,
                                   Device& device) {
  constexpr int kWarmUp = 5, kRounds = 7;
  const Activities& what = *program.what;
  const OpKernels kernels(program, stages);
  const auto ranks = static_cast<std::size_t>(what.shape.ranks);
  using Work = OpKernels::Work;
  std::vector<std::map<Work, TaskId>> different(ranks);  // a task of each
  for (std::size_t r = 0; r < ranks; ++r) {
    for (TaskId t = what.first_of_rank[r]; t < what.first_of_rank[r + 1]; ++t)
      if (kernels.has(t)) different[r].try_emplace(kernels.work_of(t), t);
  }
  std::vector<StreamId> streams;
  for (int r = 0; r < what.shape.ranks; ++r)
    streams.push_back(device.add_stream(r, what.shape.ranks));
  // A thread each, because a stream holds about a thousand kernels before its host waits. Whoever
  // has its rounds goes on until all have theirs, so that nobody is timed beside idle ranks.
  struct Timed {
    EventId before, after;
  };
  std::vector<std::map<Work, std::vector<Timed>>> timed(ranks);
  std::vector<std::exception_ptr> errors(ranks);
  std::atomic<std::size_t> done = 0;
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      try {
        EventId last_round = device.record(streams[r]);
        for (int round = -kWarmUp; round < kRounds || done < ranks; ++round) {
          if (round == kRounds) ++done;
          EventId after = last_round;
          for (const auto& [work, task] : different[r]) {
            const EventId before = device.record(streams[r]);
            kernels.issue(device, streams[r], task);
            after = device.record(streams[r]);
            if (round >= 0 && round < kRounds) timed[r][work].push_back({before, after});
          }
          while (!device.reached(last_round))
            std::this_thread::sleep_for(std::chrono::microseconds(50));
          last_round = after;
        }
      } catch (...) {
        errors[r] = std::current_exception();
        ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  device.synchronize();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  std::vector<std::map<Work, Nanos>> median(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    for (const auto& [work, rounds] : timed[r]) {
      std::vector<Nanos> times;
      for (const Timed& one : rounds) times.push_back(device.at(one.after) - device.at(one.before));
      std::sort(times.begin(), times.end());
      median[r][work] = times[times.size() / 2];
    }
  }
  std::vector<Nanos> durations = program.duration;
  for (std::size_t r = 0; r < ranks; ++r) {
    for (TaskId t = what.first_of_rank[r]; t < what.first_of_rank[r + 1]; ++t)
      if (kernels.has(t)) durations[t] = median[r].at(kernels.work_of(t));
  }
  return durations;
}

}  // namespace stagesim
