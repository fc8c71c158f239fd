#include <cmath>

#include "sim/versions.hpp"
#include "tests/execute/short_costs.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"
#include "tools/execute/train.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

const TrainText& text() {
  static const TrainText made(generated_text(3, 2000), 3);
  return made;
}

TrainSetup setup(int blocks) {
  return {.shape = {.blocks = blocks, .vocab = text().vocab(), .hidden = 16, .samples = 4},
          .text = &text()};
}

struct Result {
  Schedule schedule;
  Trained trained;
  std::vector<std::int32_t> predicted;
};

Result train_with(const Wanted& wanted, int blocks) {
  Result result;
  result.schedule = make(wanted);
  const Program program = lower(result.schedule, unit_costs(result.schedule.shape.stages, 1, 2));
  result.predicted = versions(replay(program)).version;
  Timeline measured;
  result.trained = train(program, setup(blocks), {}, measured);
  return result;
}

// One block after the other, as one device would.
double loss_of(const TrainShape& shape, const BlockWeights& weights, const TrainSample& sample) {
  Numbers x, y;
  Kept kept;
  double loss = 0;
  for (int b = 0; b < shape.blocks; ++b) {
    loss = forward(shape, b, weights[std::size_t(b)], sample, x, kept, y);
    x = y;
  }
  return loss;
}

}  // namespace

TEST_CASE("gradients are the slopes of the loss", "[train]") {
  const TrainSetup s = setup(3);
  BlockWeights weights;
  for (int b = 0; b < 3; ++b) weights.push_back(initial_weights(s.shape, b, 5));
  const TrainSample sample = text().sample(s.shape, 0);
  // The gradient, block by block.
  std::vector<Kept> kept(3);
  Numbers x, y;
  for (int b = 0; b < 3; ++b) {
    forward(s.shape, b, weights[std::size_t(b)], sample, x, kept[std::size_t(b)], y);
    x = y;
  }
  Numbers d;
  for (int b = 2; b >= 0; --b) {
    const auto at = std::size_t(b);
    Numbers d_x;
    input_gradient(s.shape, b, weights[at], sample, d, kept[at], d_x);
    d = d_x;
    Numbers gradient(weights[at].size(), 0.0);
    weight_gradient(s.shape, b, sample, kept[at], gradient);
    for (std::size_t i = 0; i < gradient.size(); i += 7) {
      const double step = 1e-5, own = weights[at][i];
      weights[at][i] = own + step;
      const double above = loss_of(s.shape, weights, sample);
      weights[at][i] = own - step;
      const double below = loss_of(s.shape, weights, sample);
      weights[at][i] = own;
      CHECK(gradient[i] == Approx((above - below) / (2 * step)).margin(1e-8).epsilon(1e-4));
    }
  }
}

TEST_CASE("schedules with a flush train as one device does", "[train]") {
  // p = 4, 8 micro-batches a step, 5 steps.
  for (const char* name :
       {"gpipe", "1f1b", "interleaved-1f1b", "looped-bfs", "zb-h1", "zb-h2", "zb-v", "v-half",
        "chimera", "dualpipe", "dualpipev", "hanayo", "bitpipe", "gems", "amdp-sync"}) {
    CAPTURE(name);
    const Result r = train_with({name, 4, 8, 5}, 16);
    const Shape& shape = r.schedule.shape;
    const Trained alone = train_alone(setup(16), shape.microbatches, shape.window, true);
    CHECK(r.trained.version == r.predicted);
    CHECK(worst_difference(r.trained.weights, alone.weights) < 1e-12);
    REQUIRE(r.trained.gradient.size() == alone.gradient.size());
    for (std::size_t w = 0; w < alone.gradient.size(); ++w)
      CHECK(worst_difference(r.trained.gradient[w], alone.gradient[w]) < 1e-11);
    for (std::size_t m = 0; m < alone.loss.size(); ++m)
      CHECK(r.trained.loss[m] == Approx(alone.loss[m]).epsilon(1e-12));
  }
}

TEST_CASE("asynchronous schedules use the versions that were predicted", "[train]") {
  for (const char* name :
       {"pipedream", "pipedream-vsync", "pipedream-2bw", "xpipe", "paci", "amdp"}) {
    CAPTURE(name);
    const Result r = train_with({name, 4, 8, 6}, 4);
    CHECK(r.trained.version == r.predicted);
    CHECK(std::all_of(r.trained.loss.begin(), r.trained.loss.end(),
                      [](double loss) { return std::isfinite(loss) && loss > 0; }));
  }
  const Result replicated = train_with({"amdp", 4, 8, 6, 8, {{"optimizer", "replicated"}}}, 4);
  CHECK(replicated.trained.version == replicated.predicted);
  CHECK(replicated.trained.loss == train_with({"amdp", 4, 8, 6}, 4).trained.loss);
}

TEST_CASE("2BW takes its gradients at the weights of the window before", "[train]") {
  // W(w + 1) = W(w) - rate g_w(W(max(w - 1, 0))), PipeDream-2BW (arXiv 2006.09503) section 3.1, on
  // one device.
  const int windows = 6, window = 8;
  const Result r = train_with({"pipedream-2bw", 4, window, windows}, 4);
  const TrainSetup s = setup(4);
  BlockWeights now = train_alone(s, 0, 1, false).weights, before = now;
  for (int w = 0; w < windows; ++w) {
    BlockWeights next = now;
    for (int m = w * window; m < (w + 1) * window; ++m) {
      const TrainSample sample = text().sample(s.shape, m);
      std::vector<Kept> kept(4);
      Numbers x, y;
      for (std::size_t b = 0; b < 4; ++b) {
        forward(s.shape, int(b), before[b], sample, x, kept[b], y);
        x = y;
      }
      Numbers d;
      for (std::size_t b = 4; b-- > 0;) {
        Numbers d_x, gradient(now[b].size(), 0.0);
        input_gradient(s.shape, int(b), before[b], sample, d, kept[b], d_x);
        d = d_x;
        weight_gradient(s.shape, int(b), sample, kept[b], gradient);
        for (std::size_t i = 0; i < gradient.size(); ++i)
          next[b][i] -= s.learning_rate / window * gradient[i];
      }
    }
    before = now;
    now = next;
  }
  CHECK(worst_difference(r.trained.weights, now) < 1e-12);
}

TEST_CASE("PipeDream on one rank is gradient descent micro-batch by micro-batch", "[train]") {
  const Result r = train_with({"pipedream", 1, 1, 12}, 2);
  CHECK(worst_difference(r.trained.weights, train_alone(setup(2), 12, 1, false).weights) < 1e-13);
}

TEST_CASE("a mismatch is felt: AMDP's weights are not those of one device", "[train]") {
  const Result r = train_with({"amdp", 4, 8, 6}, 4);
  const Trained alone = train_alone(setup(4), r.schedule.shape.microbatches, 8, false);
  const double difference = worst_difference(r.trained.weights, alone.weights);
  CHECK(difference > 1e-6);
  CHECK(difference < 0.2);
}

TEST_CASE("the model learns its text", "[train]") {
  const Trained alone = train_alone(setup(2), 3000, 1, false);
  const auto mean = [&](std::size_t from) {
    double sum = 0;
    for (std::size_t m = from; m < from + 200; ++m) sum += alone.loss[m] / 200;
    return sum;
  };
  CHECK(mean(2800) < 0.6 * mean(0));
}

TEST_CASE("a text that cannot be learned from is refused", "[train]") {
  CHECK_THROWS_WITH(TrainText("aaaaaaaaaaaaaaaaaaaaa", 1), contains("1 of them different"));
  CHECK_THROWS_WITH(TrainText("abc", 1), contains("has 3 characters"));
}
