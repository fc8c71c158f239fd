#include "sim/base/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <numeric>

namespace stagesim {
namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Levenshtein distance with neighbouring swaps counted as one edit.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                           lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance =
      std::max<std::size_t>(1, std::max(name.size(), std::size_t{3}) / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(name.substr(0, 200), candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (!best.empty() || name.size() < 3) return best;
  // What the user left out or spelt in full: 'microbatch' for 'microbatches', '2bw' for
  // 'pipedream-2bw'.
  for (const std::string& candidate : known) {
    if (candidate.find(name) != std::string::npos) return candidate;
  }
  return best;
}

std::string unknown_name(std::string_view what, std::string_view name,
                         const std::vector<std::string>& known) {
  const std::string near = nearest_name(name, known);
  return fmt::format("unknown {} '{}'{}; known: {}", what, name,
                     near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near),
                     fmt::join(known, ", "));
}

}  // namespace stagesim
