#include "tools/probe/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace stagesim {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

double gemm_bytes_held(const Gemm& g) {
  const double m = g.m, n = g.n, k = g.k;
  return bytes_of(g.dtype) * (m * k + k * n + m * n) * g.batch;
}

struct Planner {
  ProbePlan plan{};
  double memory_bytes = 0;

  bool fits(double bytes, const std::string& what) {
    if (bytes <= memory_bytes / 3) return true;
    plan.left_out.push_back(fmt::format(
        "{}: needs {:.1f} GiB, more than a third of the GPU's memory", what, bytes / (1 << 30)));
    return false;
  }

  void add_gemm(DType dtype, int m, int n, int k) {
    const Gemm gemm{.dtype = dtype, .m = m, .n = n, .k = k};
    const auto same = [&](const ProbeItem& item) {
      return item.part == "gemm" && item.gemm.dtype == dtype && item.gemm.m == m &&
             item.gemm.n == n && item.gemm.k == k;
    };
    if (std::any_of(plan.items.begin(), plan.items.end(), same)) return;
    if (!fits(gemm_bytes_held(gemm), fmt::format("gemm {} {} x {} x {}", text(dtype), m, n, k)))
      return;
    plan.items.push_back({.part = "gemm", .gemm = gemm});
  }

  // One layer and the output layer, forward; the gradients have the same three sizes in other
  // places.
  void add_model(const Model& model, int micro) {
    const int tokens = micro * model.seq, h = model.hidden;
    const int up = (model.gated ? 2 : 1) * model.ffn_width();
    const int widths[][2] = {{model.query_width() + model.kv_width() + model.value_width(), h},
                             {h, model.context_width()},
                             {up, h},
                             {h, model.ffn_width()},
                             {model.vocab, h}};
    for (const auto& [n, k] : widths) {
      add_gemm(DType::kBf16, tokens, n, k);
      add_gemm(DType::kBf16, tokens, k, n);  // input gradient
      add_gemm(DType::kBf16, n, k, tokens);  // weight gradient
    }
  }

  void add_attention(int heads, int seq, int head_dim) {
    const double elements = 1.0 * heads * seq * seq;
    if (!fits(4 * elements, fmt::format("attention of {} heads over {} tokens", heads, seq)))
      return;
    plan.items.push_back(
        {.part = "attention",
         .gemm = {.dtype = DType::kBf16, .m = seq, .n = seq, .k = head_dim, .batch = heads}});
  }

  void add_group(GroupOp op, int gpus, std::int64_t bytes) {
    if (fits(2.0 * static_cast<double>(bytes), fmt::format("{} of {} bytes", text(op), bytes)))
      plan.items.push_back({.part = "collectives", .bytes = bytes, .op = op, .gpus = gpus});
  }

  // Messages of two GPUs, collectives of 2, 4, 8, … and of all.
  void add_groups(int all) {
    for (const GroupOp op : group_ops()) {
      const bool message = op == GroupOp::kSend || op == GroupOp::kExchange;
      std::vector<int> sizes;
      for (int gpus = 2; gpus < all && !message; gpus *= 2) sizes.push_back(gpus);
      sizes.push_back(message ? 2 : all);
      for (const int gpus : sizes) {
        for (std::int64_t bytes = 1024; bytes <= 1024 * kMiB; bytes *= 2)
          add_group(op, gpus, bytes);
      }
    }
  }

  void add_grid() {
    constexpr int kWeights[][2] = {{1024, 1024}, {3072, 1024},  {4096, 4096},  {1024, 4096},
                                   {8192, 2048}, {12288, 4096}, {4096, 16384}, {32000, 4096}};
    for (const int tokens : {128, 512, 1024, 2048, 4096, 8192, 16384}) {
      for (const auto& [n, k] : kWeights) add_gemm(DType::kBf16, tokens, n, k);
    }
    for (const DType dtype : {DType::kTf32, DType::kFp32}) {
      for (const int size : {1024, 2048, 4096, 8192}) add_gemm(dtype, size, size, size);
    }
  }
};

}  // namespace

const std::vector<std::string>& probe_parts() {
  static const std::vector<std::string> parts{"launch",      "memory", "gemm",    "attention",
                                              "collectives", "copies", "overlap", "allocator"};
  return parts;
}

ProbePlan probe_plan(const std::vector<std::string>& parts, const std::optional<Model>& model,
                     int micro, const DeviceInfo& device, int group_gpus) {
  Planner p{.memory_bytes = device.memory_gib * (1 << 30)};
  const auto wants = [&](const char* part) {
    return std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  if (wants("launch")) p.plan.items.push_back({.part = "launch"});
  if (wants("memory")) {
    for (const MemoryKernel kernel :
         {MemoryKernel::kAdd, MemoryKernel::kSoftmax, MemoryKernel::kAdam}) {
      for (const std::int64_t mib : {1, 4, 16, 64, 256, 1024, 4096}) {
        if (p.fits(static_cast<double>(mib * kMiB), fmt::format("{} of {} MiB", text(kernel), mib)))
          p.plan.items.push_back({.part = "memory", .kernel = kernel, .bytes = mib * kMiB});
      }
    }
  }
  if (wants("gemm")) {
    if (model) p.add_model(*model, micro);
    p.add_grid();
  }
  if (wants("attention")) {
    if (model)
      p.add_attention(micro * model->heads, model->seq, model->query_width() / model->heads);
    for (const int head_dim : {64, 128}) {
      for (const int seq : {1024, 2048, 4096, 8192}) p.add_attention(32, seq, head_dim);
    }
  }
  if (wants("collectives") && group_gpus > 1) p.add_groups(group_gpus);
  for (const CopyKind kind :
       {CopyKind::kHostToDevice, CopyKind::kDeviceToHost, CopyKind::kWithinDevice}) {
    for (std::int64_t bytes = 1024; bytes <= 256 * kMiB && wants("copies"); bytes *= 4)
      p.plan.items.push_back({.part = "copies", .copy = kind, .bytes = bytes});
  }
  if (wants("overlap")) {
    const Gemm gemm{.dtype = DType::kBf16, .m = 8192, .n = 8192, .k = 4096};
    for (const Gemm& work : {gemm, Gemm{}}) {  // the latter: a memory-bound kernel
      for (const CopyKind kind : {CopyKind::kHostToDevice, CopyKind::kWithinDevice})
        p.plan.items.push_back({.part = "overlap", .gemm = work, .copy = kind, .bytes = 64 * kMiB});
      for (const GroupOp op : {GroupOp::kSend, GroupOp::kAllReduce}) {
        if (group_gpus > 1)
          p.plan.items.push_back({.part = "overlap",
                                  .gemm = work,
                                  .bytes = 64 * kMiB,
                                  .op = op,
                                  .gpus = op == GroupOp::kSend ? 2 : group_gpus});
      }
    }
  }
  for (const std::int64_t mib : {1, 64, 1024}) {
    for (const bool pooled : {true, false}) {
      if (wants("allocator"))
        p.plan.items.push_back({.part = "allocator", .bytes = mib * kMiB, .pooled = pooled});
    }
  }
  for (const std::string& part : probe_parts()) {
    if (!wants(part.c_str())) p.plan.left_out.push_back(part + ": not asked for");
  }
  if (group_gpus == 1) {
    p.plan.left_out.emplace_back(
        "messages and collectives between GPUs: this machine shows one GPU; run nccl-tests or "
        "osu_latency elsewhere and give their output to calibrate");
  }
  return std::move(p.plan);
}

}  // namespace stagesim
