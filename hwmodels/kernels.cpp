#include "hwmodels/kernels.hpp"

namespace stagesim {
namespace {

// Sizes of one micro-batch, in elements. Activations and weights take 2 bytes, dropout masks 1,
// logits and gradients of weights 4.
struct Sizes {
  Sizes(const Model& m, int b)
      : tokens(static_cast<double>(b) * m.seq),
        hidden(m.hidden),
        kv(m.kv_width()),
        ffn(m.ffn_width()),
        x(tokens * hidden),
        scores(tokens * m.seq * m.heads),
        core_flops(2 * tokens * m.seq * hidden),
        logits(tokens * m.vocab),
        embedding(static_cast<double>(m.vocab) * hidden),
        mask(m.dropout ? 1 : 0) {}

  double tokens, hidden, kv, ffn;
  double x;           // one activation, tokens x hidden
  double scores;      // b a s^2
  double core_flops;  // of one of the attention core's GEMMs, 2 b s^2 h
  double logits;
  double embedding;
  double mask;  // bytes of dropout mask per element
};

void append(Kernels& to, const Kernels& more) { to.insert(to.end(), more.begin(), more.end()); }

// Backward of a layer norm and the residual branch beside it: dx reads dy and x; gamma and beta
// (RMSNorm: gamma) read both again; the residual gradient is added to dx.
void append_norm_backward(Kernels& kernels, const Sizes& z) {
  append(kernels, {stream(6 * z.x), stream(4 * z.x), stream(6 * z.x)});
}

}  // namespace

Kernel gemm(double m, double n, double k) { return {2 * m * n * k, 2 * (m * k + k * n + m * n)}; }

Kernel weight_grad(double m, double n, double k) {
  return {2 * m * n * k, 2 * (m * k + m * n) + 8 * k * n};
}

Kernel stream(double bytes) { return {0, bytes}; }

Kernels attention_core_forward_kernels(const Model& model, int b) {
  if (!ordinary_layer(model)) return general_core_forward_kernels(model, b);
  const Sizes z(model, b);
  const double kv = z.tokens * z.kv;
  if (model.flash) {  // reads Q, K, V, writes O; half of the scores under a causal mask
    return {{2 * z.core_flops * (model.causal ? 0.5 : 1), 2 * (2 * z.x + 2 * kv)}};
  }
  Kernels kernels = {{z.core_flops, 2 * (z.x + kv + z.scores)},  // Q K^T
                     stream(4 * z.scores)};                      // scale, mask and softmax in one
  if (model.dropout) kernels.push_back(stream(5 * z.scores));    // reads, writes, and the mask
  kernels.push_back({z.core_flops, 2 * (z.scores + kv + z.x)});  // probabilities x V
  return kernels;
}

Kernels layer_forward_kernels(const Model& model, int b) {
  if (!ordinary_layer(model)) return general_forward_kernels(model, b);
  const Sizes z(model, b);
  const double up = model.gated ? 2 * z.ffn : z.ffn;  // gate and up projection in one GEMM
  Kernels kernels = {stream(4 * z.x),                 // norm
                     gemm(z.tokens, z.hidden + 2 * z.kv, z.hidden)};
  append(kernels, attention_core_forward_kernels(model, b));
  if (!model.flash) kernels.push_back(stream(4 * z.x));  // heads back into rows
  append(kernels, {gemm(z.tokens, z.hidden, z.hidden),
                   stream((6 + z.mask) * z.x),  // bias, dropout, residual: two reads, one write
                   stream(4 * z.x),             // norm
                   gemm(z.tokens, up, z.hidden),
                   stream(2 * z.tokens * (up + z.ffn)),  // GELU or SwiGLU
                   gemm(z.tokens, z.hidden, z.ffn), stream((6 + z.mask) * z.x)});
  return kernels;
}

Kernels layer_input_grad_kernels(const Model& model, int b) {
  if (!ordinary_layer(model)) return general_input_grad_kernels(model, b);
  const Sizes z(model, b);
  const double kv = z.tokens * z.kv, qkv = z.x + 2 * kv;
  const double up = model.gated ? 2 * z.ffn : z.ffn;
  Kernels kernels;
  const auto bias = [&](double elements) {  // its gradient: a sum over the tokens
    if (!model.gated) kernels.push_back(stream(2 * elements));
  };
  const auto dropout = [&] {  // reads dy and mask, writes
    if (model.dropout) kernels.push_back(stream(5 * z.x));
    bias(z.x);
  };
  dropout();
  kernels.push_back(gemm(z.tokens, z.hidden, z.ffn));
  kernels.push_back(stream(2 * z.tokens * (z.ffn + 2 * up)));  // reads dy and x, writes dx
  bias(z.tokens * up);
  kernels.push_back(gemm(z.tokens, up, z.hidden));
  append_norm_backward(kernels, z);
  dropout();
  kernels.push_back(gemm(z.tokens, z.hidden, z.hidden));
  if (model.flash) {
    // Row sums of dO x O; then five GEMMs instead of two, because the scores are computed again:
    // reads Q, O, dO, K, V, writes dQ, dK, dV.
    kernels.push_back(stream(4 * z.x));
    kernels.push_back({5 * z.core_flops * (model.causal ? 0.5 : 1), 2 * (4 * z.x + 4 * kv)});
  } else {
    kernels.push_back(stream(4 * z.x));                            // rows into heads
    kernels.push_back({z.core_flops, 2 * (z.x + kv + z.scores)});  // d probabilities
    kernels.push_back({z.core_flops, 2 * (z.scores + z.x + kv)});  // dV
    if (model.dropout) kernels.push_back(stream(5 * z.scores));
    kernels.push_back(stream(6 * z.scores));                       // softmax: reads dy and y
    kernels.push_back({z.core_flops, 2 * (z.scores + kv + z.x)});  // dQ
    kernels.push_back({z.core_flops, 2 * (z.scores + z.x + kv)});  // dK
  }
  kernels.push_back(stream(4 * qkv));  // dQ, dK, dV side by side
  bias(qkv);
  kernels.push_back(gemm(z.tokens, z.hidden + 2 * z.kv, z.hidden));
  append_norm_backward(kernels, z);
  return kernels;
}

Kernels layer_weight_grad_kernels(const Model& model, int b) {
  if (!ordinary_layer(model)) return general_weight_grad_kernels(model, b);
  const Sizes z(model, b);
  const double up = model.gated ? 2 * z.ffn : z.ffn;
  return {weight_grad(z.tokens, z.hidden + 2 * z.kv, z.hidden),
          weight_grad(z.tokens, z.hidden, z.hidden), weight_grad(z.tokens, up, z.hidden),
          weight_grad(z.tokens, z.hidden, z.ffn)};
}

Kernels embedding_forward_kernels(const Model& model, int b) {
  const Sizes z(model, b);
  Kernels kernels = {stream(4 * z.x)};                                // gathers rows
  if (model.position_rows() > 0) kernels.push_back(stream(6 * z.x));  // adds the positions
  append(kernels, encoder_kernels(model, b).embedding_forward);
  if (model.dropout) kernels.push_back(stream(5 * z.x));
  return kernels;
}

Kernels embedding_backward_kernels(const Model& model, int b) {
  const Sizes z(model, b);
  Kernels kernels;
  if (model.dropout) kernels.push_back(stream(5 * z.x));
  append(kernels, encoder_kernels(model, b).embedding_backward);
  // Autograd clears a 16-bit gradient of the whole table, scatters into it (reads dy, reads and
  // writes a row) and adds it to the fp32 gradient.
  append(kernels, {stream(2 * z.embedding), stream(6 * z.x), stream(10 * z.embedding)});
  if (model.position_rows() > 0)
    kernels.push_back(stream(2 * z.x));  // positions: a sum over the sequences
  return kernels;
}

Kernels head_forward_kernels(const Model& model, int b) {
  const Sizes z(model, b);
  Kernels kernels = encoder_kernels(model, b).head_forward;
  append(kernels, {stream(4 * z.x), gemm(z.tokens, model.vocab, z.hidden),
                   stream(6 * z.logits),    // to fp32
                   stream(4 * z.logits),    // maximum
                   stream(8 * z.logits),    // minus maximum
                   stream(8 * z.logits),    // exp
                   stream(4 * z.logits),    // sum
                   stream(8 * z.logits)});  // divided by the sum, kept for the backward
  return kernels;
}

Kernels head_input_grad_kernels(const Model& model, int b) {
  const Sizes z(model, b);
  Kernels kernels = {stream(8 * z.logits),  // softmax minus one-hot, times the loss scale
                     stream(6 * z.logits),  // to 16 bits
                     gemm(z.tokens, model.vocab, z.hidden), stream(6 * z.x), stream(4 * z.x)};
  append(kernels, encoder_kernels(model, b).head_input_grad);
  return kernels;
}

Kernels head_weight_grad_kernels(const Model& model, int b) {
  const Sizes z(model, b);
  Kernels kernels = {weight_grad(z.tokens, model.vocab, z.hidden)};
  append(kernels, encoder_kernels(model, b).head_weight_grad);
  return kernels;
}

}  // namespace stagesim
