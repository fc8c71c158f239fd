// Vocabulary Parallelism, arXiv 2411.05288: the authors' artifact gives the profiled forward and
// backward time of each stage and the measured iteration of plain 1F1B, 8 A100-80GB of one host,
// 128 micro-batches of one sequence, 32 layers, hidden 3072, 24 heads. BASELINE splits the layers
// evenly, REDIS takes layers off the last stage. What is predicted: the iteration from the given
// stage times (the replay), and the stage times from the model and the A100 profile (the costs).

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "hwmodels/stage_costs.hpp"
#include "tests/papers/paper_table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/runs.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

constexpr int kRanks = 8, kMicrobatches = 128;

struct Row {
  const char* method;
  int vocab, seq;
  std::vector<int> layers;  // BASELINE: given; REDIS: from the forward times
  std::vector<double> forward_ms, backward_ms;
  double iteration_ms;
};

const std::vector<Row> kRows = {
    {"BASELINE",
     256000,
     2048,
     {4, 4, 4, 4, 4, 4, 4, 4},
     {10.572, 10.591, 10.475, 10.725, 10.36, 10.444, 10.381, 36.818},
     {25.185, 21.108, 20.737, 21.143, 20.805, 21.03, 20.827, 52.363},
     11722.2},
    {"REDIS",
     256000,
     2048,
     {4, 4, 4, 5, 5, 5, 5, 0},
     {10.627, 10.656, 10.606, 13.501, 13.327, 13.257, 13.2, 26.019},
     {25.401, 21.22, 20.851, 26.906, 26.392, 26.589, 26.431, 30.535},
     7599.2},
    {"BASELINE",
     64000,
     2048,
     {4, 4, 4, 4, 4, 4, 4, 4},
     {10.727, 10.694, 10.656, 10.618, 10.527, 10.637, 10.45, 17.748},
     {22.614, 21.304, 21.212, 21.117, 21.227, 21.45, 21.016, 29.803},
     6409.5},
    {"REDIS",
     64000,
     2048,
     {4, 4, 4, 4, 4, 4, 5, 3},
     {10.881, 10.88, 10.913, 10.679, 10.641, 10.789, 13.773, 14.876},
     {22.845, 21.465, 21.517, 21.361, 21.373, 21.717, 27.57, 24.031},
     5595.5},
    {"BASELINE",
     256000,
     4096,
     {4, 4, 4, 4, 4, 4, 4, 4},
     {24.223, 23.749, 23.346, 23.621, 23.47, 23.433, 23.65, 76.548},
     {50.416, 45.615, 45.146, 45.292, 45.518, 45.198, 45.715, 106.804},
     23959.4},
    {"REDIS",
     256000,
     4096,
     {4, 4, 4, 5, 5, 5, 5, 0},
     {24.391, 23.909, 23.369, 30.201, 29.923, 30.086, 30.028, 52.733},
     {50.764, 46.045, 45.464, 58.007, 57.927, 58.11, 58.271, 58.574},
     14900.5},
    {"BASELINE",
     64000,
     4096,
     {4, 4, 4, 4, 4, 4, 4, 4},
     {24.329, 23.758, 23.736, 23.767, 23.476, 23.858, 23.614, 37.916},
     {47.796, 45.588, 45.945, 46.077, 45.503, 45.803, 45.772, 63.819},
     13577.1},
    {"REDIS",
     64000,
     4096,
     {4, 4, 4, 4, 4, 4, 5, 3},
     {24.488, 23.783, 23.836, 23.906, 23.586, 23.922, 30.213, 31.623},
     {48.235, 45.992, 46.252, 46.482, 45.867, 46.311, 60.048, 51.291},
     12151.5},
};

Nanos from_ms(double ms) { return rounded_nanos(ms * 1e6); }

// The replay of plain 1F1B; blocking: every group of sends and receives stops the rank, at the
// A100's measured NVLink times.
double iteration_ms(const Row& row, bool blocking) {
  const Schedule s = make({"1f1b", kRanks, kMicrobatches});
  Costs costs;
  for (std::size_t i = 0; i < row.layers.size(); ++i) {
    costs.stages.push_back({.forward = from_ms(row.forward_ms[i]),
                            .backward = from_ms(row.backward_ms[i]),
                            .input_grad = {},
                            .weight_grad = {}});
  }
  if (blocking) {
    const LinkProfile& link = link_profile(gpu_profile("a100-sxm-80gb"), "nvlink3");
    std::vector<StageBytes> bytes(row.layers.size());
    for (StageBytes& stage : bytes) stage.message = std::int64_t{2} * row.seq * 3072;
    costs.links = {link_costs(link, bytes)};
    costs.comm = CommMode::kBlocking;
  }
  return to_ms(longest_rank_span(replay(lower(s, costs))));
}

StageEstimate predicted_stages(const Row& row) {
  Model model;
  model.name = "vocabulary parallelism 4B";
  model.layers = 32;
  model.hidden = 3072;
  model.heads = 24;
  model.vocab = row.vocab;
  model.seq = row.seq;
  model.flash = true;
  model.tied = false;
  model.dropout = false;
  return transformer_stages(model, gpu_profile("a100-sxm-80gb"), {row.layers, 1}, 0);
}

struct StageErrors {
  Errors middle, last;
};
StageErrors stage_errors() {
  StageErrors errors;
  for (const Row& row : kRows) {
    const StageEstimate stages = predicted_stages(row);
    for (std::size_t s = 1; s < row.layers.size(); ++s) {  // stage 0 also reads the data
      Errors& to = s + 1 == row.layers.size() ? errors.last : errors.middle;
      to.add(to_ms(stages.costs[s].forward + stages.costs[s].backward),
             row.forward_ms[s] + row.backward_ms[s]);
    }
  }
  return errors;
}

}  // namespace

TEST_CASE("measured iterations of plain 1F1B from profiled stage times", "[papers]") {
  for (const Row& row : kRows) {
    INFO(row.method << " vocab " << row.vocab << " seq " << row.seq);
    CHECK(std::abs(iteration_ms(row, false) / row.iteration_ms - 1) < 0.016);
    // 1.3 % is met by all but one: 1.4 % at BASELINE, vocabulary 64000, sequence 2048.
    CHECK(std::abs(iteration_ms(row, true) / row.iteration_ms - 1) < 0.0145);
  }
}

TEST_CASE("stage times of an A100 from model and profile", "[papers]") {
  const StageErrors errors = stage_errors();
  // One of 48 misses 6 %: the five layers of stage 6, REDIS 64000, whose given time is 2 % above
  // that of the other stages per layer.
  CHECK(std::count_if(errors.middle.percent.begin(), errors.middle.percent.end(),
                      [](double e) { return std::abs(e) > 6; }) == 1);
  CHECK(errors.middle.max_size() < 6.5);
  CHECK(errors.middle.median_size() < 3);
  CHECK(errors.last.max_size() < 8);
}

TEST_CASE("the table of vocabulary parallelism is up to date", "[papers]") {
  std::string text =
      "Plain 1F1B of arXiv 2411.05288, artifact, 8 A100-80GB, 128 micro-batches: measured and "
      "predicted.\n\n"
      "                            iteration ms, from the given stage times     F + B of a stage, "
      "ms, "
      "from model and profile\n"
      "method    vocab   seq  measured  no transfers      blocking          middle given predicted "
      " "
      "    last given predicted\n";
  Errors free, blocking;
  for (const Row& row : kRows) {
    const StageEstimate stages = predicted_stages(row);
    const auto f_and_b = [&](std::size_t s) {
      return to_ms(stages.costs[s].forward + stages.costs[s].backward);
    };
    const double middle = row.forward_ms[1] + row.backward_ms[1];
    const double last = row.forward_ms[7] + row.backward_ms[7];
    const double alone = iteration_ms(row, false), blocked = iteration_ms(row, true);
    text += fmt::format(
        "{:8} {:6} {:5} {:9.1f} {:9.1f} {:+.1f} % {:9.1f} {:+.1f} % {:13.2f} {:6.2f} {:+.1f} % "
        "{:13.2f} {:6.2f} {:+.1f} %\n",
        row.method, row.vocab, row.seq, row.iteration_ms, alone, free.add(alone, row.iteration_ms),
        blocked, blocking.add(blocked, row.iteration_ms), middle, f_and_b(1),
        100 * (f_and_b(1) / middle - 1), last, f_and_b(7), 100 * (f_and_b(7) / last - 1));
  }
  const StageErrors errors = stage_errors();
  text += fmt::format(
      "\niteration, no transfers: {}\niteration, blocking:     {}\n"
      "middle stages:           {}\nlast stages:             {}\n"
      "Stage times rest on the A100 profile (no constant fitted to these rows); fused attention is "
      "inferred from the given times.\n",
      free.summary(), blocking.summary(), errors.middle.summary(), errors.last.summary());
  check_table("vocab_parallel", text);
}
