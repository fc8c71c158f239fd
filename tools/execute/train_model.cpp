#include "tools/execute/train_model.hpp"

#include <array>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <map>

#include "sim/base/error.hpp"

namespace stagesim {
namespace {

using Engine = boost::random::mt19937_64;

// Where the parts of a block's weights begin.
struct Layout {
  Layout(const TrainShape& s, int block)
      : h(static_cast<std::size_t>(s.hidden)), v(static_cast<std::size_t>(s.vocab)) {
    const bool first = block == 0, last = block + 1 == s.blocks;
    width = h / static_cast<std::size_t>(s.context);
    w1 = embedding + (first ? v * width : 0);
    b1 = w1 + h * h;
    w2 = b1 + h;
    b2 = w2 + h * h;
    output = b2 + h;
    output_bias = output + (last ? h * v : 0);
    count = output_bias + (last ? v : 0);
  }
  std::size_t h, v, width = 0;
  std::size_t embedding = 0, w1, b1, w2, b2, output, output_bias, count;
};

std::size_t samples(const TrainShape& s) { return static_cast<std::size_t>(s.samples); }

// y[n][j] += sum over i of x[n][i] w[i][j]
void add_product(const Numbers& x, const double* w, std::size_t rows, std::size_t in,
                 std::size_t out, Numbers& y) {
  for (std::size_t n = 0; n < rows; ++n) {
    for (std::size_t i = 0; i < in; ++i) {
      const double factor = x[n * in + i];
      for (std::size_t j = 0; j < out; ++j) y[n * out + j] += factor * w[i * out + j];
    }
  }
}

// x[n][i] += sum over j of y[n][j] w[i][j]
void add_product_transposed(const Numbers& y, const double* w, std::size_t rows, std::size_t in,
                            std::size_t out, Numbers& x) {
  for (std::size_t n = 0; n < rows; ++n) {
    for (std::size_t i = 0; i < in; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < out; ++j) sum += y[n * out + j] * w[i * out + j];
      x[n * in + i] += sum;
    }
  }
}

// w[i][j] += sum over n of x[n][i] d[n][j], b[j] += sum over n of d[n][j]
void add_outer(const Numbers& x, const Numbers& d, std::size_t rows, std::size_t in,
               std::size_t out, double* w, double* b) {
  for (std::size_t n = 0; n < rows; ++n) {
    for (std::size_t j = 0; j < out; ++j) b[j] += d[n * out + j];
    for (std::size_t i = 0; i < in; ++i) {
      const double factor = x[n * in + i];
      for (std::size_t j = 0; j < out; ++j) w[i * out + j] += factor * d[n * out + j];
    }
  }
}

void add_bias(const double* b, std::size_t rows, std::size_t out, Numbers& y) {
  for (std::size_t n = 0; n < rows; ++n)
    for (std::size_t j = 0; j < out; ++j) y[n * out + j] += b[j];
}

// Softmax of the logits in place; the mean of -log of the right ones.
double softmax(Numbers& logits, const std::vector<int>& right, std::size_t v) {
  double loss = 0;
  for (std::size_t n = 0; n < right.size(); ++n) {
    double* row = &logits[n * v];
    double most = row[0], sum = 0;
    for (std::size_t j = 1; j < v; ++j) most = std::max(most, row[j]);
    for (std::size_t j = 0; j < v; ++j) sum += row[j] = std::exp(row[j] - most);
    for (std::size_t j = 0; j < v; ++j) row[j] /= sum;
    loss -= std::log(row[static_cast<std::size_t>(right[n])]);
  }
  return loss / static_cast<double>(right.size());
}

}  // namespace

TrainText::TrainText(std::string_view text, std::uint64_t seed) : seed_(seed) {
  std::map<char, int> numbers;
  for (const char c : text) numbers.emplace(c, 0);
  for (auto& [c, number] : numbers) number = vocab_++;
  for (const char c : text) characters_.push_back(numbers[c]);
  const std::size_t least = static_cast<std::size_t>(TrainShape{}.context) + 2;
  if (characters_.size() < least || vocab_ < 2) {
    throw InputError(fmt::format(
        "the text to train on has {} characters, {} of them different; expected at least {} and 2",
        characters_.size(), vocab_, least));
  }
}

TrainSample TrainText::sample(const TrainShape& shape, int microbatch) const {
  Engine engine(seed_ * 1'000'003 + static_cast<std::uint64_t>(microbatch));
  const auto context = static_cast<std::size_t>(shape.context);
  boost::random::uniform_int_distribution<std::size_t> place(0, characters_.size() - context - 1);
  TrainSample sample;
  for (std::size_t n = 0; n < samples(shape); ++n) {
    const std::size_t at = place(engine);
    for (std::size_t k = 0; k < context; ++k) sample.characters.push_back(characters_[at + k]);
    sample.next.push_back(characters_[at + context]);
  }
  return sample;
}

std::string generated_text(std::uint64_t seed, std::size_t characters) {
  constexpr std::array<const char*, 6> who = {"the cat",  "a dog",    "one bird",
                                              "the fish", "my horse", "an owl"};
  constexpr std::array<const char*, 6> does = {" sees ",  " hears ", " follows ",
                                               " finds ", " likes ", " leaves "};
  Engine engine(seed);
  boost::random::uniform_int_distribution<std::size_t> draw(0, 5);
  std::string text;
  while (text.size() < characters) {
    text += who[draw(engine)];
    text += does[draw(engine)];
    text += who[draw(engine)];
    text += ". ";
  }
  text.resize(characters);
  return text;
}

std::size_t weight_count(const TrainShape& shape, int block) { return Layout(shape, block).count; }

Numbers initial_weights(const TrainShape& shape, int block, std::uint64_t seed) {
  const Layout l(shape, block);
  Engine engine(seed * 65'537 + static_cast<std::uint64_t>(block));
  boost::random::normal_distribution<double> normal;
  Numbers weights(l.count, 0.0);
  const auto fill = [&](std::size_t from, std::size_t to, double scale) {
    for (std::size_t i = from; i < to; ++i) weights[i] = scale * normal(engine);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(l.h));
  fill(l.embedding, l.w1, 1);
  fill(l.w1, l.b1, scale);
  fill(l.w2, l.b2, scale / std::sqrt(static_cast<double>(shape.blocks)));
  fill(l.output, l.output_bias, scale);
  return weights;
}

double forward(const TrainShape& shape, int block, const Numbers& weights,
               const TrainSample& sample, const Numbers& x, Kept& kept, Numbers& y) {
  const Layout l(shape, block);
  const std::size_t rows = samples(shape);
  kept.x = x;
  if (block == 0) {
    kept.x.resize(rows * l.h);
    for (std::size_t k = 0; k < sample.characters.size(); ++k) {
      const auto c = static_cast<std::size_t>(sample.characters[k]);
      for (std::size_t i = 0; i < l.width; ++i)
        kept.x[k * l.width + i] = weights[l.embedding + c * l.width + i];
    }
  }
  kept.a.assign(rows * l.h, 0);
  add_product(kept.x, &weights[l.w1], rows, l.h, l.h, kept.a);
  add_bias(&weights[l.b1], rows, l.h, kept.a);
  for (double& a : kept.a) a = std::tanh(a);
  y = kept.x;
  add_product(kept.a, &weights[l.w2], rows, l.h, l.h, y);
  add_bias(&weights[l.b2], rows, l.h, y);
  if (block + 1 < shape.blocks) return 0;
  kept.out = y;
  kept.probabilities.assign(rows * l.v, 0);
  add_product(kept.out, &weights[l.output], rows, l.h, l.v, kept.probabilities);
  add_bias(&weights[l.output_bias], rows, l.v, kept.probabilities);
  return softmax(kept.probabilities, sample.next, l.v);
}

void input_gradient(const TrainShape& shape, int block, const Numbers& weights,
                    const TrainSample& sample, const Numbers& d_y, Kept& kept, Numbers& d_x) {
  const Layout l(shape, block);
  const std::size_t rows = samples(shape);
  if (block + 1 == shape.blocks) {
    kept.d_logits = kept.probabilities;
    for (std::size_t n = 0; n < rows; ++n)
      kept.d_logits[n * l.v + static_cast<std::size_t>(sample.next[n])] -= 1;
    for (double& d : kept.d_logits) d /= static_cast<double>(rows);
    kept.d_out.assign(rows * l.h, 0);
    add_product_transposed(kept.d_logits, &weights[l.output], rows, l.h, l.v, kept.d_out);
  } else {
    kept.d_out = d_y;
  }
  kept.d_z.assign(rows * l.h, 0);
  add_product_transposed(kept.d_out, &weights[l.w2], rows, l.h, l.h, kept.d_z);
  for (std::size_t i = 0; i < kept.d_z.size(); ++i) kept.d_z[i] *= 1 - kept.a[i] * kept.a[i];
  kept.d_x = kept.d_out;
  add_product_transposed(kept.d_z, &weights[l.w1], rows, l.h, l.h, kept.d_x);
  d_x = kept.d_x;
}

void weight_gradient(const TrainShape& shape, int block, const TrainSample& sample,
                     const Kept& kept, Numbers& gradient) {
  const Layout l(shape, block);
  const std::size_t rows = samples(shape);
  add_outer(kept.x, kept.d_z, rows, l.h, l.h, &gradient[l.w1], &gradient[l.b1]);
  add_outer(kept.a, kept.d_out, rows, l.h, l.h, &gradient[l.w2], &gradient[l.b2]);
  if (block == 0) {
    for (std::size_t k = 0; k < sample.characters.size(); ++k) {
      const auto c = static_cast<std::size_t>(sample.characters[k]);
      for (std::size_t i = 0; i < l.width; ++i)
        gradient[l.embedding + c * l.width + i] += kept.d_x[k * l.width + i];
    }
  }
  if (block + 1 == shape.blocks) {
    add_outer(kept.out, kept.d_logits, rows, l.h, l.v, &gradient[l.output],
              &gradient[l.output_bias]);
  }
}

}  // namespace stagesim
