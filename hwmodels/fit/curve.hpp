#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/profile.hpp"

namespace stagesim {

// Bands of message size in which errors are told apart: noise, protocol switches and bandwidth are
// different troubles.
inline constexpr std::array<const char*, 4> kBandNames{"<=16K", "16K-1M", "1M-64M", ">64M"};
std::size_t band_of(double bytes);

struct BandError {
  int points = 0;
  double median = 0, worst = 0;  // relative
};
struct CurveError {
  std::array<BandError, 4> bands{};
  BandError all{};
};

struct CleanCurve {
  Curve points{};
  int raised = 0;                    // times lifted to the largest before them
  double worst_fall = 0;             // relative, of the lifted ones
  std::vector<std::string> falls{};  // those above the tolerance, in words
};

// One time per size (the median of repeats), and never a larger message that takes less time: the
// running maximum. A fall of up to `tolerance` is noise and only counted.
// meta-pytorch/autoparallel#425 shows a model that priced 2 MB below 1 MB.
CleanCurve clean_curve(Curve samples, double tolerance = 0.05);

// Why a clean curve is no cost model, or "": one size only (scitix/sichek#52), or only messages so
// small that nothing is known of the rate.
std::string curve_defect(const Curve& curve);

// Keeps every second size of the samples, cleans them, and asks for the sizes left out. Nothing
// when there are fewer than four sizes.
std::optional<CurveError> held_out_error(const Curve& samples);

}  // namespace stagesim
