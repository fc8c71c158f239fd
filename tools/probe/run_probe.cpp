#include "tools/probe/run_probe.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "tools/probe/measure.hpp"

namespace stagesim {
namespace {

using OrderedJson = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kOverlapKernelBytes = 1 << 28;

OrderedJson timing(const Measurement& m) {
  return {{"us", m.us}, {"spread", m.spread}, {"rounds", m.rounds}, {"repetitions", m.repetitions}};
}

OrderedJson with(OrderedJson row, const Measurement& m) {
  row.update(timing(m));
  return row;
}

std::string name_of(const ProbeItem& item) {
  if (item.part == "gemm")
    return fmt::format("gemm {} {} x {} x {}", text(item.gemm.dtype), item.gemm.m, item.gemm.n,
                       item.gemm.k);
  if (item.part == "memory") return fmt::format("{} of {} bytes", text(item.kernel), item.bytes);
  if (item.part == "copies") return fmt::format("copy {} of {} bytes", text(item.copy), item.bytes);
  if (item.part == "attention")
    return fmt::format("attention of {} heads over {} tokens", item.gemm.batch, item.gemm.m);
  if (item.part == "collectives")
    return fmt::format("{} of {} GPUs, {} bytes", text(item.op), item.gpus, item.bytes);
  if (item.part == "allocator") return fmt::format("{} bytes of memory", item.bytes);
  if (item.part == "overlap")
    return fmt::format("{} beside {}", item.gemm.m > 0 ? "gemm" : "add",
                       item.gpus > 0 ? text(item.op) : text(item.copy));
  return item.part;
}

class Probe {
 public:
  Probe(Device& device, DeviceGroup* group, OrderedJson& result)
      : device_(device),
        group_(group),
        result_(result),
        stream_(device.add_stream(0, 1)),
        other_(device.add_stream(0, 1)) {}

  void run(const ProbeItem& item) {
    if (item.part == "launch") return launch();
    if (item.part == "gemm") return gemm(item.gemm);
    if (item.part == "memory") return memory(item);
    if (item.part == "attention") return attention(item.gemm);
    if (item.part == "collectives") return collective(item);
    if (item.part == "copies") return copies(item);
    if (item.part == "allocator") return allocator(item);
    overlap(item);
  }

 private:
  void launch() {
    result_["launch"]["kernel_issue"] =
        timing(measure_host(device_, kMostRepetitions, [&] { device_.nothing(stream_); }));
    result_["launch"]["queued_empty_kernel"] =
        timing(measure(device_, stream_, [&] { device_.nothing(stream_); }));
  }

  void gemm(const Gemm& g) {
    const Measurement m = measure(device_, stream_, [&] { device_.multiply(stream_, g); });
    result_["gemm"].push_back(with({{"dtype", text(g.dtype)},
                                    {"m", g.m},
                                    {"n", g.n},
                                    {"k", g.k},
                                    {"batch", g.batch},
                                    {"tflops", m.us == 0 ? 0 : g.flops() / m.us / 1e6}},
                                   m));
  }

  void memory(const ProbeItem& item) {
    const Measurement m =
        measure(device_, stream_, [&] { device_.move_bytes(stream_, item.kernel, item.bytes); });
    result_["memory"].push_back(with({{"kernel", text(item.kernel)}, {"bytes", item.bytes}}, m));
  }

  // The parts of attention without a fused kernel: queries and keys to scores, softmax, scores and
  // values to contexts. Bytes are read and written once.
  void attention(const Gemm& scores) {
    const Gemm context{
        .dtype = scores.dtype, .m = scores.m, .n = scores.k, .k = scores.n, .batch = scores.batch};
    const double heads = scores.batch, all = 1.0 * scores.m * scores.n;
    const double product_bytes = 2 * heads * (all + 2.0 * scores.m * scores.k);
    const double softmax_bytes = 4 * heads * all;
    const auto row = [&](const char* kernel, double bytes, const std::function<void()>& work) {
      result_["attention"].push_back(with({{"kernel", kernel},
                                           {"heads", scores.batch},
                                           {"seq", scores.m},
                                           {"head_dim", scores.k},
                                           {"bytes", bytes}},
                                          measure(device_, stream_, work)));
    };
    row("scores", product_bytes, [&] { device_.multiply(stream_, scores); });
    row("softmax", softmax_bytes, [&] {
      device_.move_bytes(stream_, MemoryKernel::kSoftmax, static_cast<std::int64_t>(softmax_bytes));
    });
    row("context", product_bytes, [&] { device_.multiply(stream_, context); });
  }

  DeviceGroup& group() const {
    if (group_ == nullptr) throw InputError("no GPUs to measure together");
    return *group_;
  }

  Measurement together(const ProbeItem& item) const {
    return measure_timed([&](int repetitions) {
      return group().time_us(item.op, item.gpus, item.bytes, repetitions);
    });
  }

  void collective(const ProbeItem& item) {
    result_["collectives"].push_back(
        with({{"op", text(item.op)}, {"gpus", item.gpus}, {"bytes", item.bytes}}, together(item)));
  }

  void allocator(const ProbeItem& item) {
    constexpr int kPooled = 200, kFromDriver = 5;  // the driver's takes up to a millisecond
    result_["allocator"].push_back(
        with({{"pooled", item.pooled}, {"bytes", item.bytes}},
             measure_host(device_, item.pooled ? kPooled : kFromDriver,
                          [&] { device_.allocate(stream_, item.bytes, item.pooled); })));
  }

  void copies(const ProbeItem& item) {
    const Measurement m =
        measure(device_, stream_, [&] { device_.copy(stream_, item.copy, item.bytes); });
    result_["copies"].push_back(with({{"kind", text(item.copy)}, {"bytes", item.bytes}}, m));
  }

  void overlap(const ProbeItem& item) {
    const bool product = item.gemm.m > 0, grouped = item.gpus > 0;
    const auto work = [&] {
      if (product) return device_.multiply(stream_, item.gemm);
      device_.move_bytes(stream_, MemoryKernel::kAdd, kOverlapKernelBytes);
    };
    const auto beside = [&] {
      if (grouped) return group().queue(item.op, item.gpus, item.bytes);
      device_.copy(other_, item.copy, item.bytes);
    };
    const auto finish = [&] { return grouped ? group().finish() : device_.synchronize(); };
    const Measurement alone = measure(device_, stream_, work);
    const Measurement copy_alone = grouped ? together(item) : measure(device_, other_, beside);
    const Measurement work_beside =
        measure_beside(device_, stream_, work, beside, finish, copy_alone.us);
    OrderedJson row = {
        {"work", product ? "gemm" : "add"},
        {grouped ? "op" : "copy", grouped ? text(item.op) : text(item.copy)},
        {"bytes", item.bytes},
        {"work_alone_us", alone.us},
        {"work_beside_us", work_beside.us},
        {"copy_alone_us", copy_alone.us},
        {"copy_beside_us", copy_beside(item, work, beside, alone.us, copy_alone.us)}};
    if (grouped) row["gpus"] = item.gpus;
    result_["overlap"].push_back(std::move(row));
  }

  // The other way round: what the message loses.
  double copy_beside(const ProbeItem& item, const std::function<void()>& work,
                     const std::function<void()>& copy, double work_us, double copy_us) {
    if (item.gpus == 0)
      return measure_beside(
                 device_, other_, copy, work, [&] { device_.synchronize(); }, work_us)
          .us;
    return measure_timed([&](int repetitions) {
             const int works = static_cast<int>(std::ceil(2 * repetitions * copy_us / work_us)) + 1;
             for (int i = 0; i < works; ++i) work();
             const double us = group().time_us(item.op, item.gpus, item.bytes, repetitions);
             device_.synchronize();
             return us;
           })
        .us;
  }

  Device& device_;
  DeviceGroup* group_;
  OrderedJson& result_;
  StreamId stream_, other_;
};

// The items that did not run, by part, with one reason.
void leave_out(OrderedJson& result, const std::vector<ProbeItem>& items, std::size_t from,
               const std::string& why) {
  std::map<std::string, int> parts;
  for (std::size_t i = from; i < items.size(); ++i) ++parts[items[i].part];
  for (const auto& [part, n] : parts)
    result["left_out"].push_back(
        fmt::format("{}: {} measurement{}: {}", part, n, n == 1 ? "" : "s", why));
}

}  // namespace

nlohmann::ordered_json run_probe(Device& device, const ProbePlan& plan,
                                 const ProbeOptions& options) {
  device.reset();
  const DeviceInfo info = device.info();
  OrderedJson result;
  result["schema_version"] = kProbeSchemaVersion;
  result["tool"] = "stagesim-probe";
  result["release"] = options.release;
  result["device"] = {{"name", info.name},
                      {"devices", info.devices},
                      {"multiprocessors", info.multiprocessors},
                      {"memory_gib", info.memory_gib},
                      {"clock_mhz", info.clock_mhz},
                      {"driver", info.driver},
                      {"runtime", info.runtime},
                      {"cublas", info.blas}};
  if (options.group != nullptr) result["device"]["nccl"] = options.group->version();
  for (const char* part :
       {"gemm", "memory", "attention", "collectives", "copies", "overlap", "allocator"})
    result[part] = OrderedJson::array();
  result["left_out"] = plan.left_out;
  const Clock::time_point began = Clock::now();
  Probe probe(device, options.group, result);
  for (std::size_t i = 0; i < plan.items.size(); ++i) {
    const std::chrono::duration<double> passed = Clock::now() - began;
    if (options.interrupted != nullptr && *options.interrupted) {
      leave_out(result, plan.items, i, "interrupted");
      break;
    }
    if (passed.count() > options.budget_s) {
      leave_out(result, plan.items, i, fmt::format("the {:g} s were over", options.budget_s));
      break;
    }
    try {
      probe.run(plan.items[i]);
    } catch (const InputError& error) {
      result["left_out"].push_back(fmt::format("{}: {}", name_of(plan.items[i]), error.what()));
    }
    device.forget_events();
  }
  const std::chrono::duration<double> took = Clock::now() - began;
  result["seconds"] = took.count();
  return result;
}

}  // namespace stagesim
