#include <fmt/format.h>

#include <charconv>

#include "tools/study/scenario_parts.hpp"

namespace stagesim {
namespace {

constexpr double kSlowest = 0.001, kFastest = 1000;
// Beyond, times cut off at 0 would move the mean of a normal distribution.
constexpr double kMostNormalSigma = 0.3;
constexpr std::int64_t kMostSeed = 9'007'199'254'740'992;  // 2^53: what JSON numbers hold exactly

// {"3": 0.8}: the ranks that differ.
void read_named_ranks(JsonFields& variation, Scenario& s) {
  const Json& object = variation.any("rank_speed");
  JsonFields ranks = variation.child("rank_speed");
  s.variation.rank_speed.assign(static_cast<std::size_t>(s.ranks), 1);
  for (const auto& [key, value] : object.items()) {
    int rank = -1;
    const char* end = key.data() + key.size();
    const auto [stop, error] = std::from_chars(key.data(), end, rank);
    ranks.expect({key});
    if (error != std::errc() || stop != end || rank < 0 || rank >= s.ranks) {
      ranks.problem(key, "expected a rank from 0 to {}", s.ranks - 1);
      continue;
    }
    s.variation.rank_speed[static_cast<std::size_t>(rank)] = ranks.number(key, kSlowest, kFastest);
  }
}

std::string speeds_text(const Scenario& s) {
  std::string differ;
  for (std::size_t r = 0; r < s.variation.rank_speed.size(); ++r) {
    if (s.variation.rank_speed[r] != 1)
      differ += fmt::format("{}rank {} at {:g}", differ.empty() ? "" : ", ", r,
                            s.variation.rank_speed[r]);
  }
  return differ;
}

}  // namespace

void read_variation(JsonFields& top, Scenario& s) {
  JsonFields fields = top.child("variation");
  Variation& v = s.variation;
  if (fields.has("rank_speed")) {
    if (fields.any("rank_speed").is_object()) {
      read_named_ranks(fields, s);
    } else {
      v.rank_speed =
          fields.numbers("rank_speed", static_cast<std::size_t>(s.ranks), kSlowest, kFastest);
    }
    if (const std::string differ = speeds_text(s); !differ.empty()) {
      s.assumptions.push_back(fmt::format(
          "rank speeds: {} of the stated speed{}: compute and optimizer steps take their time over "
          "that (variation.rank_speed)",
          differ, s.data > 1 ? " in every data-parallel copy" : ""));
    }
  }
  JsonFields jitter = fields.child("jitter");
  const std::string shape =
      jitter.one_of("distribution", {"lognormal", "normal"}, std::string("lognormal"));
  v.jitter_shape = shape == "normal" ? Variation::Shape::kNormal : Variation::Shape::kLogNormal;
  if (fields.has("jitter") && fields.any("jitter").is_object()) {
    v.jitter = jitter.number("sigma", 0, shape == "normal" ? kMostNormalSigma : 3);
    s.assumptions.push_back(fmt::format(
        "jitter: in every sample each op's time times a {} number of mean 1 and standard deviation "
        "{:g}; not in the row itself (variation.jitter)",
        shape, v.jitter));
  }
  jitter.finish();
  JsonFields stragglers = fields.child("stragglers");
  if (fields.has("stragglers") && fields.any("stragglers").is_object()) {
    v.straggler_share = stragglers.number("share", 0, 1);
    v.straggler_speed = stragglers.number("speed", kSlowest, kFastest);
    s.assumptions.push_back(fmt::format(
        "stragglers: in every sample each rank runs at {:g} of its speed with probability {:g}; "
        "not in the row itself (variation.stragglers)",
        v.straggler_speed, v.straggler_share));
  }
  stragglers.finish();
  v.seed = static_cast<std::uint64_t>(fields.integer("seed", 0, kMostSeed, 1));
  fields.finish();
}

}  // namespace stagesim
