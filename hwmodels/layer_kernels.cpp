// The kernels of one transformer layer of any kind: plain, gated, latent attention, experts.

#include <algorithm>
#include <utility>

#include "hwmodels/kernels.hpp"

namespace stagesim {
namespace {

// A linear layer, or the same of several experts in one grouped kernel; rows are of all of them.
struct Linear {
  double rows, out, in;
  double experts = 1;

  template <typename Of>
  Kernel each(Of kernel) const {
    Kernel all = kernel(rows / experts, out, in);
    all.flops *= experts;
    all.bytes *= experts;
    if (experts != 1) all.m = all.n = all.k = 0;
    return all;
  }
};
using Linears = std::vector<Linear>;

// Elements of one micro-batch on one GPU; activations take 2 bytes.
struct Widths {
  Widths(const Model& m, int b, StageSplit split)
      : t(split.tensor),
        tokens(static_cast<double>(b) * m.seq / split.context),
        x(tokens * m.hidden / split.sequence()),
        q_width(m.query_width() / t),
        // Fewer heads of keys and values than GPUs: each keeps one.
        kv_share(m.latent() || m.kv_heads == 0 ? 1 / t : std::max(1 / t, 1.0 / m.kv_heads)),
        q(tokens * q_width),
        k(tokens * m.kv_width() * kv_share),
        v(tokens * m.value_width() * kv_share),
        all_k(k * split.context),
        all_v(v * split.context),
        context(tokens * m.context_width() / t),
        scores(tokens * m.seq * m.heads / t),
        qk_flops(2 * tokens * m.seq * m.query_width() / t),
        pv_flops(2 * tokens * m.seq * m.context_width() / t),
        mask(m.dropout ? 1 : 0),
        copies(tokens * m.hidden * m.experts_per_token),
        own_experts(1.0 * m.experts / split.expert) {}

  double t, tokens;
  double x;  // of norms, dropout and residuals
  double q_width, kv_share, q, k, v;
  double all_k, all_v;  // of the whole sequence, as the attention core reads them
  double context;
  double scores;              // b a s^2
  double qk_flops, pv_flops;  // of the attention core's GEMMs, 2 b s^2 h
  double mask;                // bytes of dropout mask per element
  double copies;              // tokens as the experts get them
  double own_experts;         // they get as many tokens from other GPUs as this one sends away
};

// Projections to queries, keys and values. Those to a latent are not split.
Linears qkv_linears(const Model& m, const Widths& z) {
  const double h = m.hidden;
  if (!m.latent()) return {{z.tokens, z.q_width + 2 * m.kv_width() * z.kv_share, h}};
  Linears linears;
  if (m.q_lora_rank == 0) {
    linears = {{z.tokens, z.q_width, h}};
  } else {
    linears = {{z.tokens, 1.0 * m.q_lora_rank, h}, {z.tokens, z.q_width, 1.0 * m.q_lora_rank}};
  }
  const double up = m.heads * (1.0 * m.qk_nope_head_dim + m.v_head_dim) / z.t;
  linears.push_back({z.tokens, 1.0 * m.kv_lora_rank + m.qk_rope_head_dim, h});
  linears.push_back({z.tokens, up, 1.0 * m.kv_lora_rank});
  return linears;
}

Kernel projection(const Model& m, const Widths& z, Kernel (*of)(double, double, double)) {
  return of(z.tokens, m.hidden, m.context_width() / z.t);
}

// One MLP, in forward order: into it, over `activated` elements, and out of it.
struct Mlp {
  Linear in, out;
  double activated;  // rows x width

  Mlp(const Model& m, double rows, double width, double experts)
      : in{rows, (m.gated ? 2 : 1) * width, 1.0 * m.hidden, experts},  // gate and up in one
        out{rows, 1.0 * m.hidden, width, experts},
        activated(rows * width) {}
};

std::vector<Mlp> mlps(const Model& m, const Widths& z) {
  if (m.experts == 0) return {Mlp(m, z.tokens, m.ffn_width() / z.t, 1)};
  const double routed = z.tokens * m.experts_per_token;
  std::vector<Mlp> all{Mlp(m, routed, m.expert_width() / z.t, std::min(z.own_experts, routed))};
  if (m.shared_experts > 0)
    all.emplace_back(m, z.tokens, 1.0 * m.shared_experts * m.expert_width() / z.t, 1);
  return all;
}

Linear router(const Model& m, const Widths& z) {
  return {z.tokens, 1.0 * m.experts, 1.0 * m.hidden};
}

// The norms of the latents, or of queries and keys per head: bytes per element of what they read.
void append_inner_norms(Kernels& kernels, const Model& m, const Widths& z, double bytes,
                        KernelKind kind) {
  const auto norm = [&](double elements) { kernels.push_back(stream(bytes * elements, kind)); };
  if (m.q_lora_rank > 0) norm(z.tokens * m.q_lora_rank);
  if (m.latent()) norm(z.tokens * m.kv_lora_rank);
  if (m.latent() || !m.qk_norm) return;
  norm(z.q);
  norm(z.k);
}

// Latent attention copies the shared rotary key to every head, beside the rest of the key.
double key_copy_bytes(const Widths& z) { return 4 * z.k; }

// The attention core's GEMMs, on a score matrix of its own per head and sequence: scores or their
// gradients from rows of `width` per head, and rows of that width from scores.
Kernel to_scores(const Model& m, const Widths& z, double width, double flops, double elements) {
  return {.flops = flops,
          .bytes = 2 * elements,
          .kind = KernelKind::kBatchedMatmul,
          .m = 1.0 * m.seq,
          .n = 1.0 * m.seq,
          .k = width / m.heads,
          .batch = z.scores / m.seq / m.seq};
}
Kernel from_scores(const Model& m, const Widths& z, double width, double flops, double elements) {
  Kernel kernel = to_scores(m, z, width, flops, elements);
  std::swap(kernel.n, kernel.k);
  return kernel;
}

}  // namespace

Kernels attention_core_forward_kernels(const Model& m, int b, StageSplit split) {
  const Widths z(m, b, split);
  if (m.flash) {  // reads Q, K, V, writes O; half of the scores under a causal mask
    return {{(z.qk_flops + z.pv_flops) * (m.causal ? 0.5 : 1),
             2 * (z.q + z.all_k + z.all_v + z.context), KernelKind::kFlashForward}};
  }
  Kernels kernels = {to_scores(m, z, m.query_width(), z.qk_flops, z.q + z.all_k + z.scores),
                     stream(4 * z.scores, KernelKind::kSoftmax)};  // scale, mask and softmax in one
  if (m.dropout) kernels.push_back(stream(5 * z.scores, KernelKind::kDropout));  // and the mask
  kernels.push_back(
      from_scores(m, z, m.context_width(), z.pv_flops, z.scores + z.all_v + z.context));
  return kernels;
}

Kernels layer_forward_kernels(const Model& m, int b, StageSplit split) {
  const Widths z(m, b, split);
  const Kernel norm = stream(4 * z.x, KernelKind::kNorm);
  // Bias, dropout and residual in one: two reads, one write, the mask.
  const Kernel residual =
      stream((6 + z.mask) * z.x, m.dropout ? KernelKind::kDropout : KernelKind::kPlain);
  Kernels kernels = {norm};
  for (const Linear& linear : qkv_linears(m, z)) kernels.push_back(linear.each(gemm));
  if (m.has_biases() || m.qkv_bias) kernels.push_back(stream(4 * (z.q + z.k + z.v)));  // not fused
  append_inner_norms(kernels, m, z, 4, KernelKind::kNorm);
  if (m.latent()) kernels.push_back(stream(key_copy_bytes(z)));
  append(kernels, attention_core_forward_kernels(m, b, split));
  if (!m.flash) kernels.push_back(stream(4 * z.context, KernelKind::kTranspose));  // heads to rows
  append(kernels, {projection(m, z, gemm), residual, norm});
  if (m.experts > 0) {
    append(kernels, {router(m, z).each(gemm),
                     stream(8 * z.tokens * m.experts),  // softmax in fp32, top k
                     stream(2 * (z.x + z.copies))});    // tokens in the order of the experts
  }
  for (const Mlp& mlp : mlps(m, z)) {
    append(kernels,
           {mlp.in.each(gemm), stream((m.gated ? 6 : 4) * mlp.activated), mlp.out.each(gemm)});
  }
  if (m.experts > 0) kernels.push_back(stream(2 * (z.x + z.copies)));  // back, weighted and added
  if (m.shared_experts > 0) kernels.push_back(stream(6 * z.x));        // plus the shared experts'
  kernels.push_back(residual);
  return kernels;
}

Kernels attention_core_backward_kernels(const Model& m, int b, StageSplit split) {
  const Widths z(m, b, split);
  // Row sums of dO x O; then five GEMMs instead of two, because the scores are computed again:
  // Q K^T twice, dQ, dK; d probabilities, dV. Reads Q, O, dO, K, V, writes dQ, dK, dV.
  return {stream(4 * z.context),
          {.flops = (3 * z.qk_flops + 2 * z.pv_flops) * (m.causal ? 0.5 : 1),
           .bytes = 2 * (2 * z.q + 2 * z.all_k + 2 * z.all_v + 2 * z.context),
           .kind = KernelKind::kFlashBackward}};
}

double key_value_bytes(const Model& m, int b, const StageSplit& split) {
  const Widths z(m, b, split);
  return 2 * (z.k + z.v);
}

Kernels layer_input_grad_kernels(const Model& m, int b, StageSplit split) {
  const Widths z(m, b, split);
  Kernels kernels;
  const auto bias = [&](bool has, double elements) {  // its gradient: a sum over the tokens
    if (has) kernels.push_back(stream(2 * elements, KernelKind::kColumnSum));
  };
  const auto dropout = [&] {  // reads dy and mask, writes
    if (m.dropout) kernels.push_back(stream(5 * z.x, KernelKind::kDropout));
    bias(m.has_biases(), z.x);
  };
  dropout();
  // Back through the weighted sum: reads dy and each expert's output, writes the gradients of those
  // and of the weights.
  if (m.experts > 0) kernels.push_back(stream(2 * (z.x + 2 * z.copies)));
  for (const Mlp& mlp : mlps(m, z)) {
    const double up = (m.gated ? 2 : 1) * mlp.activated;
    // Reads dy and x, writes dx.
    append(kernels, {mlp.out.each(input_grad), stream(2 * (mlp.activated + 2 * up))});
    bias(m.has_biases(), up);
    kernels.push_back(mlp.in.each(input_grad));
  }
  if (m.experts > 0) {
    append(kernels, {stream(2 * (z.x + z.copies)), stream(12 * z.tokens * m.experts),
                     router(m, z).each(input_grad), stream(6 * z.x)});
  }
  if (m.shared_experts > 0) kernels.push_back(stream(6 * z.x));
  append_norm_backward(kernels, z.x);
  dropout();
  kernels.push_back(projection(m, z, input_grad));
  if (m.flash) {
    append(kernels, attention_core_backward_kernels(m, b, split));
  } else {
    const double pv = z.context + z.all_v + z.scores, qk = z.scores + z.all_k + z.q;
    const Kernel of_scores = from_scores(m, z, m.query_width(), z.qk_flops, qk);
    kernels.push_back(stream(4 * z.context, KernelKind::kTranspose));         // rows into heads
    append(kernels, {to_scores(m, z, m.context_width(), z.pv_flops, pv),      // d probabilities
                     from_scores(m, z, m.context_width(), z.pv_flops, pv)});  // dV
    if (m.dropout) kernels.push_back(stream(5 * z.scores, KernelKind::kDropout));
    kernels.push_back(stream(6 * z.scores, KernelKind::kSoftmaxBackward));  // reads dy and y
    append(kernels, {of_scores, of_scores});                                // dQ, dK
  }
  kernels.push_back(stream(4 * (z.q + z.k + z.v), KernelKind::kTranspose));  // side by side
  if (m.latent()) kernels.push_back(stream(key_copy_bytes(z)));
  append_inner_norms(kernels, m, z, 10, KernelKind::kNormBackward);  // dx and gamma's gradient
  bias(m.has_biases() || m.qkv_bias, z.q + z.k + z.v);
  const Linears linears = qkv_linears(m, z);
  for (auto linear = linears.rbegin(); linear != linears.rend(); ++linear)
    kernels.push_back(linear->each(input_grad));
  append_norm_backward(kernels, z.x);
  return kernels;
}

Kernels layer_weight_grad_kernels(const Model& m, int b, StageSplit split) {
  const Widths z(m, b, split);
  Kernels kernels;
  for (const Linear& linear : qkv_linears(m, z)) kernels.push_back(linear.each(weight_grad));
  kernels.push_back(projection(m, z, weight_grad));
  if (m.experts > 0) kernels.push_back(router(m, z).each(weight_grad));
  for (const Mlp& mlp : mlps(m, z))
    append(kernels, {mlp.in.each(weight_grad), mlp.out.each(weight_grad)});
  return kernels;
}

}  // namespace stagesim
