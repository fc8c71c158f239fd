#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/assumptions.hpp"
#include "hwmodels/kernels.hpp"

namespace stagesim {
namespace {

// A linear layer, or the same of several experts in one grouped kernel; rows are of all of them.
struct Linear {
  double rows, out, in;
  double experts = 1;

  template <typename Of>
  Kernel each(Of kernel) const {
    const Kernel one = kernel(rows / experts, out, in);
    return {one.flops * experts, one.bytes * experts};
  }
};
using Linears = std::vector<Linear>;

// Widths of one token, in elements; activations take 2 bytes.
struct Widths {
  Widths(const Model& m, int b)
      : tokens(static_cast<double>(b) * m.seq),
        x(tokens * m.hidden),
        q(tokens * m.query_width()),
        k(tokens * m.kv_width()),
        v(tokens * m.value_width()),
        context(tokens * m.context_width()),
        scores(tokens * m.seq * m.heads),
        qk_flops(2 * tokens * m.seq * m.query_width()),
        pv_flops(2 * tokens * m.seq * m.context_width()),
        mask(m.dropout ? 1 : 0) {}

  double tokens, x, q, k, v, context, scores, qk_flops, pv_flops, mask;
};

Linears qkv_linears(const Model& m, double tokens) {
  const double h = m.hidden, q = m.query_width();
  if (!m.latent()) return {{tokens, q + 2.0 * m.kv_width(), h}};
  Linears linears;
  if (m.q_lora_rank == 0) {
    linears = {{tokens, q, h}};
  } else {
    linears = {{tokens, 1.0 * m.q_lora_rank, h}, {tokens, q, 1.0 * m.q_lora_rank}};
  }
  const double up = m.heads * (1.0 * m.qk_nope_head_dim + m.v_head_dim);
  linears.push_back({tokens, 1.0 * m.kv_lora_rank + m.qk_rope_head_dim, h});
  linears.push_back({tokens, up, 1.0 * m.kv_lora_rank});
  return linears;
}

// One MLP, in forward order: into it, over `activated` elements, and out of it.
struct Mlp {
  Linear in, out;
  double activated;  // rows x width

  Mlp(const Model& m, double rows, double width, double experts)
      : in{rows, (m.gated ? 2 : 1) * width, 1.0 * m.hidden, experts},
        out{rows, 1.0 * m.hidden, width, experts},
        activated(rows * width) {}
};

std::vector<Mlp> mlps(const Model& m, double tokens) {
  if (m.experts == 0) return {Mlp(m, tokens, m.ffn_width(), 1)};
  const double routed = tokens * m.experts_per_token;
  std::vector<Mlp> all{Mlp(m, routed, m.expert_width(), std::min<double>(m.experts, routed))};
  if (m.shared_experts > 0)
    all.emplace_back(m, tokens, 1.0 * m.shared_experts * m.expert_width(), 1);
  return all;
}

Linear router(const Model& m, double tokens) { return {tokens, 1.0 * m.experts, 1.0 * m.hidden}; }

void append(Kernels& to, const Kernels& more) { to.insert(to.end(), more.begin(), more.end()); }

// The norms of the latents, or of queries and keys per head: bytes per element of what they read.
void append_inner_norms(Kernels& kernels, const Model& m, const Widths& z, double bytes) {
  if (m.q_lora_rank > 0) kernels.push_back(stream(bytes * z.tokens * m.q_lora_rank));
  if (m.latent()) kernels.push_back(stream(bytes * z.tokens * m.kv_lora_rank));
  if (!m.latent() && m.qk_norm) append(kernels, {stream(bytes * z.q), stream(bytes * z.k)});
}

// Latent attention copies the shared rotary key to every head, beside the rest of the key.
double key_copy_bytes(const Model& m, const Widths& z) { return m.latent() ? 4 * z.k : 0; }

void append_norm_backward(Kernels& kernels, double x) {
  append(kernels, {stream(6 * x), stream(4 * x), stream(6 * x)});  // as in kernels.cpp
}

}  // namespace

bool ordinary_layer(const Model& m) {
  return m.experts == 0 && !m.latent() && m.query_width() == m.hidden && !m.qk_norm &&
         !m.qkv_bias && m.has_biases() == !m.gated;
}

Kernels general_core_forward_kernels(const Model& m, int b) {
  const Widths z(m, b);
  if (m.flash) {
    return {{(z.qk_flops + z.pv_flops) * (m.causal ? 0.5 : 1), 2 * (z.q + z.k + z.v + z.context)}};
  }
  Kernels kernels = {{z.qk_flops, 2 * (z.q + z.k + z.scores)}, stream(4 * z.scores)};
  if (m.dropout) kernels.push_back(stream(5 * z.scores));
  kernels.push_back({z.pv_flops, 2 * (z.scores + z.v + z.context)});
  return kernels;
}

Kernels general_forward_kernels(const Model& m, int b) {
  const Widths z(m, b);
  Kernels kernels = {stream(4 * z.x)};
  for (const Linear& linear : qkv_linears(m, z.tokens)) kernels.push_back(linear.each(gemm));
  append_inner_norms(kernels, m, z, 4);
  if (m.latent()) kernels.push_back(stream(key_copy_bytes(m, z)));
  append(kernels, general_core_forward_kernels(m, b));
  if (!m.flash) kernels.push_back(stream(4 * z.context));
  append(kernels, {gemm(z.tokens, m.hidden, m.context_width()), stream((6 + z.mask) * z.x),
                   stream(4 * z.x)});
  const double copies = z.x * m.experts_per_token;
  if (m.experts > 0) {
    append(kernels, {router(m, z.tokens).each(gemm),
                     stream(8 * z.tokens * m.experts),  // softmax in fp32, top k
                     stream(2 * (z.x + copies))});      // tokens in the order of the experts
  }
  for (const Mlp& mlp : mlps(m, z.tokens)) {
    append(kernels,
           {mlp.in.each(gemm), stream((m.gated ? 6 : 4) * mlp.activated), mlp.out.each(gemm)});
  }
  if (m.experts > 0) kernels.push_back(stream(2 * (z.x + copies)));  // back, weighted and added
  if (m.shared_experts > 0) kernels.push_back(stream(6 * z.x));      // plus the shared experts'
  kernels.push_back(stream((6 + z.mask) * z.x));
  return kernels;
}

Kernels general_input_grad_kernels(const Model& m, int b) {
  const Widths z(m, b);
  Kernels kernels;
  const auto bias = [&](bool has, double elements) {
    if (has) kernels.push_back(stream(2 * elements));
  };
  const auto dropout = [&](bool has_bias) {
    if (m.dropout) kernels.push_back(stream(5 * z.x));
    bias(has_bias, z.x);
  };
  const double copies = z.x * m.experts_per_token;
  dropout(m.has_biases());
  // Back through the weighted sum: reads dy and each expert's output, writes the gradients of those
  // and of the weights.
  if (m.experts > 0) kernels.push_back(stream(2 * (z.x + 2 * copies)));
  for (const Mlp& mlp : mlps(m, z.tokens)) {
    const double up = (m.gated ? 2 : 1) * mlp.activated;
    append(kernels, {mlp.out.each(gemm), stream(2 * (mlp.activated + 2 * up))});
    bias(m.has_biases(), up);
    kernels.push_back(mlp.in.each(gemm));
  }
  if (m.experts > 0) {
    append(kernels, {stream(2 * (z.x + copies)), stream(12 * z.tokens * m.experts),
                     router(m, z.tokens).each(gemm), stream(6 * z.x)});
  }
  if (m.shared_experts > 0) kernels.push_back(stream(6 * z.x));
  append_norm_backward(kernels, z.x);
  dropout(m.has_biases());
  kernels.push_back(gemm(z.tokens, m.hidden, m.context_width()));
  if (m.flash) {
    // As many passes as in kernels.cpp: Q K^T twice more and dK, dQ; dV and d probabilities.
    kernels.push_back(stream(4 * z.context));
    kernels.push_back({(3 * z.qk_flops + 2 * z.pv_flops) * (m.causal ? 0.5 : 1),
                       2 * (2 * z.q + 2 * z.k + 2 * z.v + 2 * z.context)});
  } else {
    append(kernels, {stream(4 * z.context),
                     {z.pv_flops, 2 * (z.context + z.v + z.scores)},
                     {z.pv_flops, 2 * (z.scores + z.context + z.v)}});
    if (m.dropout) kernels.push_back(stream(5 * z.scores));
    append(kernels, {stream(6 * z.scores),
                     {z.qk_flops, 2 * (z.scores + z.k + z.q)},
                     {z.qk_flops, 2 * (z.scores + z.q + z.k)}});
  }
  kernels.push_back(stream(4 * (z.q + z.k + z.v)));
  if (m.latent()) kernels.push_back(stream(key_copy_bytes(m, z)));
  append_inner_norms(kernels, m, z, 10);  // dx and gamma's gradient, as norms do
  bias(m.has_biases() || m.qkv_bias, z.q + z.k + z.v);
  const Linears linears = qkv_linears(m, z.tokens);
  for (auto linear = linears.rbegin(); linear != linears.rend(); ++linear)
    kernels.push_back(linear->each(gemm));
  append_norm_backward(kernels, z.x);
  return kernels;
}

Kernels general_weight_grad_kernels(const Model& m, int b) {
  const Widths z(m, b);
  Kernels kernels;
  for (const Linear& linear : qkv_linears(m, z.tokens)) kernels.push_back(linear.each(weight_grad));
  kernels.push_back(weight_grad(z.tokens, m.hidden, m.context_width()));
  if (m.experts > 0) kernels.push_back(router(m, z.tokens).each(weight_grad));
  for (const Mlp& mlp : mlps(m, z.tokens))
    append(kernels, {mlp.in.each(weight_grad), mlp.out.each(weight_grad)});
  return kernels;
}

EncoderKernels encoder_kernels(const Model& m, int b) {
  if (!m.encoder) return {};
  const Widths z(m, b);
  EncoderKernels all;
  all.embedding_forward = {stream(6 * z.x), stream(4 * z.x)};  // segments; norm
  append_norm_backward(all.embedding_backward, z.x);
  all.embedding_backward.push_back(stream(2 * z.x));  // segments: a sum over the tokens
  all.head_forward = {gemm(z.tokens, m.hidden, m.hidden), stream(4 * z.x)};  // GELU
  all.head_input_grad = {stream(6 * z.x), gemm(z.tokens, m.hidden, m.hidden)};
  all.head_weight_grad = {weight_grad(z.tokens, m.hidden, m.hidden)};
  return all;
}

std::vector<std::string> layer_assumptions(const Model& m) {
  std::vector<std::string> lines;
  if (m.experts > 0) {
    const std::string shared =
        m.shared_experts > 0 ? fmt::format(" and {} shared", m.shared_experts) : "";
    const std::string dense =
        m.dense_layers > 0 ? fmt::format("; the first {} layers are dense", m.dense_layers) : "";
    lines.push_back(fmt::format(
        "experts: {} of {}{} for each token, all of a layer on its rank, tokens spread evenly, one "
        "grouped GEMM at the matmul rate; no expert parallelism (all-to-all), capacity limit or "
        "router loss (assumed){}",
        m.experts_per_token, m.experts, shared, dense));
  }
  if (m.latent()) {
    lines.push_back(fmt::format(
        "latent attention: keys and values of {} heads expanded from rank {} in training; rotary "
        "positions not counted (assumed)",
        m.heads, m.kv_lora_rank));
  }
  if (m.encoder) {
    lines.push_back(
        "encoder: output layer for every token, as Megatron-LM does; pooler and next-sentence loss "
        "take no time (assumed)");
  }
  return lines;
}

}  // namespace stagesim
