#include "tools/probe/run_probe.hpp"

#include <fmt/format.h>

#include <chrono>
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
  if (item.part == "overlap")
    return fmt::format("{} beside copies {}", item.gemm.m > 0 ? "gemm" : "add", text(item.copy));
  return item.part;
}

class Probe {
 public:
  Probe(Device& device, OrderedJson& result)
      : device_(device),
        result_(result),
        stream_(device.add_stream(0, 1)),
        other_(device.add_stream(0, 1)) {}

  void run(const ProbeItem& item) {
    if (item.part == "launch") return launch();
    if (item.part == "gemm") return gemm(item.gemm);
    if (item.part == "memory") return memory(item);
    if (item.part == "copies") return copies(item);
    overlap(item);
  }

 private:
  void launch() {
    result_["launch"]["kernel_issue"] = timing(measure_issue(device_, stream_));
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

  void copies(const ProbeItem& item) {
    const Measurement m =
        measure(device_, stream_, [&] { device_.copy(stream_, item.copy, item.bytes); });
    result_["copies"].push_back(with({{"kind", text(item.copy)}, {"bytes", item.bytes}}, m));
  }

  void overlap(const ProbeItem& item) {
    const bool product = item.gemm.m > 0;
    const auto work = [&] {
      if (product) return device_.multiply(stream_, item.gemm);
      device_.move_bytes(stream_, MemoryKernel::kAdd, kOverlapKernelBytes);
    };
    const auto beside = [&] { device_.copy(other_, item.copy, item.bytes); };
    const Measurement alone = measure(device_, stream_, work);
    const Measurement copy_alone = measure(device_, other_, beside);
    const Measurement together =
        measure_beside(device_, stream_, work, other_, beside, copy_alone.us);
    // And the other way round: what the copy loses.
    const Measurement copy_together =
        measure_beside(device_, other_, beside, stream_, work, alone.us);
    result_["overlap"].push_back({{"work", product ? "gemm" : "add"},
                                  {"copy", text(item.copy)},
                                  {"bytes", item.bytes},
                                  {"work_alone_us", alone.us},
                                  {"work_beside_us", together.us},
                                  {"copy_alone_us", copy_alone.us},
                                  {"copy_beside_us", copy_together.us}});
  }

  Device& device_;
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
  for (const char* part : {"gemm", "memory", "copies", "overlap"})
    result[part] = OrderedJson::array();
  result["left_out"] = plan.left_out;
  const Clock::time_point began = Clock::now();
  Probe probe(device, result);
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
