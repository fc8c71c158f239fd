#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stagesim {

// A character-level language model of residual blocks x + W2 tanh(W1 x + b1) + b2, in double
// precision. Block 0 looks up `context` characters first, hidden / context numbers each; the last
// one adds the output layer and the mean cross entropy of the next character.
struct TrainShape {
  int blocks = 1, vocab = 0;
  int hidden = 32, context = 8;  // the second divides the first
  int samples = 16;              // of a micro-batch
};

using Numbers = std::vector<double>;

// [samples * context] characters and the [samples] that follow them, as numbers below vocab.
struct TrainSample {
  std::vector<int> characters{}, next{};
};

// The micro-batches of a run, drawn from a text: the same number is always the same micro-batch.
class TrainText {
 public:
  // Throws InputError where the text is shorter than context + 2 characters or all the same.
  TrainText(std::string_view text, std::uint64_t seed);
  int vocab() const { return vocab_; }
  TrainSample sample(const TrainShape& shape, int microbatch) const;

 private:
  std::vector<int> characters_;
  int vocab_ = 0;
  std::uint64_t seed_;
};

// Sentences of a small grammar: what a model of a few thousand weights can learn.
std::string generated_text(std::uint64_t seed, std::size_t characters);

// All weights of one block in one list.
std::size_t weight_count(const TrainShape& shape, int block);
Numbers initial_weights(const TrainShape& shape, int block, std::uint64_t seed);

// What a block keeps of one micro-batch from its forward to its weight gradient.
struct Kept {
  Numbers x{}, a{}, out{}, probabilities{};   // forward: input, tanh; last block: output, softmax
  Numbers d_out{}, d_z{}, d_x{}, d_logits{};  // input gradient
};

// Fills `kept` and y, the input of the next block; of the last block it returns the loss.
double forward(const TrainShape& shape, int block, const Numbers& weights,
               const TrainSample& sample, const Numbers& x, Kept& kept, Numbers& y);
// d_y: of y; not read of the last block. Fills kept and d_x, the gradient of x. The weights may be
// newer than those of the forward.
void input_gradient(const TrainShape& shape, int block, const Numbers& weights,
                    const TrainSample& sample, const Numbers& d_y, Kept& kept, Numbers& d_x);
// Adds to `gradient`, which has weight_count numbers.
void weight_gradient(const TrainShape& shape, int block, const TrainSample& sample,
                     const Kept& kept, Numbers& gradient);

}  // namespace stagesim
