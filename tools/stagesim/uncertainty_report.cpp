#include "tools/stagesim/uncertainty_report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <charconv>

#include "tools/study/uncertainty.hpp"

namespace po = boost::program_options;

namespace stagesim {
namespace {

constexpr int kMostSamples = 1'000'000;
constexpr std::size_t kShownShifts = 3;

int samples_from(const std::string& text) {
  int samples = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, samples);
  if (error != std::errc() || stop != end || samples < 0 || samples > kMostSamples) {
    throw InputError(
        fmt::format("--uncertainty: expected a whole number of samples from 0 to {}, "
                    "got '{}'",
                    kMostSamples, text));
  }
  return samples;
}

std::string causes_text(const Scenario& s) {
  std::string causes;
  const auto add = [&](const char* what) {
    causes += (causes.empty() ? "" : ", ") + std::string(what);
  };
  if (varies_by_fit(s)) add("the errors of the profiles' numbers");
  if (s.variation.straggler_share > 0) add("stragglers");
  if (s.variation.jitter > 0) add("jitter");
  return causes;
}

std::string shift_text(const FitShift& shift, double step_ms) {
  return fmt::format("{} {:.3g} % lower or higher alone: {:+.2f} or {:+.2f} %", shift.what,
                     100 * shift.error, 100 * (to_ms(shift.lower) / step_ms - 1),
                     100 * (to_ms(shift.higher) / step_ms - 1));
}

std::vector<double> shares_of(const std::vector<Attempt>& attempts) {
  std::vector<const Uncertainty*> spreads;
  for (const Attempt& attempt : attempts)
    spreads.push_back(attempt.uncertainty ? &*attempt.uncertainty : nullptr);
  return fastest_shares(spreads);
}

void print_fastest(std::ostream& out, const std::vector<Attempt>& attempts) {
  const std::vector<double> shares = shares_of(attempts);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i] > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return shares[a] > shares[b]; });
  std::string line;
  for (const std::size_t i : order)
    line += fmt::format("{}{} in {:.1f} %", line.empty() ? "" : ", ", attempts[i].run->result.name,
                        100 * shares[i]);
  fmt::print(out, "  fastest: {} of the samples (the same draws for all)\n", line);
}

// What makes the interval wide.
void print_shifts(std::ostream& out, const Attempt& attempt) {
  const std::vector<FitShift>& shifts = attempt.uncertainty->shifts;
  for (std::size_t i = 0; i < std::min(kShownShifts, shifts.size()); ++i) {
    if (shifts[i].lower == shifts[i].higher) break;
    fmt::print(out, "  {}: {}\n", attempt.run->result.name,
               shift_text(shifts[i], to_ms(attempt.run->result.step_time)));
  }
}

}  // namespace

void add_uncertainty_option(po::options_description& options, const char* by_default) {
  options.add_options()("uncertainty", po::value<std::string>()->value_name("N"), by_default);
}

void sample_steps(const po::variables_map& vm, const Scenario& s, bool by_default,
                  std::vector<Attempt>& attempts) {
  const bool asked = vm.count("uncertainty") > 0;
  if (!asked && !by_default) return;
  const int samples = asked ? samples_from(vm["uncertainty"].as<std::string>()) : kDefaultSamples;
  if (samples == 0) return;
  if (!varies(s)) {
    if (!asked) return;
    throw InputError(
        "--uncertainty: nothing varies here: explicit stage times and plain links have no errors; "
        "give a model and a cluster, or variation.jitter or variation.stragglers");
  }
  for (Attempt& attempt : attempts) {
    if (!attempt.run) continue;
    const double activities = attempt.run->timeline.what->size();
    if (asked || activities * samples <= kMostByDefault) {
      attempt.uncertainty = uncertainty(s, *attempt.run, samples);
    } else {
      attempt.run->assumptions.push_back(
          fmt::format("{}: no interval of the step time, {} samples of {:.0f} activities take a "
                      "while; --uncertainty {} replays them",
                      attempt.run->result.name, samples, activities, samples));
    }
  }
}

void print_uncertainty(std::ostream& out, const Scenario& s, const std::vector<Attempt>& attempts) {
  std::size_t spread = 0;
  const Attempt* fastest = nullptr;
  for (const Attempt& attempt : attempts) {
    if (!attempt.uncertainty) continue;
    const Uncertainty& u = *attempt.uncertainty;
    if (spread++ == 0) {
      fmt::print(out, "\nstep time with {}: {} sample{}, seed {}\n", causes_text(s), u.step.size(),
                 u.step.size() == 1 ? "" : "s", s.variation.seed);
    }
    const std::vector<double> ms = in_ms(u.step);
    fmt::print(out,
               "  {}: 90 % from {:.3f} to {:.3f} ms (5th to 95th percentile), median {:.3f}, 99th "
               "{:.3f}\n",
               attempt.run->result.name, percentile(ms, 5), percentile(ms, 95), percentile(ms, 50),
               percentile(ms, 99));
    if (fastest == nullptr || attempt.run->result.step_time < fastest->run->result.step_time)
      fastest = &attempt;
  }
  if (fastest == nullptr) return;
  if (spread > 1) print_fastest(out, attempts);
  print_shifts(out, *fastest);
}

void add_uncertainty(Json& schedules, const Scenario& s, const std::vector<Attempt>& attempts) {
  const std::vector<double> shares = shares_of(attempts);
  std::size_t row = 0;
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    if (!attempts[i].run) continue;
    Json& json = schedules.at(row++);
    if (!attempts[i].uncertainty) continue;
    const Uncertainty& u = *attempts[i].uncertainty;
    const std::vector<double> ms = in_ms(u.step);
    json["step_time_interval_ms"] = {percentile(ms, 5), percentile(ms, 95)};
    Json percentiles, shifts = Json::array();
    for (const int p : {1, 5, 25, 50, 75, 95, 99})
      percentiles[fmt::format("{}", p)] = percentile(ms, p);
    for (const FitShift& shift : u.shifts) {
      shifts.push_back({{"what", shift.what},
                        {"error", shift.error},
                        {"step_time_lower_ms", to_ms(shift.lower)},
                        {"step_time_higher_ms", to_ms(shift.higher)}});
    }
    json["step_time_samples"] = {{"samples", ms.size()},
                                 {"seed", s.variation.seed},
                                 {"percentiles_ms", percentiles},
                                 {"fastest_share", shares[i]},
                                 {"errors", shifts}};
  }
}

}  // namespace stagesim
