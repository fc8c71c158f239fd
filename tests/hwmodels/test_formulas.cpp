// Closed forms of models, memory, collectives and partitions; the table of all of them is in
// tests/schedules/test_formulas.cpp.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "hwmodels/arithmetic.hpp"
#include "hwmodels/kernels.hpp"
#include "hwmodels/stage_costs.hpp"
#include "sim/memory.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

Model gpt(int layers, int hidden, int heads, int seq, int vocab) {
  return {.name = "gpt",
          .layers = layers,
          .hidden = hidden,
          .heads = heads,
          .vocab = vocab,
          .seq = seq};
}

double flops(const Kernels& kernels) {
  return std::accumulate(kernels.begin(), kernels.end(), 0.0,
                         [](double sum, const Kernel& k) { return sum + k.flops; });
}

double milliseconds_of(const StageEstimate& e) { return to_ms(e.costs[0].reduce); }

}  // namespace

TEST_CASE("P = 12 l h^2 (1 + 13/(12h) + (V + s)/(12 l h)) parameters", "[hwmodels][formulas]") {
  // Megatron-LM, arXiv 2104.04473 equation 2; it leaves out the final norm.
  const Model m = GENERATE(gpt(24, 2304, 24, 2048, 51200), gpt(96, 12288, 96, 2048, 51200));
  const double l = m.layers, h = m.hidden, vs = m.vocab + m.seq;
  CHECK(l * double(layer_parameters(m)) + double(embedding_parameters(m)) ==
        Approx(12 * l * h * h * (1 + 13 / (12 * h) + vs / (12 * l * h))).epsilon(1e-14));
}

TEST_CASE("F = 96 B s l h^2 (1 + s/(6h) + V/(16 l h)) FLOPs with recompute, time 8 T P / (n X)",
          "[hwmodels][formulas]") {
  // Megatron-LM, arXiv 2104.04473 equations 3 and 4: every layer forward, again, and backward.
  const Model m = gpt(96, 12288, 96, 2048, 51200);
  const double l = m.layers, h = m.hidden, s = m.seq, v = m.vocab, batch = 1536;
  const double f = batch * (4 * l * layer_forward_flops(m, 1) + 3 * head_forward_flops(m, 1));
  CHECK(f ==
        Approx(96 * batch * s * l * h * h * (1 + s / (6 * h) + v / (16 * l * h))).epsilon(1e-14));
  // Section 5.1: 175 billion parameters, 300 billion tokens, 1024 GPUs of 140 TFLOP/s: 34 days.
  const double parameters = l * double(layer_parameters(m)) + double(embedding_parameters(m));
  const double tokens = 300e9, rate = 1024 * 140e12, day = 86400;
  CHECK(8 * tokens * parameters / rate / day == Approx(34).margin(0.5));
  CHECK(f / (batch * s) * tokens / rate / day == Approx(34).epsilon(0.05));
}

TEST_CASE("selective recompute: hardware over model FLOPs stays within 1 + s/(6h)",
          "[hwmodels][formulas]") {
  // Korthikanti, arXiv 2205.05198 section 6.3, is an upper estimate: it adds the attention core
  // three times, 12 b s^2 h, where one forward of it, 4 b s^2 h, is what runs again.
  const Model m = GENERATE(gpt(48, 6144, 64, 2048, 51200), gpt(105, 20480, 128, 2048, 51200));
  const double s = m.seq, h = m.hidden, core = flops(attention_core_forward_kernels(m, 1));
  CHECK(core == 4 * s * s * h);
  const double layer = 3 * layer_forward_flops(m, 1);
  CHECK((layer + core) / layer == Approx(1 + s / (18 * h) / (1 + s / (6 * h))));
  CHECK((layer + core) / layer < 1 + s / (6 * h));
}

TEST_CASE("the first stage of 1F1B keeps sbhL/t (34 + 5as/h), whatever p is, and p dropout masks",
          "[hwmodels][formulas][memory]") {
  // Korthikanti, arXiv 2205.05198 equation 5 and section 4.3. The token ids, 8 s b, are ours.
  const int p = GENERATE(1, 2, 4, 8), b = 2, t = 4;
  const Model m = gpt(48, 1536, 16, 1024, 51200);
  const StageSplit split{.tensor = t, .sequence_parallel = true};
  const double sbh = 1024.0 * b * 1536, l = m.layers, h = m.hidden, a = m.heads, s = m.seq;
  const double ids = 8 * s * b;
  const double ends = p == 1 ? head_activation_bytes(m, b, split) : 0;
  const auto whole = [](double bytes) { return static_cast<std::int64_t>(std::llround(bytes)); };
  StageBytes stage{.activation = whole(l / p * layer_activation_bytes(m, b, split))};
  MemoryInputs inputs{std::vector<StageBytes>(std::size_t(p), stage),
                      std::vector<int>(std::size_t(p), 1)};
  const Timeline run_of = run({"1f1b", p, 3 * p}, unit_costs(p, 1, 2));
  const double layers = sbh * l / t * (34 + 5 * a * s / h);
  CHECK(double(memory(run_of, inputs)[0].peak) == Approx(layers));
  const double embedding = embedding_activation_bytes(m, b, split);
  inputs.stages[0].activation += whole(embedding + ends);
  const double extra = p / l + (p == 1 ? 4 / l * (1 + m.vocab / h) : 0);
  CHECK(double(memory(run_of, inputs)[0].peak) - layers ==
        Approx(sbh * l / t * extra + p * ids).epsilon(1e-3));
}

TEST_CASE("a stage boundary carries b s h elements each way", "[hwmodels][formulas]") {
  // Megatron-LM, arXiv 2104.04473 section 3.2; 2 bytes each.
  const Model m = gpt(4, 512, 8, 256, 1000);
  const StageEstimate e = transformer_stages(m, gpu_profile("a800-sxm-80gb"), {{2, 2}, 3}, 0);
  CHECK(e.bytes[0].message == 2LL * 3 * 256 * 512);
}

TEST_CASE("Vocabulary Parallelism's costs: bsh(72h + 12s), 6bshV and 2hV bytes",
          "[hwmodels][formulas]") {
  // arXiv 2411.05288 Table 4, forward and backward. Its 3bsh of the input layer are the additions
  // of a lookup, which we count as memory traffic.
  const Model m = gpt(32, 3072, 24, 2048, 128 * 1024);
  const double b = 2, s = m.seq, h = m.hidden, v = m.vocab;
  CHECK(3 * layer_forward_flops(m, 2) == b * s * h * (72 * h + 12 * s));
  CHECK(3 * head_forward_flops(m, 2) == 6 * b * s * h * v);
  CHECK(flops(embedding_forward_kernels(m, 2)) == 0);
  CHECK(2 * double(head_parameters(m)) == 2 * h * v);
  CHECK(2 * double(layer_parameters(m)) == 24 * h * h + 26 * h);  // 26 h: biases and norms
}

TEST_CASE("all-reduce: 2 (r-1) beta L / r as Chimera's, with a ring's latency",
          "[hwmodels][formulas]") {
  // arXiv 2107.06925 section 3.4 has 2 log2(r) alpha (recursive halving); a ring has 2 (r-1) alpha,
  // the same at r = 2.
  const int r = GENERATE(2, 4, 8, 16);
  const Model m = gpt(4, 2048, 16, 256, 1000);
  const GpuProfile& gpu = gpu_profile("a800-sxm-80gb");
  LinkProfile link;
  link.name = "test";
  link.curve = {{1, 5}, {1e6, 15}, {1e9, 10005}};  // 5 us and, for large messages, 100 GB/s
  link.latency_us.value = 5;
  StageEstimate e = transformer_stages(m, gpu, {{4}, 1}, 0);
  add_update_costs(e, m, gpu, link, {.replicas = r});
  const double bytes = double(e.bytes[0].gradients), alpha = 5e-3;
  const double beta = 1 / (link.large_message_gb_per_s() * 1e6);  // ms per byte
  const double volume = 2.0 * (r - 1) * beta * bytes / r;
  CHECK(milliseconds_of(e) == Approx(2 * (r - 1) * alpha + volume).epsilon(1e-6));
  if (r == 2) CHECK(milliseconds_of(e) == Approx(2 * std::log2(r) * alpha + volume).epsilon(1e-6));
}

TEST_CASE("balanced partitions are as good as PipeDream's dynamic program without replication",
          "[hwmodels][formulas][partition]") {
  // arXiv 1806.03377 section 3.2: A(j, m) = min over i of max(A(i, m - m'), 2 C_i, T(i+1 -> j,
  // m')). Here m' = 1 (data parallelism is the same for all stages), C_i = 0 (every boundary
  // carries as much), and T of a run of layers is their sum, the first and last one dearer.
  std::mt19937 random(11);
  for (int trial = 0; trial < 200; ++trial) {
    const auto draw = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    const int layers = draw(1, 30), stages = draw(1, 8);
    const double first = draw(0, 12) / 4.0, last = draw(0, 12) / 4.0;
    const auto time = [&](int from, int to, int stage) {  // layers from..to-1 on that stage
      return to - from + (stage == 0 ? first : 0) + (stage == stages - 1 ? last : 0);
    };
    std::vector<double> best(std::size_t(layers) + 1);
    for (int j = 0; j <= layers; ++j) best[std::size_t(j)] = time(0, j, 0);
    for (int stage = 1; stage < stages; ++stage) {
      std::vector<double> next(best.size(), 1e9);
      for (int j = 0; j <= layers; ++j) {
        for (int i = 0; i <= j; ++i) {
          next[std::size_t(j)] =
              std::min(next[std::size_t(j)], std::max(best[std::size_t(i)], time(i, j, stage)));
        }
      }
      best = next;
    }
    double slowest = 0;
    const std::vector<int> split = balanced_layers(layers, stages, first, last);
    for (int stage = 0; stage < stages; ++stage)
      slowest = std::max(slowest, time(0, split[std::size_t(stage)], stage));
    CHECK(slowest == best.back());
  }
}
