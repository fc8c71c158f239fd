#include <algorithm>
#include <numeric>

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/collectives.hpp"
#include "hwmodels/stage_costs.hpp"
#include "sim/base/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/plain_link.hpp"

namespace stagesim {
namespace {

using namespace std::chrono_literals;

// 1 TFLOP/s and free memory, or 1 GB/s and free arithmetic: then times are formulas.
GpuProfile gpu_with(double tflops, double gb_per_s, double kernel_us = 0) {
  GpuProfile gpu;
  gpu.name = "test";
  gpu.peak_tflops.value = tflops;
  gpu.memory_gb_per_s.value = gb_per_s;
  gpu.matmul_efficiency.value = gpu.memory_efficiency.value = 1;
  gpu.kernel_us.value = kernel_us;
  return gpu;
}
const GpuProfile kFlopsOnly = gpu_with(1, 1e15);
const GpuProfile kBytesOnly = gpu_with(1e15, 1);
const GpuProfile kKernelsOnly = gpu_with(1e15, 1e15, 1000);

GpuProfile half_rate(GpuProfile gpu, KernelKind kind) {
  gpu.kernel_efficiency[static_cast<std::size_t>(kind)].emplace().value = 0.5;
  return gpu;
}

constexpr double kS = 256, kB = 2, kH = 512, kA = 8, kV = 1000;
Model small_gpt() {
  return {.name = "small", .layers = 12, .hidden = 512, .heads = 8, .vocab = 1000, .seq = 256};
}
const StagePlan kThree{.layers = {4, 4, 4}, .microbatch = 2};

StageEstimate estimate(const Model& model, const GpuProfile& gpu, const StagePlan& plan = kThree,
                       double launch_us = 0) {
  return transformer_stages(model, gpu, plan, launch_us);
}
StageCosts middle(const Model& model, const GpuProfile& gpu, double launch_us = 0) {
  return estimate(model, gpu, kThree, launch_us).costs[1];
}
double us(Nanos t) { return static_cast<double>(t.count()) / 1e3; }

TEST_CASE("where memory is free, F, I and W are the FLOPs of arXiv 2401.10241, Table 1",
          "[hwmodels][costs]") {
  const StageCosts stage = middle(small_gpt(), kFlopsOnly);
  const double linear = 24 * kB * kS * kH * kH / 1e6, core = 4 * kB * kS * kS * kH / 1e6;
  CHECK(us(stage.forward) == Approx(4 * (linear + core)).epsilon(1e-4));
  CHECK(us(stage.input_grad) == Approx(4 * (linear + 2 * core)).epsilon(1e-4));
  CHECK(us(stage.weight_grad) == Approx(4 * linear).epsilon(1e-4));
  CHECK(us(stage.backward) == Approx(2 * us(stage.forward)).epsilon(1e-4));
}

TEST_CASE("flash attention halves causal work and computes the scores again in the backward",
          "[hwmodels][costs]") {
  Model model = small_gpt();
  const double linear = 24 * kB * kS * kH * kH / 1e6, core = 4 * kB * kS * kS * kH / 1e6;
  model.flash = true;
  const StageCosts causal = middle(model, kFlopsOnly);
  CHECK(us(causal.forward) == Approx(4 * (linear + core / 2)).epsilon(1e-4));
  CHECK(us(causal.input_grad) == Approx(4 * (linear + 2.5 * core / 2)).epsilon(1e-4));
  model.causal = false;
  CHECK(us(middle(model, kFlopsOnly).forward) == Approx(4 * (linear + core)).epsilon(1e-4));
}

TEST_CASE("where arithmetic is free, flash attention saves the traffic of the scores",
          "[hwmodels][costs]") {
  Model model = small_gpt();
  const Nanos unfused = middle(model, kBytesOnly).forward;
  model.flash = true;
  const Nanos fused = middle(model, kBytesOnly).forward;
  // Written by Q K^T (2), softmax (2 + 2), dropout (2 + 2 + 1), read by the context GEMM (2) for
  // each score; each GEMM reads or writes 6 bytes of Q, K, V and context per element and the
  // context is copied once (4), where the fused kernel moves 8.
  const double scores = kB * kA * kS * kS, x = kB * kS * kH;
  CHECK(us(unfused) - us(fused) == Approx(4 * (13 * scores + 4 * x) / 1e3));
}

TEST_CASE("W of a GEMM reads two activations and adds to an fp32 gradient", "[hwmodels][costs]") {
  const double weights = 12 * kH * kH;
  // QKV: h in, 3 h out; projection: h, h; MLP: h, 4 h and 4 h, h.
  const double rows = (1 + 3 + 1 + 1 + 1 + 4 + 4 + 1) * kB * kS * kH;
  CHECK(us(middle(small_gpt(), kBytesOnly).weight_grad) ==
        Approx(4 * (8 * weights + 2 * rows) / 1e3));
}

TEST_CASE("every kernel costs its constant time, 15 in the forward of a plain layer",
          "[hwmodels][costs]") {
  CHECK(us(middle(small_gpt(), kKernelsOnly).forward) == Approx(4 * 15 * 1000).epsilon(1e-4));
  CHECK(us(middle(small_gpt(), kKernelsOnly).weight_grad) == Approx(4 * 4 * 1000).epsilon(1e-4));
}

TEST_CASE("a small op takes as long as the host needs to issue it", "[hwmodels][costs]") {
  const StageCosts stage = middle(small_gpt(), gpu_with(1e15, 1e15), 6);
  CHECK(stage.forward == 4 * 15 * 6us);
  const StageEstimate all = estimate(small_gpt(), gpu_with(1e15, 1e15), kThree, 6);
  CHECK(all.assumptions.back() ==
        "host-bound: forward or backward of stage 0, 1, 2 waits for the host");
}

TEST_CASE("B is I and W, rounded once", "[hwmodels][costs]") {
  for (const StageCosts& stage : estimate(small_gpt(), gpu_profile("a800-sxm-80gb")).costs) {
    CHECK(std::abs((stage.backward - stage.input_grad - stage.weight_grad).count()) <= 1);
  }
}

TEST_CASE("full recompute adds a forward to I and B and nothing to W", "[hwmodels][costs]") {
  Model model = small_gpt();
  const StageCosts none = middle(model, kFlopsOnly);
  model.recompute = Recompute::kFull;
  const StageCosts full = middle(model, kFlopsOnly);
  CHECK(std::abs((full.backward - none.backward - none.forward).count()) <= 2);
  CHECK(std::abs((full.input_grad - none.input_grad - none.forward).count()) <= 2);
  CHECK(full.weight_grad == none.weight_grad);
  CHECK(full.forward == none.forward);
}

TEST_CASE("selective recompute adds the attention core, which flash attention does not need",
          "[hwmodels][costs]") {
  Model model = small_gpt();
  const StageCosts none = middle(model, kFlopsOnly);
  model.recompute = Recompute::kSelective;
  CHECK(us(middle(model, kFlopsOnly).backward - none.backward) ==
        Approx(4 * 4 * kB * kS * kS * kH / 1e6).epsilon(1e-3));
  model.flash = true;
  const StageCosts selective = middle(model, kFlopsOnly);
  model.recompute = Recompute::kNone;
  CHECK(selective.backward == middle(model, kFlopsOnly).backward);
}

TEST_CASE("the last stage carries the output layer in F, I and W", "[hwmodels][costs]") {
  const StageEstimate all = estimate(small_gpt(), kFlopsOnly);
  const double head = head_forward_flops(small_gpt(), 2) / 1e6;
  CHECK(us(all.costs[2].forward - all.costs[1].forward) == Approx(head).epsilon(1e-3));
  CHECK(us(all.costs[2].input_grad - all.costs[1].input_grad) == Approx(head).epsilon(1e-3));
  CHECK(us(all.costs[2].weight_grad - all.costs[1].weight_grad) == Approx(head).epsilon(1e-3));
  CHECK(all.costs[0].weight_grad == all.costs[1].weight_grad);
  // fp32 logits: 38 bytes in the forward, 14 in the backward, beside the 16-bit GEMMs.
  const StageEstimate bytes = estimate(small_gpt(), kBytesOnly);
  const double logits = kB * kS * kV, x = kB * kS * kH, gemm = 2 * (x + kV * kH + logits);
  CHECK(us(bytes.costs[2].forward - bytes.costs[1].forward) ==
        Approx((38 * logits + gemm + 4 * x) / 1e3));
}

TEST_CASE("GPT-1.5B on A800 is where published runs are", "[hwmodels][costs]") {
  // Plausibility, nothing is fitted to it: 8 A800, micro-batch 4, slowest stage about 57 ms.
  const Model model{.name = "gpt-1.5b",
                    .layers = 48,
                    .hidden = 1600,
                    .heads = 25,
                    .vocab = 50257,
                    .seq = 1024,
                    .dtype = "fp16"};
  const GpuProfile& gpu = gpu_profile("a800-sxm-80gb");
  const StageEstimate all = estimate(
      model, gpu, {.layers = {6, 6, 6, 6, 6, 6, 6, 6}, .microbatch = 4}, gpu.launch_us.value);
  const auto ms = [&](std::size_t s) {
    return to_ms(all.costs[s].forward + all.costs[s].backward);
  };
  CHECK(ms(1) > 30);
  CHECK(ms(1) < 55);
  CHECK(ms(7) > ms(1));
  CHECK(ms(7) < 70);
  const double ratio = to_ms(all.costs[1].backward) / to_ms(all.costs[1].forward);
  CHECK(ratio > 1.7);
  CHECK(ratio < 2.1);
  CHECK(all.tokens_per_microbatch == 4096);
  CHECK(all.flops_per_microbatch ==
        3 * (48 * layer_forward_flops(model, 4) + head_forward_flops(model, 4)));
}

TEST_CASE("each stage holds what lies on it, and the heaviest is not the mean",
          "[hwmodels][costs][memory]") {
  // The arithmetic of NVIDIA-NeMo/Megatron-Bridge#5077: 8 layers as 1, 2, 2, 3.
  Model model = small_gpt();
  model.layers = 8;
  const StageEstimate all = estimate(model, kFlopsOnly, {.layers = {1, 2, 2, 3}, .microbatch = 2});
  const std::int64_t layer = layer_parameters(model), h = 512;
  const std::vector<std::int64_t> expected = {layer + (1000 + 256) * h, 2 * layer, 2 * layer,
                                              3 * layer + 1000 * h + 2 * h};
  CHECK(all.parameters == expected);
  for (std::size_t s = 0; s < 4; ++s) {
    CHECK(all.bytes[s].weights == 2 * expected[s]);
    CHECK(all.bytes[s].gradients == 4 * expected[s]);
    CHECK(all.bytes[s].optimizer == 12 * expected[s]);
    CHECK(all.bytes[s].workspace == 0);
    CHECK(all.bytes[s].message == (s == 3 ? 0 : 2 * 2 * 256 * h));
  }
  const auto heaviest = std::max_element(all.parameters.begin(), all.parameters.end());
  CHECK(heaviest - all.parameters.begin() == 3);
  const std::int64_t sum = std::accumulate(expected.begin(), expected.end(), std::int64_t{0});
  CHECK(*heaviest > sum / 4);
}

TEST_CASE("activations count the ends, and W keeps 32 of 34", "[hwmodels][costs][memory]") {
  const StageEstimate all = estimate(small_gpt(), kFlopsOnly);
  const auto sbh = static_cast<std::int64_t>(kS * kB * kH), sb = std::int64_t{512};
  const auto scores = static_cast<std::int64_t>(kB * kA * kS * kS);
  CHECK(all.bytes[1].activation == 4 * (34 * sbh + 5 * scores));
  CHECK(all.bytes[1].activation_after_i == 4 * 32 * sbh);
  CHECK(all.bytes[0].activation == all.bytes[1].activation + 8 * sb + sbh);
  CHECK(all.bytes[0].activation_after_i == all.bytes[1].activation_after_i);
  CHECK(all.bytes[2].activation == all.bytes[1].activation + 4 * sbh + 4 * sb * 1000);
  CHECK(all.bytes[2].activation_after_i ==
        all.bytes[1].activation_after_i + 2 * sbh + 2 * sb * 1000);
}

TEST_CASE("a single stage keeps one copy of tied weights, two of others",
          "[hwmodels][costs][memory]") {
  Model model = small_gpt();
  const StagePlan one{.layers = {12}, .microbatch = 1};
  const std::int64_t tied = estimate(model, kFlopsOnly, one).parameters[0];
  CHECK(tied == 12 * layer_parameters(model) + embedding_parameters(model) + 2 * 512);
  model.tied = false;
  CHECK(estimate(model, kFlopsOnly, one).parameters[0] == tied + 1000 * 512);
}

TEST_CASE("a stage without layers passes its input on and costs nothing", "[hwmodels][costs]") {
  const StageEstimate all = estimate(small_gpt(), gpu_profile("a100-sxm-80gb"),
                                     {.layers = {6, 0, 6}, .microbatch = 2}, 6);
  CHECK(all.costs[1].forward == 0ns);
  CHECK(all.costs[1].backward == 0ns);
  CHECK(all.bytes[1].activation == 0);
  CHECK(all.bytes[1].message == 2 * 2 * 256 * 512);
}

TEST_CASE("layers that do not add up are refused with the sum", "[hwmodels][costs][errors]") {
  CHECK_THROWS_WITH(estimate(small_gpt(), kFlopsOnly, {.layers = {4, 4, 3}, .microbatch = 1}),
                    "partition.layers: 4 + 4 + 3 = 11, but the model has 12 layers");
  CHECK_THROWS_WITH(estimate(small_gpt(), kFlopsOnly, {.layers = {8, -1, 5}, .microbatch = 1}),
                    "partition.layers: stage 1 has -1 layers");
}

TEST_CASE("an op of more than two hours is a mistake of the input", "[hwmodels][costs][errors]") {
  // 12 layers of 3.489 GFLOP at 1 MFLOP/s.
  CHECK_THROWS_WITH(
      estimate(small_gpt(), gpu_with(1e-6, 1e15), {.layers = {0, 12, 0}, .microbatch = 2}),
      "model: forward of stage 1 would take 4.19e+04 s; one op may take 2 h at most. Is the model "
      "or the micro-batch too large?");
}

TEST_CASE("assumptions name rates, sources and what is not counted", "[hwmodels][costs]") {
  const StageEstimate all = estimate(small_gpt(), gpu_profile("a100-sxm-80gb"), kThree, 6);
  const auto has = [&](const std::string& line) {
    return std::count(all.assumptions.begin(), all.assumptions.end(), line) == 1;
  };
  CHECK(
      has("matmul: 0.7 of 312 TFLOP/s (log: roofline fit to microsoft/vidur A100 linear layers; "
          "error 6 %)"));
  CHECK(has("vocabulary: 1000 as given; Megatron-LM would pad it to 1024"));
  CHECK(has("workspace: 0; CUDA context, library buffers and fragmentation are not counted"));
}

TEST_CASE("updates are ring formulas on the stage's bytes", "[hwmodels][costs]") {
  Model model = small_gpt();
  const auto update = [&](int replicas, Optimizer optimizer, int data, std::size_t stage = 1,
                          bool shard = false) {
    StageEstimate all = estimate(model, kBytesOnly);
    add_update_costs(all, model, kBytesOnly, test::plain_link(),
                     {replicas, optimizer, data, shard});
    return all.costs[stage];
  };
  // Gradient norm 4, clip 8, Adam 28, copy 6, clear 4 bytes per parameter; unscale 8 with fp16.
  const double n = 4.0 * static_cast<double>(layer_parameters(small_gpt()));
  const StageCosts alone = update(1, Optimizer::kReplicated, 1);
  CHECK(alone.reduce == 0ns);
  CHECK(alone.broadcast == 0ns);
  CHECK(us(alone.step) == Approx(50 * n / 1e3));

  const StageCosts replicated = update(2, Optimizer::kReplicated, 2);
  CHECK(us(replicated.reduce) == Approx(6 + 2 * 3 / 4.0 * 4 * n / 1e3));
  CHECK(replicated.broadcast == 0ns);
  CHECK(replicated.step == alone.step);

  const StageCosts owner = update(4, Optimizer::kOwner, 1);
  CHECK(us(owner.reduce) == Approx(3 + 4 * n / 1e3));
  CHECK(us(owner.step) == Approx(46 * n / 1e3));
  CHECK(us(owner.broadcast) == Approx(3 + 2 * n / 1e3 + 4 * n / 1e3));
  CHECK(us(update(4, Optimizer::kOwner, 2).reduce) == Approx(3 + 4 * n / 1e3 + 2 + 4 * n / 1e3));

  // ZeRO-1: half of an all-reduce for the gradients, as much again for the 2-byte weights; all but
  // the clearing of gradients on a quarter of the parameters.
  const StageCosts sharded = update(2, Optimizer::kReplicated, 2, 1, true);
  CHECK(us(sharded.reduce) == Approx(3 + 3 / 4.0 * 4 * n / 1e3 + 3 + 3 / 4.0 * 2 * n / 1e3));
  CHECK(us(sharded.step) == Approx((46 / 4.0 + 4) * n / 1e3));
  const StageCosts owners = update(4, Optimizer::kOwner, 2, 1, true);
  CHECK(us(owners.reduce) == Approx(3 + 4 * n / 1e3 + 1 + 4 * n / 2e3 + 1 + 2 * n / 2e3));
  CHECK(us(owners.step) == Approx(46 / 2.0 * n / 1e3));
  CHECK(owners.broadcast == update(4, Optimizer::kOwner, 2).broadcast);
  CHECK(update(1, Optimizer::kReplicated, 1, 1, true).step == alone.step);

  // A tied embedding's fp32 gradient is added up between both ends: 2 hops, its bytes once.
  const double tied = 2 + 4 * kV * kH / 1e3;
  CHECK(us(update(1, Optimizer::kReplicated, 1, 0).reduce) == Approx(tied));
  CHECK(us(update(1, Optimizer::kReplicated, 1, 2).reduce) == Approx(tied));
  model.tied = false;
  CHECK(update(1, Optimizer::kReplicated, 1, 0).reduce == 0ns);
  model.dtype = "fp16";
  CHECK(us(update(1, Optimizer::kReplicated, 1).step) == Approx(58 * n / 1e3));
}

TEST_CASE("kernels with a fraction of their own take their traffic at that fraction",
          "[hwmodels][costs]") {
  const StageCosts plain = middle(small_gpt(), kBytesOnly);
  const auto check_half = [&](KernelKind kind, double forward, double backward) {
    INFO(kKernelKindNames[static_cast<std::size_t>(kind)]);
    const StageCosts stage = middle(small_gpt(), half_rate(kBytesOnly, kind));
    CHECK(us(stage.forward - plain.forward) == Approx(forward).margin(1e-3));
    CHECK(us(stage.backward - plain.backward) == Approx(backward).margin(2e-3));
  };
  const double scores = 4 * kB * kA * kS * kS / 1e3, x = 4 * kB * kS * kH / 1e3;  // four layers
  check_half(KernelKind::kSoftmax, 4 * scores, 0);
  check_half(KernelKind::kSoftmaxBackward, 0, 6 * scores);
  check_half(KernelKind::kDropout, 5 * scores + 14 * x, 5 * scores + 10 * x);
  check_half(KernelKind::kBatchedMatmul, 4 * scores + 8 * x, 8 * scores + 16 * x);
  check_half(KernelKind::kNorm, 8 * x, 0);
  check_half(KernelKind::kNormBackward, 0, 20 * x);
  check_half(KernelKind::kColumnSum, 0, 18 * x);
  check_half(KernelKind::kTranspose, 4 * x, 16 * x);
}

TEST_CASE("fused attention runs at its own fraction of the FLOPs", "[hwmodels][costs]") {
  Model model = small_gpt();
  model.flash = true;
  const StageCosts plain = middle(model, kFlopsOnly);
  const GpuProfile gpu = half_rate(kFlopsOnly, KernelKind::kFlashForward);
  const double core = 4 * kB * kS * kS * kH / 1e6 / 2;
  CHECK(us(middle(model, gpu).forward - plain.forward) == Approx(4 * core).epsilon(1e-3));
}

TEST_CASE("a stage boundary takes its message's time on the link", "[hwmodels][costs]") {
  const StageEstimate all = estimate(small_gpt(), kFlopsOnly);
  const LinkClass link = link_costs(test::plain_link(), all.bytes);
  CHECK(link.name == "wire");
  CHECK(link.latency == 1us);
  const double message = 2 * kB * kS * kH;
  CHECK(us(link.transfer_time[0]) == Approx(2 + (message - 2000) / 1e3));
  CHECK(link.transfer_time[2] == link.latency);  // the last stage sends nothing
}

TEST_CASE("matrix products of measured shapes take the measured time", "[hwmodels][costs]") {
  // Four layers of forward products: tokens x {3h, h, 4h, h}; only compute takes time on this GPU.
  const StagePlan plan{.layers = {4, 4, 4}, .microbatch = 3};
  const double rows = 3 * kS;  // of which none of the widths is a multiple
  const StageCosts plain = estimate(small_gpt(), kFlopsOnly, plan).costs[1];
  const auto by_rate = [&](double m, double n, double k) { return 2 * m * n * k / 1e6; };
  const auto with = [&](double m, double n, double k, const char* dtype = "bf16") {
    GpuProfile measured = kFlopsOnly;
    measured.measured_matmuls = {
        {.dtype = dtype, .m_n_k_us = {{m, n, k, 1e6}}, .from = Provenance::kLog, .source = "own"}};
    return estimate(small_gpt(), measured, plan).costs[1];
  };
  // The up projection forward; its input gradient sums over 4h and its weight gradient over rows.
  const double forward = 4 * (1e6 - by_rate(rows, 4 * kH, kH));
  CHECK(us(with(rows, 4 * kH, kH).forward - plain.forward) == Approx(forward));
  CHECK(us(with(4 * kH, rows, kH).forward - plain.forward) == Approx(forward));  // transposed
  CHECK(with(rows, 4 * kH, kH, "fp16").forward == plain.forward);
  CHECK(with(rows, 4 * kH, kH + 8).forward == plain.forward);
  // rows x h with 4h terms: the down projection forward and the up projection's input gradient.
  const StageCosts down = with(rows, kH, 4 * kH);
  CHECK(us(down.forward - plain.forward) == Approx(forward));
  CHECK(us(down.input_grad - plain.input_grad) == Approx(forward));
  CHECK(down.weight_grad == plain.weight_grad);
  // 4h x h over the rows: the weight gradients of both, one of them transposed.
  const StageCosts weight = with(4 * kH, kH, rows);
  CHECK(weight.forward == plain.forward);
  CHECK(us(weight.weight_grad - plain.weight_grad) == Approx(2 * forward));
}

TEST_CASE("a report says how many shapes were measured", "[hwmodels][costs]") {
  GpuProfile gpu = kFlopsOnly;
  gpu.measured_matmuls = {{.dtype = "bf16",
                           .m_n_k_us = {{3 * kS, 4 * kH, kH, 10}},
                           .from = Provenance::kLog,
                           .source = "own"}};
  const StageEstimate all = estimate(small_gpt(), gpu, {.layers = {4, 4, 4}, .microbatch = 3});
  CHECK(std::count(all.assumptions.begin(), all.assumptions.end(),
                   "matmul: 1 of 12 shapes as measured, the others by the rate (log: own)") == 1);
}

}  // namespace

TEST_CASE("a measured collective takes the place of the ring, scaled to other numbers of GPUs",
          "[hwmodels][costs]") {
  LinkProfile link = test::plain_link();
  CHECK(collective_microseconds(link, CollectiveKind::kAllReduce, 1, 1e6) == 0);
  CHECK(collective_microseconds(link, CollectiveKind::kAllReduce, 4, 8000) ==
        Approx(6 * 1 + 1.5 * 8));
  CHECK(collective_microseconds(link, CollectiveKind::kBroadcast, 4, 8000) == Approx(3 + 8));
  CHECK(collective_microseconds(link, CollectiveKind::kAllGather, 4, 8000) == Approx(3 + 0.75 * 8));
  CHECK_THAT(collective_text(link, CollectiveKind::kReduce, 4), contains("ring at 1 GB/s of wire"));
  const auto measured = [&](CollectiveKind kind, int n, double us) {
    link.collectives.push_back(
        {.kind = kind, .participants = n, .curve = {{4000, us}, {8000, 2 * us}}});
  };
  measured(CollectiveKind::kAllReduce, 8, 50);
  measured(CollectiveKind::kReduce, 8, 70);
  CHECK(collective_microseconds(link, CollectiveKind::kAllReduce, 8, 4000) == Approx(50));
  // 2 (n - 1) / n bytes per link and byte: 1.5 at 4, 1.75 at 8, 1 at 2.
  CHECK(collective_microseconds(link, CollectiveKind::kAllReduce, 4, 4000) ==
        Approx(50 * 1.5 / 1.75));
  CHECK(collective_microseconds(link, CollectiveKind::kReduce, 2, 8000) == Approx(140));
  measured(CollectiveKind::kAllReduce, 2, 10);
  CHECK(collective_microseconds(link, CollectiveKind::kAllReduce, 2, 4000) == Approx(10));
  CHECK_THAT(collective_text(link, CollectiveKind::kAllReduce, 8), contains("of 8 GPUs (assumed"));
  CHECK_THAT(collective_text(link, CollectiveKind::kReduce, 2), contains("scaled by the bytes"));
}

}  // namespace stagesim
