#pragma once

#include <string>
#include <vector>

#include "tools/study/run.hpp"

namespace stagesim {

// Replays the run's order `samples` times. In each sample every number of the GPU and link profiles
// that comes with an error e is multiplied by exp(e z), z standard normal, one draw for the whole
// sample; then ranks and ops vary as scenario.variation says. Layers and a fixed order stay, an
// online rule chooses anew. The same scenario gives the same samples.
Uncertainty uncertainty(const Scenario& scenario, const Run& run, int samples);

// Whether samples differ because numbers of its profiles have errors; whether they differ at all.
bool varies_by_fit(const Scenario& scenario);
bool varies(const Scenario& scenario);

// Linear between the order statistics, the first at 0 and the last at 100 percent. `values` need
// not be sorted and must not be empty.
double percentile(std::vector<double> values, double percent);

std::vector<double> in_ms(const std::vector<Nanos>& times);

// [attempt]: the share of samples in which it was the fastest (of equals the first); those without
// samples 0.
std::vector<double> fastest_shares(const std::vector<const Uncertainty*>& attempts);

}  // namespace stagesim
