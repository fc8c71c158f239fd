#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/support/catch.hpp"
#include "tests/traces/trace_text.hpp"

using namespace stagesim;
using namespace stagesim::test;

namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

MemoryInputs memory_inputs(const Timeline& timeline, StageBytes bytes) {
  const Shape& shape = timeline.shape();
  return {.stages = std::vector<StageBytes>(static_cast<std::size_t>(shape.stages), bytes),
          .weight_copies = std::vector<int>(shape.rank_of_stage.size(), 1)};
}

using Samples = std::vector<std::pair<std::int64_t, double>>;  // ns, value

// By pid and counter name.
std::map<std::pair<int, std::string>, Samples> counters(const TraceText& written) {
  std::map<std::pair<int, std::string>, Samples> result;
  for (const Json& event : written.events("C")) {
    CHECK_FALSE(event.contains("tid"));
    REQUIRE(event.at("args").size() == 1);
    const Json& value = *event.at("args").begin();
    REQUIRE(value.is_number());
    result[{event.at("pid"), event.at("name")}].push_back({nanos(event.at("ts")), value});
  }
  return result;
}

double highest(const Samples& samples) {
  double most = 0;
  for (const auto& [at, value] : samples) most = std::max(most, value);
  return most;
}

}  // namespace

// google/perfetto#140, #316.
TEST_CASE("the memory counter reaches the reported peak and returns to what rests", "[traces]") {
  const Timeline timeline =
      run({.schedule = "1f1b", .ranks = 4, .batch = 8}, unit_costs(4, 1, 2, 0.25));
  const auto inputs = memory_inputs(timeline, {.activation = kGiB, .weights = 3 * kGiB / 2});
  const auto reported = memory(timeline, inputs);
  const auto written = counters(trace(timeline, {}, inputs));
  for (int rank = 0; rank < 4; ++rank) {
    const Samples& samples = written.at({rank + 1, "memory (GiB)"});
    CHECK(highest(samples) == 1.5 + (4 - rank));  // activations of 1F1B: ranks - rank
    CHECK(highest(samples) * kGiB ==
          static_cast<double>(reported[static_cast<std::size_t>(rank)].peak));
    CHECK(samples.back().second == 1.5);
    for (std::size_t i = 1; i < samples.size(); ++i) {
      CHECK(samples[i - 1].first < samples[i].first);
      CHECK(samples[i - 1].second != samples[i].second);
    }
  }
}

TEST_CASE("bytes that are no round part of a GiB come back exactly", "[traces]") {
  const Timeline timeline = run({.schedule = "1f1b", .ranks = 2, .batch = 2}, unit_costs(2, 1, 2));
  const auto inputs = memory_inputs(timeline, {.activation = 12'345'678'901, .weights = 7});
  const auto written = counters(trace(timeline, {}, inputs));
  CHECK(std::llround(highest(written.at({1, "memory (GiB)"})) * kGiB) == 2 * 12'345'678'901 + 7);
}

TEST_CASE("without stage bytes there is no memory counter", "[traces]") {
  const Timeline timeline = run({.schedule = "1f1b", .ranks = 2, .batch = 2}, unit_costs(2, 1, 2));
  for (const auto& [key, samples] : counters(trace(timeline))) {
    CHECK(key.second != "memory (GiB)");
  }
}

TEST_CASE("the version counter steps at the end of each update", "[traces]") {
  HandMade made(1);
  made.shape().microbatches = 2;
  for (int w = 0; w < 2; ++w) {
    made.op(0, {.microbatch = w, .kind = OpKind::kForward}, 100 * w, 100 * w + 10);
    made.op(0, {.microbatch = w, .kind = OpKind::kBackward}, 100 * w + 10, 100 * w + 30);
    made.op(0, {.microbatch = w, .kind = OpKind::kReduce}, 100 * w + 30, 100 * w + 35);
    made.op(0, {.microbatch = w, .kind = OpKind::kStep}, 100 * w + 35, 100 * w + 40);
  }
  const auto written = counters(trace(made.timeline()));
  CHECK(written.at({1, "version s0"}) == Samples{{0, 0}, {40, 1}, {140, 2}});
}

TEST_CASE("every stage replica has its version counter on its own rank", "[traces]") {
  const Timeline timeline =
      run({.schedule = "amdp", .ranks = 4, .batch = 8, .windows = 2}, unit_costs(4, 1, 2));
  const Shape& shape = timeline.shape();
  const auto written = counters(trace(timeline));
  CHECK(written.size() == shape.rank_of_stage.size());
  for (int pipeline = 0; pipeline < shape.pipelines; ++pipeline) {
    for (int stage = 0; stage < shape.stages; ++stage) {
      const Samples& samples = written.at(
          {shape.rank_of(pipeline, stage) + 1, fmt::format("version s{}@{}", stage, pipeline)});
      REQUIRE(samples.size() == static_cast<std::size_t>(shape.windows()) + 1);
      for (std::size_t i = 0; i < samples.size(); ++i) {
        CHECK(samples[i].second == static_cast<double>(i));
      }
    }
  }
}
