#include "hwmodels/kernels.hpp"

namespace stagesim {
namespace {

// Sizes of one micro-batch at the ends of the model, in elements on one GPU of a tensor split.
// Activations and weights take 2 bytes, dropout masks 1, logits and gradients of weights 4.
struct Sizes {
  Sizes(const Model& m, int b, StageSplit split)
      : tokens(static_cast<double>(b) * m.seq / split.context),
        hidden(m.hidden),
        vocab(1.0 * m.vocab / split.tensor),
        x(tokens * hidden),
        own_x(x / split.sequence()),
        logits(tokens * vocab),
        embedding(vocab * hidden) {}

  double tokens, hidden, vocab;
  double x;      // one activation, tokens x hidden
  double own_x;  // of norms, dropout and residuals
  double logits;
  double embedding;
};

}  // namespace

Kernel gemm(double m, double n, double k) {
  return {2 * m * n * k, 2 * (m * k + k * n + m * n), KernelKind::kPlain, m, n, k};
}

Kernel input_grad(double m, double n, double k) { return gemm(m, k, n); }

Kernel weight_grad(double m, double n, double k) {
  return {2 * m * n * k, 2 * (m * k + m * n) + 8 * k * n, KernelKind::kPlain, n, k, m};
}

Kernel stream(double bytes, KernelKind kind) { return {.flops = 0, .bytes = bytes, .kind = kind}; }

void append(Kernels& to, const Kernels& more) { to.insert(to.end(), more.begin(), more.end()); }

void append_norm_backward(Kernels& kernels, double x) {
  append(kernels, {stream(6 * x, KernelKind::kNormBackward),
                   stream(4 * x, KernelKind::kNormBackward), stream(6 * x)});
}

namespace {

// Of the output layer.
Kernel output(Kernel gemm) {
  gemm.kind = KernelKind::kOutputMatmul;
  return gemm;
}

}  // namespace

Kernels embedding_forward_kernels(const Model& model, int b, StageSplit split) {
  const Sizes z(model, b, split);
  Kernels kernels = {stream(4 * z.x)};                                    // gathers rows
  if (model.position_rows() > 0) kernels.push_back(stream(6 * z.own_x));  // adds the positions
  if (model.encoder)                                                      // segments; norm
    append(kernels, {stream(6 * z.own_x), stream(4 * z.own_x, KernelKind::kNorm)});
  if (model.dropout) kernels.push_back(stream(5 * z.own_x, KernelKind::kDropout));
  return kernels;
}

Kernels embedding_backward_kernels(const Model& model, int b, StageSplit split) {
  const Sizes z(model, b, split);
  Kernels kernels;
  if (model.dropout) kernels.push_back(stream(5 * z.own_x, KernelKind::kDropout));
  if (model.encoder) {
    append_norm_backward(kernels, z.own_x);
    kernels.push_back(stream(2 * z.own_x, KernelKind::kColumnSum));  // segments
  }
  // Autograd clears a 16-bit gradient of the whole table, scatters into it (reads dy, reads and
  // writes a row) and adds it to the fp32 gradient.
  append(kernels, {stream(2 * z.embedding), stream(6 * z.x), stream(10 * z.embedding)});
  if (model.position_rows() > 0)  // a sum over the sequences
    kernels.push_back(stream(2 * z.own_x, KernelKind::kColumnSum));
  return kernels;
}

Kernels head_forward_kernels(const Model& model, int b, StageSplit split) {
  const Sizes z(model, b, split);
  Kernels kernels;
  if (model.encoder)  // the masked-word transform and its GELU
    kernels = {gemm(z.tokens, z.hidden, z.hidden), stream(4 * z.x)};
  append(kernels,
         {stream(4 * z.own_x, KernelKind::kNorm), output(gemm(z.tokens, z.vocab, z.hidden)),
          stream(6 * z.logits, KernelKind::kWiden),  // to fp32
          stream(4 * z.logits),                      // maximum
          stream(8 * z.logits),                      // minus maximum
          stream(8 * z.logits),                      // exp
          stream(4 * z.logits),                      // sum
          stream(8 * z.logits)});                    // divided by the sum, kept for the backward
  return kernels;
}

Kernels head_input_grad_kernels(const Model& model, int b, StageSplit split) {
  const Sizes z(model, b, split);
  Kernels kernels = {stream(8 * z.logits),  // softmax minus one-hot, times the loss scale
                     stream(6 * z.logits),  // to 16 bits
                     output(input_grad(z.tokens, z.vocab, z.hidden)),
                     stream(6 * z.own_x, KernelKind::kNormBackward),
                     stream(4 * z.own_x, KernelKind::kNormBackward)};
  if (model.encoder) append(kernels, {stream(6 * z.x), input_grad(z.tokens, z.hidden, z.hidden)});
  return kernels;
}

Kernels head_weight_grad_kernels(const Model& model, int b, StageSplit split) {
  const Sizes z(model, b, split);
  Kernels kernels = {output(weight_grad(z.tokens, z.vocab, z.hidden))};
  if (model.encoder) kernels.push_back(weight_grad(z.tokens, z.hidden, z.hidden));
  return kernels;
}

}  // namespace stagesim
