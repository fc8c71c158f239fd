#include "tools/study/uncertainty.hpp"

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/seed_seq.hpp>
#include <boost/random/uniform_01.hpp>
#include <cmath>

#include "hwmodels/fit_errors.hpp"
#include "sim/lower.hpp"
#include "sim/replay.hpp"
#include "tools/study/run_costs.hpp"
#include "tools/study/stage_estimate.hpp"

namespace stagesim {
namespace {

// Boost's distributions, unlike the standard library's, draw the same numbers everywhere.
using Engine = boost::random::mt19937_64;

// Draws of their own for each purpose, so that one more profile number does not change the jitter.
enum class Stream : std::uint32_t { kFit, kStragglers, kJitter };

Engine engine_of(std::uint64_t seed, int sample, Stream stream) {
  const std::uint32_t words[] = {
      static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
      static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(stream)};
  boost::random::seed_seq sequence(std::begin(words), std::end(words));
  return Engine(sequence);
}

void add_stragglers(std::vector<double>& speed, int ranks, const Variation& v, int sample) {
  if (v.straggler_share == 0) return;
  speed.resize(static_cast<std::size_t>(ranks), 1);
  Engine engine = engine_of(v.seed, sample, Stream::kStragglers);
  boost::random::uniform_01<double> uniform;
  for (double& of_rank : speed) {
    if (uniform(engine) < v.straggler_share) of_rank *= v.straggler_speed;
  }
}

void add_jitter(Program& program, const Variation& v, int sample) {
  if (v.jitter == 0) return;
  Engine engine = engine_of(v.seed, sample, Stream::kJitter);
  boost::random::normal_distribution<double> normal;
  // Of a log-normal number with mean 1 and that standard deviation.
  const double log_variance = std::log1p(v.jitter * v.jitter), log_sigma = std::sqrt(log_variance);
  const auto factor = [&] {
    const double z = normal(engine);
    if (v.jitter_shape == Variation::Shape::kNormal) return std::max(0.0, 1 + v.jitter * z);
    return std::exp(log_sigma * z - log_variance / 2);
  };
  for (TaskId t = 0; t < program.what->size(); ++t) {
    if (!is_busy(program.what->op[t].kind)) continue;
    Nanos& time = program.duration[t];
    time = rounded_nanos(factor() * static_cast<double>(time.count()));
  }
}

// Explicit stage times come without errors.
FittedNumbers numbers_of(const Scenario& s) {
  FittedNumbers numbers{.gpu = {}, .link_within = s.link_within, .link_between = s.link_between};
  if (s.model) numbers.gpu = *s.gpu;
  return numbers;
}

// Replays a run again and again with other numbers.
class Replayer {
 public:
  Replayer(const Scenario& scenario, const Run& run) : run_(run), nominal_(scenario) {
    nominal_.json = nullptr;  // not needed, and slow to copy
    nominal_.assumptions.clear();
    own_launch_ = !scenario.json.contains("/overheads/launch_us"_json_pointer);
    if (!run.layers.empty()) {
      nominal_.source.split = LayerSplit::kList;
      nominal_.source.layers = run.layers;
      nominal_.source.virtual_stages = virtual_stages();
    }
    numbers_ = numbers_of(scenario);
  }

  // [number]: multiplied by exp(error * z).
  Nanos step(const std::vector<double>& z, int sample, bool vary) const {
    FittedNumbers numbers = numbers_;
    const std::vector<FittedNumber> fitted = numbers_with_errors(numbers);
    for (std::size_t i = 0; i < fitted.size(); ++i)
      fitted[i].multiply(std::exp(fitted[i].error * z[i]));
    Scenario s = nominal_;
    s.link_within = numbers.link_within;
    s.link_between = numbers.link_between;
    if (numbers.gpu) s.gpu = &*numbers.gpu;
    if (s.model && own_launch_) s.source.launch_us = numbers.gpu->launch_us.value;
    if (vary) add_stragglers(s.variation.rank_speed, s.ranks, s.variation, sample);
    StageEstimate stages =
        s.model ? split_transformer(s, virtual_stages()) : stage_estimate(s, virtual_stages());
    const Schedule& order = run_.online.ops_of_rank.empty() ? run_.order : run_.online;
    add_updates(stages, s, order.shape);
    Program program = lower(order, costs_of(s, stages, pair_times(s, virtual_stages())));
    if (vary) add_jitter(program, s.variation, sample);
    return step_time(replay(program), run_.inputs);
  }

  std::vector<FittedNumber> numbers() const {
    FittedNumbers copy = numbers_;
    return numbers_with_errors(copy);
  }

 private:
  int virtual_stages() const { return run_.order.shape.stages / run_.order.shape.ranks; }

  const Run& run_;
  Scenario nominal_;
  FittedNumbers numbers_{};
  bool own_launch_ = false;  // overheads.launch_us is not given
};

std::vector<FitShift> shifts_of(const Replayer& replayer) {
  std::vector<FitShift> shifts;
  const std::vector<FittedNumber> numbers = replayer.numbers();
  std::vector<double> z(numbers.size(), 0);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    FitShift& shift = shifts.emplace_back();
    shift.what = numbers[i].what;
    shift.error = numbers[i].error;
    z[i] = -1;
    shift.lower = replayer.step(z, 0, false);
    z[i] = 1;
    shift.higher = replayer.step(z, 0, false);
    z[i] = 0;
  }
  const auto width = [](const FitShift& s) { return std::abs((s.higher - s.lower).count()); };
  std::stable_sort(shifts.begin(), shifts.end(),
                   [&](const FitShift& a, const FitShift& b) { return width(a) > width(b); });
  return shifts;
}

}  // namespace

Uncertainty uncertainty(const Scenario& s, const Run& run, int samples) {
  const Replayer replayer(s, run);
  Uncertainty result;
  std::vector<double> z(replayer.numbers().size());
  for (int k = 0; k < samples; ++k) {
    Engine engine = engine_of(s.variation.seed, k, Stream::kFit);
    boost::random::normal_distribution<double> normal;
    for (double& each : z) each = normal(engine);
    result.step.push_back(replayer.step(z, k, true));
  }
  result.shifts = shifts_of(replayer);
  return result;
}

bool varies_by_fit(const Scenario& s) {
  FittedNumbers numbers = numbers_of(s);
  return !numbers_with_errors(numbers).empty();
}

bool varies(const Scenario& s) { return s.variation.random() || varies_by_fit(s); }

double percentile(std::vector<double> values, double percent) {
  STAGESIM_CHECK(!values.empty() && percent >= 0 && percent <= 100);
  std::sort(values.begin(), values.end());
  const double at = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

std::vector<double> in_ms(const std::vector<Nanos>& times) {
  std::vector<double> ms;
  ms.reserve(times.size());
  for (const Nanos t : times) ms.push_back(to_ms(t));
  return ms;
}

std::vector<double> fastest_shares(const std::vector<const Uncertainty*>& attempts) {
  std::vector<double> shares(attempts.size(), 0);
  std::size_t samples = 0;
  for (const Uncertainty* u : attempts) samples = u == nullptr ? samples : u->step.size();
  for (std::size_t k = 0; k < samples; ++k) {
    std::size_t best = attempts.size();
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      if (attempts[i] == nullptr) continue;
      if (best == attempts.size() || attempts[i]->step[k] < attempts[best]->step[k]) best = i;
    }
    if (best < attempts.size()) ++shares[best];
  }
  for (double& share : shares) share /= static_cast<double>(std::max<std::size_t>(1, samples));
  return shares;
}

}  // namespace stagesim
